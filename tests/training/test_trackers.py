"""Curves sent to a tracker are those of curves.csv; a tracker that is missing or fails is one clear line."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from taskweb.errors import InputError, MissingDependencyError, NameNotFoundError
from taskweb.training import trackers
from taskweb.training.recipe import Recipe
from taskweb.training.settings import TrainingSettings
from taskweb.training.trackers import Reporting, check_tracker, started_tracker
from taskweb.workflows.training import train_mixture
from tests.training.made_up_mixture import synthetic_mixture

SETTINGS = TrainingSettings(learning_rate=3e-3, batch_size=8, epochs=2, log_every=4, device="cpu")


class FakeTracker:
    """Keeps what it is given. fails_at: the step at which it raises."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.points: list[tuple[int | None, str, float]] = []
        self.values: dict[str, Any] = {}
        self.finished, self.fails_at = 0, fails_at

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.values = values

    def log(self, values: dict[str, float], step: int | None = None) -> None:
        if step == self.fails_at:
            raise ConnectionError("the server is gone\nand more")
        self.points += [(step, name, value) for name, value in values.items()]

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTracker:
    """What `--report-to wandb` reports to."""
    tracker = FakeTracker()
    monkeypatch.setattr(trackers, "check_tracker", lambda _: None)
    monkeypatch.setattr("taskweb.training.recipe.check_tracker", lambda _: None)

    def started(name: str, place: Path, values: Any) -> FakeTracker:
        assert (name, place.name) == ("wandb", "model")
        tracker.store_init_configuration(dict(values))
        return tracker

    monkeypatch.setattr("taskweb.workflows.training.started_tracker", started)
    return tracker


def points_in(folder: Path) -> list[tuple[int, str, float]]:
    rows = csv.DictReader(io.StringIO((folder / "curves.csv").read_text()))
    return sorted((int(row["step"]), f"{row['task']}/{row['metric']}", float(row["value"])) for row in rows)


def test_the_points_are_those_of_the_curves(fake: FakeTracker, tmp_path: Path) -> None:
    recipe = Recipe("tiny:t5", training=SETTINGS, report_to="wandb")
    train_mixture(synthetic_mixture(), recipe, tmp_path / "model", seed=0)
    assert sorted(fake.points) == points_in(tmp_path / "model")
    assert fake.finished == 1
    assert fake.values["training.learning_rate"] == 3e-3
    assert fake.values["model"] == "tiny:t5"


def test_a_resumed_training_sends_what_was_before(fake: FakeTracker, tmp_path: Path) -> None:
    recipe = Recipe("tiny:t5", training=SETTINGS, report_to="wandb")

    def stop(update: Any) -> None:
        if update.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_mixture(synthetic_mixture(), recipe, tmp_path / "model", seed=0, checkpoint_every=3, on_progress=stop)
    assert fake.finished == 1
    fake.points.clear()
    train_mixture(synthetic_mixture(), recipe, tmp_path / "model", seed=0, checkpoint_every=3)
    assert sorted(fake.points) == points_in(tmp_path / "model")


def test_a_tracker_that_fails_does_not_end_the_training(fake: FakeTracker, tmp_path: Path) -> None:
    fake.fails_at = 5
    lines: list[str] = []
    recipe = Recipe("tiny:t5", training=SETTINGS, report_to="wandb")
    train_mixture(synthetic_mixture(), recipe, tmp_path / "model", seed=0, tell=lines.append)
    assert len(points_in(tmp_path / "model")) > len(fake.points) == 1
    assert [line for line in lines if "tracker" in line] == [
        "the tracker failed, so the curves after this point are only in curves.csv: the server is gone"
    ]


def test_values_that_are_not_finite_are_left_out() -> None:
    tracker = FakeTracker()
    reporting = Reporting(tracker, 10)
    reporting.update(2, 20, 0.5, {"rte/pearson": float("nan"), "score": 1.0})
    assert tracker.points == [(2, "all/score", 1.0)]
    Reporting(None, 1).update(1, 1, 0.5, None)


def test_names_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started_tracker("none", Path("model"), {}) is None
    with pytest.raises(NameNotFoundError, match="Did you mean 'wandb'"):
        check_tracker("wandbb")
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "trackio" else SimpleNamespace())
    with pytest.raises(MissingDependencyError, match=r"needs trackio, which is not installed. .*pip install trackio\.$"):
        check_tracker("trackio")


def test_a_tracker_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerate = pytest.importorskip("accelerate.tracking")
    monkeypatch.setattr(trackers, "check_tracker", lambda _: None)

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no key\nsecond line")

    monkeypatch.setitem(accelerate.LOGGER_TYPE_TO_CLASS, "wandb", refuse)
    with pytest.raises(InputError, match=r"^wandb could not be started: no key. Set it up, or leave --report-to out.$"):
        started_tracker("wandb", Path("model"), {})
    monkeypatch.delitem(accelerate.LOGGER_TYPE_TO_CLASS, "wandb")
    with pytest.raises(InputError, match="does not know wandb"):
        started_tracker("wandb", Path("model"), {})


def test_what_accelerate_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate.tracking")
    monkeypatch.setattr(trackers, "check_tracker", lambda _: None)
    made: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def kind(name: str) -> Any:
        def build(*given: Any, **named: Any) -> FakeTracker:
            made.append((name, given, named))
            return FakeTracker()

        return build

    for name in ("wandb", "mlflow", "tensorboard"):
        monkeypatch.setitem(accelerate.LOGGER_TYPE_TO_CLASS, name, kind(name))
        tracker = started_tracker(name, tmp_path / "model", {"model": "a", "tasks": ["x"], "none": None})
        assert isinstance(tracker, FakeTracker)
        assert tracker.values == {"model": "a"}
    (tmp_path / "model.tensorboard" / "1").mkdir(parents=True)
    started_tracker("tensorboard", tmp_path / "model", {})
    folder = str(tmp_path / "model.tensorboard")
    assert made == [
        ("wandb", ("taskweb",), {"name": "model"}),
        ("mlflow", ("taskweb",), {"run_name": "model"}),
        ("tensorboard", ("1", folder), {}),
        ("tensorboard", ("2", folder), {}),
    ]


def test_tensorboard_reads_the_same_curves(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    pytest.importorskip("accelerate")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = Recipe("tiny:t5", training=replace(SETTINGS, epochs=1), report_to="tensorboard")
    train_mixture(synthetic_mixture(), recipe, tmp_path / "model", seed=0)
    events = EventAccumulator(str(tmp_path / "model.tensorboard" / "1"))
    events.Reload()
    found = sorted((point.step, tag, point.value) for tag in events.Tags()["scalars"] for point in events.Scalars(tag))
    expected = points_in(tmp_path / "model")
    assert [point[:2] for point in found] == [point[:2] for point in expected]
    assert [point[2] for point in found] == pytest.approx([point[2] for point in expected], rel=1e-6)
