"""What a folder of `taskweb train` says of its training: the mixture, the losses, and the evaluations of each source task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.small_files import content_of

HISTORY_FILE, RECORD_FILE = "training.json", "taskweb.json"
_MOST_BYTES = 256 << 20
_OF_ALL = ("score", "loss")  # metrics of the whole mixture


@dataclass(frozen=True, slots=True)
class TaskShare:
    """A source task: its requested and realised share of the training examples, and how many it has."""

    task: str
    metrics: tuple[str, ...]
    requested: float
    realised: float
    train: int
    held_out: int


@dataclass(frozen=True, slots=True)
class TaskPoint:
    """A metric of a task, or of the whole mixture (task ''), on held-out examples after an update."""

    step: int
    task: str
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class TrainedFolder:
    """A training. shares: by task, empty for folders of before 0.2. losses: updates and their loss. seconds: of training."""

    place: Path
    base: str
    method: str
    seed: int
    updates: int
    seconds: float
    tokens: int
    shares: tuple[TaskShare, ...]
    losses: tuple[tuple[int, float], ...]
    points: tuple[TaskPoint, ...]


def read_trained(place: Path) -> TrainedFolder:
    """Read a folder that `taskweb train` wrote. Raises InputError for anything else."""
    path = place / HISTORY_FILE
    if kind_of_path(place) != "folder" or kind_of_path(path) == "missing":
        raise InputError(f"{place} is not a folder of taskweb train: it has no {HISTORY_FILE}. Give the folder of --to.")
    content = content_of(path, _MOST_BYTES)
    try:
        return _trained(place, json.loads(content))
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError, OverflowError):
        raise InputError(f"{path} is not the history of a training. Give a folder that taskweb train wrote.") from None


def _trained(place: Path, saved: Mapping[str, Any]) -> TrainedFolder:
    recipe, history = saved["recipe"], saved["history"]
    return TrainedFolder(
        place,
        str(recipe["model"]),
        str(recipe["method"]),
        int(saved["seed"]),
        int(history["step"]),
        float(history["seconds"]),
        int(history["tokens"]),
        tuple(_share(entry) for entry in saved.get("tasks", ())),
        tuple((int(entry["step"]), float(entry["loss"])) for entry in history["losses"] if entry["loss"] is not None),
        tuple(_points(history["evaluations"])),
    )


def _share(entry: Mapping[str, Any]) -> TaskShare:
    metrics = tuple(map(str, entry["metrics"]))
    shares = float(entry["requested"]), float(entry["realised"])
    return TaskShare(str(entry["task"]), metrics, *shares, int(entry["train"]), int(entry["held_out"]))


def _points(evaluations: Any) -> list[TaskPoint]:
    found = []
    for evaluation in evaluations:
        for name, value in evaluation["metrics"].items():
            task, _, metric = ("", "", name) if name in _OF_ALL else name.rpartition("/")
            if value is not None:
                found.append(TaskPoint(int(evaluation["step"]), task, metric, float(value)))
    return found
