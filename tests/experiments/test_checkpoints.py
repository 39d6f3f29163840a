"""The checkpoint cache: checkpoints of trainings and weights after sources; resumed, rebuilt, limited, removed at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taskweb.errors import TaskWebError
from taskweb.experiments import InlineExecutor, run_plan, state_of
from taskweb.experiments.checkpoint_cache import CheckpointCache, checkpoint_cache_of
from taskweb.experiments.plan import CheckpointLimits
from taskweb.training.loop import Progress, fit
from tests.experiments.planned import write_plan
from tests.experiments.test_engine import Undisturbed, outcomes, rewritten

RUNS = 9


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A plan run once, in which every training has two updates or more, and its outcomes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    plan = write_plan(folder, seeds="[1]")
    plan.write_text(plan.read_text().replace("batch_size = 8", "batch_size = 4"))
    assert run_plan(plan, InlineExecutor()).finished == RUNS
    return folder, outcomes(folder / "web.db")


def interrupted_after(updates: int) -> Callable[..., object]:
    """The loop, with an interrupt after `updates` updates of the fifth training."""
    trainings = iter(range(10**6))

    def stopped(*args: object, **options: object) -> object:
        def stop(progress: Progress) -> None:
            if number >= 4 and progress.step == updates:
                raise KeyboardInterrupt

        number = next(trainings)
        return fit(*args, **options, on_progress=stop)  # type: ignore[arg-type]

    return stopped


def always_saving(plan: Path) -> Path:
    plan.write_text(plan.read_text() + "[checkpoints]\nseconds = 0\n")
    return plan


def test_a_training_resumes_from_its_checkpoint_and_ends_with_the_same_bits(
    undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, expected = rewritten(undisturbed, tmp_path)
    folder = checkpoint_cache_of(state_of(always_saving(plan)).plan).folder
    resumed: list[int | None] = []

    def watched(*args: object, **options: object) -> object:
        history = fit(*args, **options)  # type: ignore[arg-type]
        resumed.append(history.resumed_at)
        return history

    with monkeypatch.context() as patched:
        patched.setattr("taskweb.experiments.execute.fit", interrupted_after(1))
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan, InlineExecutor())
    assert sorted(file.suffix for file in folder.iterdir()) == [".safetensors", ".training"]  # a source, and its first target
    monkeypatch.setattr("taskweb.experiments.execute.fit", watched)
    run_plan(plan, InlineExecutor())
    assert {json.dumps(row, default=dict) for row in outcomes(tmp_path / "web.db").values()} == expected
    assert [step for step in resumed if step is not None] == [1]
    assert not folder.exists()


@pytest.mark.parametrize(
    "place",
    [
        "taskweb.experiments.execute.evaluate",
        "taskweb.experiments.execute.save_model",
        "taskweb.experiments.executors.base.OpenJob.save",
    ],
    ids=["evaluated", "written", "stored"],
)
def test_a_training_that_has_ended_is_not_repeated(
    place: str, undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint stays until a run is evaluated and stored, until the weights after a source are written."""
    plan, expected = rewritten(undisturbed, tmp_path)
    folder = checkpoint_cache_of(state_of(always_saving(plan)).plan).folder
    trained: list[tuple[int | None, int]] = []

    def watched(*args: object, **options: object) -> object:
        history = fit(*args, **options)  # type: ignore[arg-type]
        trained.append((history.resumed_at, history.step))
        return history

    def stop(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(place, stop)
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan, InlineExecutor())
    assert [file.suffix for file in folder.iterdir()] == [".training"]
    monkeypatch.setattr("taskweb.experiments.execute.fit", watched)
    run_plan(plan, InlineExecutor())
    assert {json.dumps(row, default=dict) for row in outcomes(tmp_path / "web.db").values()} == expected
    assert [(at, step) for at, step in trained if at is not None] == [(trained[0][1] - 1, trained[0][1])]
    assert not folder.exists()


@pytest.mark.parametrize("damage", [b"", b"not a tensor", None], ids=["empty", "other", "cut"])
def test_damaged_checkpoints_are_replaced(
    damage: bytes | None, undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, expected = rewritten(undisturbed, tmp_path)
    folder = checkpoint_cache_of(state_of(always_saving(plan)).plan).folder
    with monkeypatch.context() as patched:
        patched.setattr("taskweb.experiments.execute.fit", interrupted_after(1))
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan, InlineExecutor())
    assert len(list(folder.iterdir())) == 2
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    (folder / "0123.9.part").write_bytes(b"half")
    (folder / f"{40 * 'a'}.safetensors").write_bytes(b"of another plan")
    state = run_plan(plan, InlineExecutor())
    assert (state.finished, state.failed) == (RUNS, 0)
    assert {json.dumps(row, default=dict) for row in outcomes(tmp_path / "web.db").values()} == expected
    assert not folder.exists()


def test_short_runs_write_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("saved")

    monkeypatch.setattr("taskweb.training.loop.save_checkpoint", refuse)
    assert run_plan(write_plan(tmp_path, seeds="[1]"), InlineExecutor()).finished == 9


def cache_source(checkpoints: CheckpointCache, key: str, size: int) -> None:
    with checkpoints.locked_source(key) as source:
        source.write(lambda part: part.write_bytes(bytes(size)) and None)


def test_weights_that_another_worker_removes_meanwhile_are_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = CheckpointCache(tmp_path)
    cache_source(checkpoints, "kept", 10)
    listed = Path.glob
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [*listed(folder, pattern), folder / "removed.safetensors"])
    cache_source(checkpoints, "new", 10)
    assert {file.name for file in tmp_path.iterdir()} == {"kept.safetensors", "new.safetensors"}


def test_the_least_recently_used_weights_make_room(tmp_path: Path) -> None:
    checkpoints = CheckpointCache(tmp_path / "cache", CheckpointLimits(most_gib=1000 / 2**30))
    for age, key in enumerate("abc"):
        cache_source(checkpoints, key, 300)
        os.utime(checkpoints.source_path(key), (age, age))
    with checkpoints.locked_source("a") as used:  # the oldest, now the youngest
        assert used.exists
    cache_source(checkpoints, "d", 300)
    assert {file.stem for file in checkpoints.folder.iterdir()} == {"a", "c", "d"}


def test_weights_in_use_stay_despite_the_limit(tmp_path: Path) -> None:
    checkpoints = CheckpointCache(tmp_path / "cache", CheckpointLimits(most_gib=0))
    with checkpoints.locked_source("a") as mine, CheckpointCache(tmp_path / "cache").locked_source("b") as other:
        assert not mine.exists
        mine.write(lambda part: part.write_bytes(b"x") and None)
        other.write(lambda part: part.write_bytes(b"y") and None)
        cache_source(checkpoints, "c", 10)
        assert mine.path.exists()
        assert other.path.exists()
        cache_source(checkpoints, "d", 10)
        assert not checkpoints.source_path("c").exists()
        mine.release(remove=True)
        assert not mine.path.exists()


def test_weights_stay_while_another_worker_uses_them(tmp_path: Path) -> None:
    """As where Slurm has given up a node that goes on."""
    checkpoints = CheckpointCache(tmp_path)
    with checkpoints.locked_source("a") as first:
        first.write(lambda part: part.write_bytes(b"x") and None)
        with checkpoints.locked_source("a") as second:
            first.finish()
            assert second.path.exists()
            second.finish()
            assert not second.path.exists()
    with checkpoints.locked_source("a") as first, CheckpointCache(tmp_path).locked_source("a") as second:
        for own in (first, second):  # each has found none
            own.write(lambda part: part.write_bytes(b"x") and None)
        first.finish()
        assert second.path.exists()
        second.finish()
        assert not second.path.exists()


def test_a_limit_of_zero_changes_no_result(undisturbed: Undisturbed, tmp_path: Path) -> None:
    plan, expected = rewritten(undisturbed, tmp_path)
    plan.write_text(plan.read_text() + "[checkpoints]\nmost_gib = 0\n")
    run_plan(plan, InlineExecutor())
    assert {json.dumps(row, default=dict) for row in outcomes(tmp_path / "web.db").values()} == expected


def test_limits_are_checked(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, more='[checkpoints]\nseconds = -1\nmost_gib = "x"\n[budget]\nhours = 0\n')
    with pytest.raises(TaskWebError) as caught:
        state_of(plan)
    for error in (
        "[checkpoints] seconds must be a number, 0 or more. Got -1",
        "[checkpoints] most_gib must be a number, 0 or more. Got x",
        "[budget] hours must be a number above 0. Got 0",
    ):
        assert error in str(caught.value)
