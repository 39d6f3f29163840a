"""Learning curves sent to an experiment tracker while a training runs, through accelerate's trackers.

The curves are those of `curves.csv`, with the same numbers, named `TASK/METRIC` (`all` for the whole mixture).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from taskweb.errors import InputError, MissingDependencyError, first_line, unknown_name
from taskweb.training.history import TrainingHistory

NO_TRACKER = "none"
TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")
ALL = "all"
TRAINING_LOSS = "training loss"
PROJECT = "taskweb"
Scalar = str | int | float | bool


class Tracker(Protocol):
    """What is used of a tracker of accelerate (`accelerate.tracking.GeneralTracker`)."""

    def store_init_configuration(self, values: dict[str, Scalar]) -> Any:
        """Called once, with how the model is trained."""

    def log(self, values: dict[str, float], step: int | None = None) -> Any:
        """Called for each step that has values."""

    def finish(self) -> Any:
        """Called at the end."""


def check_tracker(name: str) -> None:
    """Raise NameNotFoundError for an unknown tracker, MissingDependencyError where its package is not installed."""
    if name == NO_TRACKER:
        return
    if name not in TRACKERS:
        raise unknown_name("tracker", name, (*TRACKERS, NO_TRACKER))
    purpose = f"Reporting to {name}"
    if find_spec("accelerate") is None:
        raise MissingDependencyError("accelerate", "train", purpose)
    if find_spec(name) is None:
        raise MissingDependencyError(name, None, purpose)


def started_tracker(name: str, place: Path, values: Mapping[str, Any]) -> Tracker | None:
    """A tracker for the training of the model in `place`; None for `none`.

    TensorBoard writes into a new numbered folder within `<place>.tensorboard`, the others to where they are set up to write,
    in the project `taskweb`. values: how the model is trained; those that are no single value are left out.
    Raises as `check_tracker`, and InputError where the tracker does not start.
    """
    check_tracker(name)
    if name == NO_TRACKER:
        return None
    from accelerate import tracking

    kind = getattr(tracking, "LOGGER_TYPE_TO_CLASS", {}).get(name)
    if kind is None:
        raise InputError(f"This version of accelerate does not know {name}. Install a newer one: pip install -U accelerate.")
    try:
        tracker = kind(*_arguments(name, place), **({} if name == "tensorboard" else _named(name, place)))
        if hasattr(tracker, "start"):  # older versions start at once
            tracker.start()
        tracker.store_init_configuration({key: value for key, value in values.items() if isinstance(value, Scalar)})
    except Exception as fault:  # noqa: BLE001 - each tracker raises its own kinds
        raise InputError(f"{name} could not be started: {first_line(fault)}. Set it up, or leave --report-to out.") from None
    return tracker


class Reporting:
    """Sends the curves of a training to a tracker, point by point.

    log_every: updates between two points of the loss, as in the training's settings. A tracker that fails does not end the
    training: `tell` gets one line, and nothing more is sent.
    """

    def __init__(self, tracker: Tracker | None, log_every: int, tell: Callable[[str], None] = lambda _: None) -> None:
        self.tracker, self.log_every, self.tell = tracker, log_every, tell

    def begin(self, history: TrainingHistory) -> None:
        """Send what was trained before, by the history in a checkpoint."""
        points: dict[int, dict[str, float]] = {}
        for step, task, metric, value in curve_points(history):
            points.setdefault(step, {})[f"{task}/{metric}"] = value
        for step, values in sorted(points.items()):
            self._send(values, step)

    def update(self, step: int, total: int, loss: float, metrics: Mapping[str, float] | None) -> None:
        """Send the points of an update, counted from 1: a sampled loss, and the metrics of an evaluation."""
        values = {f"{ALL}/{TRAINING_LOSS}": loss} if (step - 1) % self.log_every == 0 or step == total else {}
        self._send(values | {"/".join(curve_name(name)): value for name, value in (metrics or {}).items()}, step)

    def end(self) -> None:
        """Close the tracker."""
        self._safely(lambda tracker: tracker.finish())

    def _send(self, values: Mapping[str, float], step: int) -> None:
        known = {name: value for name, value in values.items() if math.isfinite(value)}
        if known:
            self._safely(lambda tracker: tracker.log(known, step=step))

    def _safely(self, use: Callable[[Tracker], Any]) -> None:
        if self.tracker is None:
            return
        try:
            use(self.tracker)
        except Exception as fault:  # noqa: BLE001 - each tracker raises its own kinds
            self.tracker = None
            self.tell(f"the tracker failed, so the curves after this point are only in curves.csv: {first_line(fault)}")


def curve_points(history: TrainingHistory) -> Iterator[tuple[int, str, str, float]]:
    """The points of the learning curves: step, task (`all` for the whole mixture), metric and value."""
    for record in history.losses:
        yield record.step, ALL, TRAINING_LOSS, record.loss
    for evaluation in history.evaluations:
        for name, value in evaluation.metrics.items():
            yield (evaluation.step, *curve_name(name), value)


def curve_name(name: str) -> tuple[str, str]:
    """Task and metric of a name in an evaluation, such as `rte/accuracy`; `all` where it names no task."""
    task, _, metric = name.rpartition("/")
    return task or ALL, metric


def _arguments(name: str, place: Path) -> tuple[str, ...]:
    if name != "tensorboard":
        return (PROJECT,)
    folder = place.with_name(f"{place.name}.tensorboard")
    number = 1
    while (folder / str(number)).exists():
        number += 1
    return (str(number), str(folder))


def _named(name: str, place: Path) -> dict[str, str]:
    return {"run_name" if name == "mlflow" else "name": place.name}
