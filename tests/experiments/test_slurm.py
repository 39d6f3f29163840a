"""The Slurm executor, with commands of Slurm that really run the jobs, as processes of this machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.experiments import InlineExecutor, SlurmExecutor, run_plan, state_of
from taskweb.experiments.executors import Job, slurm, slurm_commands, slurm_jobs
from taskweb.experiments.executors.pieces import piece_of, work_of_piece
from taskweb.experiments.executors.slurm_worker import WorkerName, work_in
from taskweb.experiments.fusing import work_of
from taskweb.experiments.heartbeats import Heartbeat, running_runs
from taskweb.experiments.specs import groups_of, runs_of
from taskweb.experiments.spool import Ending, Piece, Spool, Taken
from taskweb.web.records.run import Run
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


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_piece_that_is_done_is_not_given_back(is_stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is ended between the two steps by which it says that a piece is done."""
    spool = Spool.beside(tmp_path / "web.db")
    spool.create()
    spool.offer(Piece(3, (("m/lora", None, 1, ("a",)),), ("k1",)))
    taken = spool.take("1_0-0")
    assert taken is not None
    unlink = Path.unlink

    def stopped(file: Path, missing_ok: bool = False) -> None:
        if file == taken.file:
            raise KeyboardInterrupt
        unlink(file, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stopped)
        with pytest.raises(KeyboardInterrupt):
            spool.finish(taken)
    assert [number for number, _ in spool.finished()] == [3]
    if is_stored:  # the owner was faster
        spool.forget(3)
    spool.give_back(taken)
    assert (spool.offered(), spool.taken()) == ([], [])


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


def spooled(plan: Path) -> tuple[Spool, dict[str, Run]]:
    """A folder in which worker 7_0-0 has all groups of a plan, and what it will measure. The store is empty."""
    store = plan.with_name("web.db")
    run_plan(plan, InlineExecutor())
    with RunStore.open(store, read_only=True) as opened:
        runs = {run.key: run for run in opened.runs()}
    for file in (store, Path(f"{store}.digest")):
        file.unlink()
    job, spool = Job(plan).open(), Spool.beside(store)
    spool.create()
    spool.note({"plan": slurm._identity(plan), "jobs": ["7"]})
    for number, group in enumerate(groups_of(runs_of(job.plan))):
        spool.offer(piece_of(number, group, job))
        assert spool.take("7_0-0") is not None
    return spool, runs


def hand_over(spool: Spool, taken: Taken, runs: Mapping[str, Run]) -> None:
    """What a worker leaves that has done a piece."""
    for key in taken.piece.keys:
        spool.hand_over(taken.piece, runs[key])
    spool.finish(taken)


@pytest.fixture
def no_jobs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A cluster without jobs. Returns the scripts that are submitted."""
    submitted: list[Path] = []

    def submit(script: Path, *_others: object) -> str:
        submitted.append(script)
        raise slurm_commands.SlurmError("No job is needed.")

    for name, made in (("submit", submit), ("look", lambda _: {}), ("cancel", lambda _: None), ("require", lambda: None)):
        monkeypatch.setattr(slurm_commands, name, made)
    return submitted


def test_what_a_worker_finishes_while_it_is_taken_over_is_not_done_again(
    no_jobs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    spool, runs = spooled(plan)
    taken, looks = Spool.taken, iter(range(10**6))

    def finishing(self: Spool) -> list[Taken]:
        for own in taken(self)[: 1 if next(looks) == 0 else None]:  # one, and then the others
            hand_over(self, own, runs)
        return taken(self)

    monkeypatch.setattr(Spool, "taken", finishing)
    monkeypatch.setattr(slurm_jobs, "_MAX_FAULTS", 1)
    state = run_plan(plan, SlurmExecutor(2, looks=0.01))
    assert (state.finished, no_jobs) == (9, [])
    assert not spool.exists


def test_a_piece_that_is_given_back_while_it_is_taken_over_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.beside(tmp_path / "web.db")
    spool.create()
    piece = Piece(3, (("m/lora", None, 1, ("a",)),), ("k1",))
    spool.offer(piece)
    mine, taken = spool.take("1_0-0"), Spool.taken
    assert mine is not None

    def giving_back(self: Spool) -> list[Taken]:
        self.give_back(mine)
        return taken(self)

    monkeypatch.setattr(Spool, "taken", giving_back)
    assert spool.unfinished() == [piece]


def test_failed_runs_of_an_earlier_owner_are_tried_again_on_request(
    no_jobs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    spool, runs = spooled(plan)
    failed = next(iter(runs))
    for taken in spool.taken():
        changed = {"status": "failed", "reason": "no memory", "metrics": {}}
        hand_over(spool, taken, runs | {failed: replace(runs[failed], **changed)})  # type: ignore[arg-type]

    def submit(script: Path, *_others: object) -> str:
        work_in(Spool(script.parent), plan, WorkerName("8_0"))
        return "8"

    monkeypatch.setattr(slurm_commands, "submit", submit)
    state = run_plan(plan, SlurmExecutor(1, looks=0.01), retry_failed=True)
    assert (state.finished, state.failed) == (9, 0)


@pytest.mark.parametrize("fused", [False, True])
def test_a_run_that_is_given_up_is_not_taken_again(
    no_jobs: list[Path], fused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = '[setups."tiny/lora"]\nmodel = "./model"\ntraining = {learning_rate = 0.01, batch_size = 8, device = "cpu"}\n'
    plan = write_plan(tmp_path, seeds="[1]", setups=lora)
    opened = Job(plan).open()
    groups = groups_of(runs_of(opened.plan))
    spool, left = Spool.beside(opened.plan.store), list[set[str]]()
    spool.create()
    offer, give_back = Spool.offer, Spool.give_back

    def offered(self: Spool, piece: Piece) -> None:
        left.append(set(piece.keys))
        offer(self, piece)

    def given_back(self: Spool, taken: Taken) -> None:
        left.append(set(taken.piece.keys) - self.known(taken.piece))
        give_back(self, taken)

    with opened.open_store() as store:
        owner = slurm._Owner(SlurmExecutor(1), plan, opened, store)
        owner.begin(work_of(groups, 4) if fused else groups)
        taken = spool.take("7_0-0")
        assert taken is not None
        spec = next(groups[0].specs())
        run = (spec.setup.name, spec.source, spec.target, spec.seed)
        monkeypatch.setattr(owner.jobs, "look", lambda: slurm_jobs.Lost([(taken, run)], {run: "its jobs died"}))
        monkeypatch.setattr(owner.jobs, "submit_missing", lambda _: None)
        monkeypatch.setattr(Spool, "offer", offered)
        monkeypatch.setattr(Spool, "give_back", given_back)
        assert owner._look() == 1
        assert owner._look() == 0
        key = opened.runner.record_of(spec).key
        failed = store.get(key)
    assert failed is not None
    assert failed.status == "failed"
    assert left
    assert not any(key in keys for keys in left)


def test_an_element_that_slurm_misses_now_and_then_is_not_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.beside(tmp_path / "web.db")
    spool.create()
    spool.offer(Piece(3, (("m/lora", None, 1, ("a",)),), ("k1",)))
    assert spool.take("7_0-0") is not None
    jobs, running = slurm_jobs.WorkerJobs(spool, SlurmExecutor(1), tmp_path, 1), {"7_0": slurm_commands.JobState("RUNNING")}
    for alive in (*([running, {}, {}] * 3), running):
        monkeypatch.setattr(slurm_commands, "look", lambda _, alive=alive: alive)
        assert jobs.look() == slurm_jobs.Lost()
    assert dict(jobs.vanished) == {}


def test_a_job_that_ended_by_itself_may_die_after_it_was_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Job(write_plan(tmp_path, seeds="[1]")).open()
    group = groups_of(runs_of(opened.plan))[0]
    spec = next(group.specs())
    run = (spec.setup.name, spec.source, spec.target, spec.seed)
    spool = Spool.beside(opened.plan.store)
    spool.create()
    spool.offer(piece_of(0, group, opened))
    jobs = slurm_jobs.WorkerJobs(spool, SlurmExecutor(1), tmp_path, 1)
    jobs.take_over(["7"])
    spool.end("7_0-0", Ending(run, True))
    monkeypatch.setattr(slurm_commands, "look", lambda _: {"7_0": slurm_commands.JobState("RUNNING")})
    monkeypatch.setattr(slurm_commands, "endings", lambda _: {})
    jobs.look()
    taken = spool.take("7_0-1")
    with Heartbeat(opened.plan.store, file=spool.heartbeats / "7_0-1.json") as heartbeat:
        heartbeat.report(spec)
        jobs.look()
        monkeypatch.setattr(slurm_commands, "look", lambda _: {})
        assert [jobs.look().taken for _ in range(3)] == [[], [], [(taken, run)]]
    assert jobs.deaths[run] == 1


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
            with suppress(FileNotFoundError):  # the owner has stored what was listed, and removed it
                for file in self.spool.folder.glob("outcomes/*/*.json"):
                    found = file.stat()
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
            element, other = cluster.running()
            process = cluster.running()[other]
            os.kill(process, signal.SIGSTOP)  # else it may do all the rest meanwhile
            try:
                cluster.end(element, state)
                wait_for(lambda: len(running_runs(store)) > 1)
            finally:
                os.kill(process, signal.SIGCONT)
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
    wait_for(lambda: state_of(plan).finished > before)  # what jobs have done since counts
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
    refused = cluster.folder / "refused"
    seen: list[tuple[int, str]] = []

    def watch() -> None:
        wait_for(lambda: state_of(plan).waiting == (2, "Priority"))
        seen.append(state_of(plan).waiting)
        (cluster.folder / "busy").touch()
        wait_for(lambda: refused.exists() and len(refused.read_text().splitlines()) > slurm_jobs._MAX_FAULTS)
        (cluster.folder / "busy").unlink()
        (cluster.folder / "full").unlink()  # not before: jobs that Slurm is not asked about would end by themselves

    watching = threading.Thread(target=watch)
    watching.start()
    state = run_plan(plan, SlurmExecutor(2, looks=LOOKS))
    watching.join()
    assert (state.finished, seen) == (9, [(2, "Priority")])
    assert leftovers(tmp_path) == set()
