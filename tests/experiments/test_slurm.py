"""The Slurm executor, with commands of Slurm that really run the jobs, as processes of this machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.experiments import InlineExecutor, SlurmExecutor, run_plan, state_of
from taskweb.experiments.executors import Job, slurm_commands, slurm_jobs
from taskweb.experiments.executors.pieces import piece_of, work_of_piece
from taskweb.experiments.executors.slurm_worker import WorkerName, work_in
from taskweb.experiments.fusing import work_of
from taskweb.experiments.heartbeats import running_runs
from taskweb.experiments.specs import groups_of, runs_of
from taskweb.experiments.spool import Ending, Piece, Spool
from taskweb.web.store import RunStore
from tests.experiments import fake_slurm
from tests.experiments.planned import write_plan
from tests.experiments.test_engine import copied, outcomes, stored
from tests.experiments.test_interrupts import leftovers, members, start

LOOKS = 0.3
TRAINED_LONG = """
[setups."tiny/finetune"]
model = "./model"
training = {learning_rate = 0.01, batch_size = 8, steps = 100, device = "cpu"}
[checkpoints]
seconds = 0.1
"""


@dataclass
class Cluster:
    """The made-up cluster."""

    folder: Path

    def running(self) -> dict[str, int]:
        """The processes of the elements that run."""
        return {name: own["pid"] for name, own in fake_slurm.elements(self.folder).items() if own["state"] == "RUNNING"}

    def states(self) -> dict[str, str]:
        return {name: own["state"] for name, own in fake_slurm.elements(self.folder).items()}

    def want(self, element: str, state: str) -> None:
        """Let an element end like that."""
        fake_slurm.update(self.folder, element, wanted=state)

    def end(self, element: str, state: str) -> None:
        """Let an element end like that, and wait until its process has; it may run again by then."""
        process = self.running()[element]
        self.want(element, state)
        wait_for(lambda: self.running().get(element) != process)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("slurm")
    monkeypatch.setenv("PATH", f"{fake_slurm.install(folder)}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    made = Cluster(folder)
    yield made
    for element in made.running():
        made.want(element, "CANCELLED")
    wait_for(lambda: not set(made.states().values()) & set(fake_slurm.LIVE))


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- quick: no job is started -----------------------------------------------------------------------------------------------


def test_options_for_sbatch() -> None:
    assert slurm_commands.options_of(["time=04:00:00", "--mem=2G", "exclusive"]) == (
        "--time=04:00:00",
        "--mem=2G",
        "--exclusive",
    )
    with pytest.raises(ParameterError) as refused:
        slurm_commands.options_of(["array=3", "p=gpu", "=x", "a b=c", "mem=1G"])
    said = str(refused.value)
    assert [part in said for part in ("array is set by taskweb", "long name of the option -p", "'=x'", "'a b=c'", "mem")] == [
        *(True, True, True, True, False)
    ]
    assert SlurmExecutor(options=("gres=gpu:a100:1",)).uses_gpus
    assert not SlurmExecutor(options=("mem=2G",)).uses_gpus
    for wrong in ({"gpus": 0.5}, {"workers": 0}, {"options": ("wrap=rm",)}):
        with pytest.raises(ParameterError):
            SlurmExecutor(**wrong)  # type: ignore[arg-type]


def test_without_slurm_and_where_it_refuses_one_line_says_so(cluster: Cluster, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    (cluster.folder / "refusal").write_text(
        "sbatch: error: invalid partition specified: gpus\nsbatch: error: Batch job submission failed: Invalid partition name "
        "specified\n"
    )
    with pytest.raises(
        TaskWebError, match="Slurm refused: invalid partition specified: gpus Invalid partition name"
    ) as refused:
        run_plan(plan, SlurmExecutor(looks=LOOKS))
    assert "\n" not in str(refused.value)
    with pytest.raises(TaskWebError, match="unrecognized option '--tme'"):
        run_plan(plan, SlurmExecutor(options=("tme=1",), looks=LOOKS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        with pytest.raises(TaskWebError, match="needs sbatch, which is not on this machine's PATH"):
            run_plan(plan, SlurmExecutor(looks=LOOKS))
    assert leftovers(tmp_path) == set()


def test_a_piece_is_taken_once_and_given_back(tmp_path: Path) -> None:
    spool = Spool.beside(tmp_path / "web.db")
    spool.create()
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    piece = Piece(3, (("m/lora", None, 1, ("a", "b")),), ("k1", "k2"), True, 4)
    spool.offer(piece)
    threads = [threading.Thread(target=lambda name=f"1_{i}-0": got.append(spool.take(name))) for i in range(8)]
    got: list[object] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (mine,) = (found for found in got if found is not None)
    (taken,) = spool.taken()
    assert (taken, taken.piece) == (mine, piece)
    spool.give_back(taken)
    assert not spool.take_back(taken)
    assert spool.offered() == [piece]
    spool.end("1_0-0", Ending(("m/lora", None, "a", 1), False))
    assert spool.endings() == {"1_0-0": Ending(("m/lora", None, "a", 1), False)}


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    spool = Spool.beside(tmp_path / "web.db")
    spool.create()
    spool.folder.chmod(0o770)
    with pytest.raises(InputError, match=r"Others can write to .*web\.db\.slurm"):
        work_in(spool, tmp_path / "plan.toml", WorkerName("1_0"))
    spool.remove()
    (tmp_path / "other").mkdir(mode=0o700)
    spool.folder.symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match=r"Others can write to"):
        spool.create()


def test_jobs_hand_over_what_one_process_would_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs as threads of this process."""
    one, other = tmp_path / "inline", tmp_path / "slurm"
    one.mkdir()
    write_plan(one, seeds="[1]")
    copied(one, other)
    (one / "plan.toml").write_text((other / "plan.toml").read_text())
    run_plan(one / "plan.toml", InlineExecutor())
    threads: list[threading.Thread] = []

    def submit(script: Path, _name: str, elements: int, _log: Path, _options: object) -> str:
        assert "--worker" in script.read_text()
        spool = Spool(script.parent)
        for place in range(elements):
            threads.append(threading.Thread(target=work_in, args=(spool, other / "plan.toml", WorkerName(f"7_{place}"))))
            threads[-1].start()
        return "7"

    def look(_jobs: object) -> dict[str, slurm_commands.JobState]:
        return {f"7_{i}": slurm_commands.JobState("RUNNING") for i, own in enumerate(threads) if own.is_alive()}

    for name, made in (("submit", submit), ("look", look), ("cancel", lambda _: None), ("require", lambda: None)):
        monkeypatch.setattr(slurm_commands, name, made)
    state = run_plan(other / "plan.toml", SlurmExecutor(1, looks=0.02))
    assert (state.finished, state.failed, state.todo) == (9, 0, ())
    assert outcomes(other / "web.db") == outcomes(one / "web.db")
    assert leftovers(other) == set()


def test_pieces_are_the_work_that_was_written_down(tmp_path: Path) -> None:
    lora = '[setups."tiny/lora"]\nmodel = "./model"\ntraining = {learning_rate = 0.01, batch_size = 8, device = "cpu"}\n'
    path = write_plan(tmp_path, seeds="[1]", setups=lora)
    opened = Job(path).open()
    groups = groups_of(runs_of(opened.plan))
    spool = Spool.beside(opened.plan.store)
    spool.create()
    for number, work in enumerate((groups[1], *work_of(groups, 4))):
        spool.offer(piece_of(number, work, opened))
        taken = spool.take("1_0-0")
        assert taken is not None
        assert work_of_piece(taken.piece, opened) == work
        spool.finish(taken)
    write_plan(tmp_path, seeds="[1]", setups=lora.replace("0.01", "0.02"))
    with pytest.raises(InputError, match="changed while it ran"):
        work_of_piece(taken.piece, Job(path).open())


def test_another_executor_ends_the_jobs_and_stores_what_they_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    store = tmp_path / "web.db"
    run_plan(plan, InlineExecutor())
    with RunStore.open(store, read_only=True) as opened:
        run = replace(next(iter(opened.runs())), durations={"training": 1234.0})
    store.unlink()
    Path(f"{store}.digest").unlink()
    RunStore.open(store, create=True).close()
    spool = Spool.beside(store)
    spool.create()
    spool.hand_over(Piece(0, (), (run.key,)), run)
    assert state_of(plan).finished == 1  # not stored yet, but done
    spool.note({"plan": "", "jobs": ["7"]})
    cancelled: list[object] = []
    alive = {"7_0": slurm_commands.JobState("RUNNING")}
    monkeypatch.setattr(slurm_jobs, "_SECONDS_TO_END", 0.0)
    monkeypatch.setattr(slurm_commands, "cancel", cancelled.append)
    monkeypatch.setattr(slurm_commands, "look", lambda _: alive)
    with pytest.raises(TaskWebError, match="The Slurm jobs 7 of an earlier run do not end"):
        run_plan(plan, InlineExecutor())
    alive.clear()
    assert run_plan(plan, InlineExecutor()).finished == 9
    assert cancelled == [["7"]] * 2
    with RunStore.open(store, read_only=True) as opened:
        found = opened.get(run.key)
    assert found is not None
    assert found.durations == {"training": 1234.0}  # not done again
    assert leftovers(tmp_path) == set()


# --- real jobs --------------------------------------------------------------------------------------------------------------


class Watch(threading.Thread):
    """Which outcomes appear in the folder of a store, each with the file that it is."""

    def __init__(self, store: Path) -> None:
        super().__init__(daemon=True)
        self.spool, self.ended, self.files = Spool.beside(store), threading.Event(), set[tuple[str, int, int]]()

    def run(self) -> None:
        while not self.ended.wait(0.01):
            for file in self.spool.folder.glob("outcomes/*/*.json"):
                try:
                    found = file.stat()
                except FileNotFoundError:
                    continue
                self.files.add((file.stem, found.st_ino, found.st_mtime_ns))

    def twice(self) -> list[str]:
        self.ended.set()
        self.join()
        keys = [key for key, _, _ in self.files]
        return sorted({key for key in keys if keys.count(key) > 1})


@pytest.mark.slow
@pytest.mark.repeats
def test_preempted_killed_and_timed_out_jobs_lose_nothing(cluster: Cluster, tmp_path: Path) -> None:
    one, other = tmp_path / "inline", tmp_path / "slurm"
    one.mkdir()
    write_plan(one, seeds="[1, 2]", setups=TRAINED_LONG)
    copied(one, other)
    (one / "plan.toml").write_text((other / "plan.toml").read_text())
    run_plan(one / "plan.toml", InlineExecutor())
    store = other / "web.db"
    watch = Watch(store)
    watch.start()
    ended: list[str] = []

    def disturb() -> None:
        for state in ("PREEMPTED", "KILLED", "TIMEOUT"):
            before = stored(store) if store.exists() else 0
            wait_for(lambda: store.exists() and stored(store) > before and len(running_runs(store)) > 1)  # noqa: B023
            element = next(iter(cluster.running()))
            cluster.end(element, state)
            ended.append(element)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    state = run_plan(other / "plan.toml", SlurmExecutor(2, looks=LOOKS))
    disturbing.join()
    assert (state.finished, state.failed, state.todo) == (18, 0, ())
    assert len(ended) == 3
    assert watch.twice() == []
    assert {"TIMEOUT", "FAILED"} <= set(cluster.states().values())
    assert fake_slurm.elements(cluster.folder)[ended[0]]["restart"] == 1
    assert outcomes(store) == outcomes(one / "web.db")
    assert not (other / "web.db.sources").exists()
    assert leftovers(other) == set()


@pytest.mark.slow
@pytest.mark.repeats
def test_an_owner_that_is_killed_and_the_next_one(cluster: Cluster, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1, 2]", setups=TRAINED_LONG)
    store = tmp_path / "web.db"
    watch = Watch(store)
    watch.start()
    first = start(plan, "--executor", "slurm")
    wait_for(lambda: store.exists() and stored(store) > 0)
    first.kill()
    first.communicate()
    before = stored(store)
    wait_for(lambda: len(cluster.running()) == 2)
    wait_for(lambda: state_of(plan).finished > before)  # what jobs have done since counts
    wait_for(lambda: len(state_of(plan).workers) == 2)
    state = run_plan(plan, SlurmExecutor(2, looks=LOOKS))
    assert (state.finished, state.failed, state.todo) == (18, 0, ())
    assert watch.twice() == []
    assert len(list(cluster.folder.glob("*.script"))) == 1  # the first owner's jobs did the rest
    assert leftovers(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.repeats
def test_an_interrupt_ends_all_jobs(cluster: Cluster, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]", setups=TRAINED_LONG.replace("steps = 100", "steps = 100000"))
    process = start(plan, "--executor", "slurm")
    wait_for(lambda: len(list((tmp_path / "web.db.sources").glob("*.training"))) == 2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, ""), err
    assert err.endswith("Stopped: 0 of 9 runs are done and saved. The same command continues from here.\n")
    assert set(cluster.states().values()) == {"CANCELLED"}
    wait_for(lambda: members(process.pid) == [])
    assert leftovers(tmp_path) == set()
    assert list((tmp_path / "web.db.sources").glob("*.training"))  # from which the same command goes on
    plan.write_text(plan.read_text().replace("steps = 100000", "steps = 2"))
    assert run_plan(plan, SlurmExecutor(2, looks=LOOKS)).finished == 9


@pytest.mark.slow
@pytest.mark.repeats
def test_jobs_that_cannot_work_end_in_one_line(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = write_plan(tmp_path, seeds="[1]", setups=TRAINED_LONG.replace("steps = 100", "steps = 100000"))
    monkeypatch.setattr(slurm_jobs.sys, "executable", "/nowhere/python")
    with pytest.raises(
        TaskWebError, match=r"ended 3 times before a run began \(Slurm says FAILED\)\. The last one said: .*/nowhere"
    ):
        run_plan(plan, SlurmExecutor(3, looks=LOOKS))
    monkeypatch.undo()


@pytest.mark.slow
@pytest.mark.repeats
def test_a_run_that_kills_its_jobs_fails_and_jobs_that_a_person_cancels_stay_away(cluster: Cluster, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]", setups=TRAINED_LONG.replace("steps = 100", "steps = 100000"))
    store = tmp_path / "web.db"
    found: list[object] = []

    def kill() -> None:
        for _ in range(3):
            wait_for(lambda: running_runs(store) and cluster.running())
            (element,) = cluster.running()
            cluster.end(element, "KILLED")
        wait_for(lambda: stored(store) == 1)
        wait_for(lambda: running_runs(store) and cluster.running())
        found.extend(state_of(plan).setups)
        (element,) = cluster.running()
        cluster.want(element, "CANCELLED")

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(TaskWebError, match="All Slurm jobs of this plan were cancelled"):
        run_plan(plan, SlurmExecutor(1, looks=LOOKS))
    killer.join()
    assert [setup.failed for setup in found] == [1]  # type: ignore[attr-defined]
    assert leftovers(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.repeats
def test_jobs_wait_in_the_queue_and_a_busy_slurm_is_asked_again(cluster: Cluster, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    (cluster.folder / "full").touch()
    seen: list[tuple[int, str]] = []

    def watch() -> None:
        wait_for(lambda: state_of(plan).waiting == (2, "Priority"))
        seen.append(state_of(plan).waiting)
        (cluster.folder / "busy").touch()
        (cluster.folder / "full").unlink()
        time.sleep(4 * LOOKS)
        (cluster.folder / "busy").unlink()

    watching = threading.Thread(target=watch)
    watching.start()
    state = run_plan(plan, SlurmExecutor(2, looks=LOOKS))
    watching.join()
    assert (state.finished, seen) == (9, [(2, "Priority")])
    assert leftovers(tmp_path) == set()
