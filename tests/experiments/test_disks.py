"""Disks that fail while a plan runs: one line, no finished run is lost, and the same command goes on."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskweb.errors import StorageError, TaskWebError
from taskweb.experiments import InlineExecutor, run_plan, state_of
from taskweb.experiments.execute import GroupRunner
from taskweb.experiments.heartbeats import Heartbeat, running_runs
from taskweb.experiments.rescued_runs import store_or_rescue, store_rescued
from taskweb.models.tensor_file import is_whole
from taskweb.tasks.paths import default_cache_folder
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from tests.experiments.planned import write_plan
from tests.web.store.made_up import content, made_up_run

RUNS = 3 + 6


class Trained(list[str]):
    """The keys of the runs that were carried out. then: what happens once that many were, before the last is stored."""

    then: dict[int, Callable[[], object]]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    keys = Trained()
    keys.then = {}
    transfer = GroupRunner._transfer

    def noted(self: GroupRunner, record: Run, *given: object) -> Run:
        found = transfer(self, record, *given)
        keys.append(record.key)
        keys.then.pop(len(keys), lambda: None)()
        return found

    monkeypatch.setattr(GroupRunner, "_transfer", noted)
    return keys


def unstored() -> list[Path]:
    return sorted((default_cache_folder() / "unstored").rglob("*.json"))


def test_a_run_that_the_store_cannot_take_is_kept_and_stored_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {"metrics": {"loss": math.nan}, "extra": {"x": math.inf}, "status": "failed", "reason": "stopped"}
    runs = [made_up_run(1), made_up_run(2, **odd)]
    with RunStore.open(tmp_path / "web.db", create=True) as store:
        with monkeypatch.context() as patched:
            patched.setattr(RunStore, "add_many", lambda *_, **__: (_ for _ in ()).throw(StorageError("The disk is full.")))
            for run in runs:
                with pytest.raises(StorageError, match=r"^The disk is full. The last run is kept in .*: the same command"):
                    store_or_rescue(store, run, replace_failed=False)
        assert len(unstored()) == 2
        assert store_rescued(store, replace_failed=False) == 2
        assert unstored() == []
        assert [content(store.get(run.key)) for run in runs] == [content(run) for run in runs]
        assert store_rescued(store, replace_failed=False) == 0


def test_a_kept_run_that_is_damaged_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunStore.open(tmp_path / "web.db", create=True) as store:
        with monkeypatch.context() as patched:
            patched.setattr(RunStore, "add_many", lambda *_, **__: (_ for _ in ()).throw(StorageError("The disk is full.")))
            with pytest.raises(StorageError):
                store_or_rescue(store, made_up_run(1), replace_failed=False)
        (file,) = unstored()
        file.write_text(file.read_text().replace("12.5", "19.5"))
        assert store_rescued(store, replace_failed=False) == 0
        assert len(store) == 0


def test_a_full_disk_is_no_fault_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained) -> None:
    """Weights that cannot be cached stop the plan; no run is recorded as failed."""
    plan = write_plan(tmp_path, seeds="[1]")

    def full(path: Path, *_: object) -> None:
        raise StorageError(f"{path} cannot be written: No space left on device.")

    with monkeypatch.context() as patched:
        patched.setattr("taskweb.models.saving.write_tensors", full)
        with pytest.raises(StorageError, match="No space left"):
            run_plan(plan, InlineExecutor())
    state = run_plan(plan, InlineExecutor())
    assert (state.finished, state.failed, state.todo) == (RUNS, 0, ())
    assert sorted(trained) == sorted(set(trained))


def test_weights_after_a_source_that_are_damaged_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained
) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    cached = tmp_path / "web.db.sources"

    def stop() -> None:
        raise KeyboardInterrupt

    trained.then = {number: lambda: any(cached.glob("*.safetensors")) and stop() for number in range(RUNS)}
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, InlineExecutor())
    (file,) = cached.glob("*.safetensors")
    whole = bytearray(file.read_bytes())
    whole[-5] ^= 64
    file.write_bytes(whole)
    assert not is_whole(file)
    trained.then = {}
    state = run_plan(plan, InlineExecutor())
    assert (state.finished, state.failed, state.todo) == (RUNS, 0, ())


def test_a_clock_that_is_set_back_gives_no_negative_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskweb.experiments.specs import runs_of

    plan = state_of(write_plan(tmp_path, seeds="[1]")).plan
    with Heartbeat(plan.store) as heartbeat:
        heartbeat.report(next(iter(runs_of(plan))))
        monkeypatch.setattr("time.time", lambda: 1.0)
        assert [run.seconds for run in running_runs(plan.store)] == [0.0]


# --- real disks ---------------------------------------------------------------------------------------------------------


def mount(*arguments: str) -> bool:
    if shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, mounted a second time at the place that the test uses."""
    real, place = tmp_path / "real", tmp_path / "disk"
    real.mkdir()
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(real)) or not mount("--bind", str(real), str(place)):
        pytest.skip("only root may mount a disk")
    yield place
    for folder in (place, real):
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            return


def stop(_: Path) -> None:
    raise KeyboardInterrupt


def nothing(_: Path) -> None:
    pass


@dataclass(frozen=True)
class Trouble:
    """What happens to a disk while a plan runs, between two commands (a disk in use cannot become read-only), and at last."""

    during: Callable[[Path], object]
    between: Callable[[Path], object]
    end: Callable[[Path], object]


TROUBLES = {
    "full": Trouble(fill, nothing, lambda disk: (disk / "ballast").unlink()),
    "read-only": Trouble(
        stop,
        lambda disk: mount("-o", "remount,bind,ro", str(disk)),
        lambda disk: mount("-o", "remount,bind,rw", str(disk)),
    ),
    "gone": Trouble(
        lambda disk: subprocess.run(["umount", "--lazy", str(disk)], check=True),
        nothing,
        lambda disk: mount("--bind", str(disk.with_name("real")), str(disk)),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TROUBLES)
def test_a_plan_goes_on_after_trouble_with_its_disk(name: str, disk: Path, tmp_path: Path, trained: Trained) -> None:
    trouble = TROUBLES[name]
    plan = write_plan(tmp_path, seeds="[1]", store=str(disk / "web.db"))
    trained.then[3] = lambda: trouble.during(disk)
    with pytest.raises((TaskWebError, KeyboardInterrupt)) as caught:
        run_plan(plan, InlineExecutor())
    assert "\n" not in str(caught.value)
    trouble.between(disk)
    with pytest.raises(TaskWebError) as again:
        run_plan(plan, InlineExecutor())
    assert "\n" not in str(again.value)
    trouble.end(disk)
    state = run_plan(plan, InlineExecutor())
    assert (state.finished, state.failed, state.todo) == (RUNS, 0, ())
    assert unstored() == []
    assert len(trained) == RUNS + (trouble.during is stop)  # no finished run was carried out twice


def test_a_store_whose_first_bytes_are_damaged_is_not_taken_for_none(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    for spoiled in (b"", b"SQLite formed 3\0" + bytes(4096), bytes(8192)):
        (tmp_path / "web.db").write_bytes(spoiled)
        with pytest.raises(TaskWebError, match="is not a store of runs"):
            state_of(plan)
        with pytest.raises(TaskWebError, match="is not a store of runs"):
            run_plan(plan, InlineExecutor())
        assert (tmp_path / "web.db").read_bytes() == spoiled
