from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taskweb.errors import ParameterError, TaskWebError
from taskweb.experiments import InlineExecutor, ProcessExecutor, Reports, run_plan, state_of
from taskweb.experiments.checkpoint_cache import checkpoint_cache_of
from taskweb.experiments.executors import Executor
from taskweb.experiments.run_progress import PlanProgress
from taskweb.experiments.specs import groups_of, runs_of
from taskweb.web.opening import open_web
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from tests.experiments.planned import die, write_checkpoint, write_plan

RUNS = 2 * (3 + 6)
PROCESSES = ("--executor", "process")
Undisturbed = tuple[Path, dict[str, tuple[object, ...]]]


def outcomes(store: Path) -> dict[str, tuple[object, ...]]:
    """The measured values by key, to the bit; without durations and the like."""
    with RunStore.open(store, read_only=True) as opened:
        assert opened.check() == []
        return {run.key: measured(run) for run in opened.runs()}


def measured(run: Run) -> tuple[object, ...]:
    return (run.setup.name, run.source, run.target, run.seed, run.status, dict(run.metrics), run.history, dict(run.sizes))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The plan run once in this process, and its outcomes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    plan = write_plan(folder)
    state = run_plan(plan, InlineExecutor())
    assert (state.finished, state.failed, state.todo) == (RUNS, 0, ())
    return folder, outcomes(folder / "web.db")


def copied(source: Path, folder: Path) -> Path:
    """The same plan, data and weights in another folder, without a store."""
    for path in source.rglob("*"):
        if path.is_file() and not path.name.startswith("web.db"):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    text = (folder / "plan.toml").read_text().replace('"./model"', f'"{source / "model"}"')
    (folder / "plan.toml").write_text(text)
    return folder / "plan.toml"


def test_every_pair_and_baseline_is_measured_once(undisturbed: Undisturbed) -> None:
    folder, found = undisturbed
    assert len(found) == RUNS
    assert len({row[:4] for row in found.values()}) == RUNS
    assert sum(row[1] is None for row in found.values()) == 6
    assert not checkpoint_cache_of(state_of(folder / "plan.toml").plan).folder.exists()
    web = open_web(folder / "web.db")
    assert web.scale == "combined"
    assert web.t.shape == (1, 3, 3)
    assert state_of(folder / "plan.toml").seconds_per_run > 0


def test_a_finished_plan_does_nothing_again(undisturbed: Undisturbed) -> None:
    folder, _ = undisturbed
    calls: list[PlanProgress] = []
    run_plan(folder / "plan.toml", InlineExecutor(), reports=Reports(calls.append))
    assert {(call.known, call.done, call.left) for call in calls} == {(RUNS, 0, 0)}


def rewritten(undisturbed: Undisturbed, folder: Path) -> tuple[Path, set[str]]:
    """A copy of the plan with another path of its model, and the outcomes that it must have."""
    source, found = undisturbed
    return copied(source, folder), {json.dumps(row, default=dict) for row in found.values()}


@pytest.mark.parametrize("executor", [InlineExecutor(), ProcessExecutor(2)], ids=["inline", "process"])
def test_every_executor_gives_the_same_bits(executor: Executor, undisturbed: Undisturbed, tmp_path: Path) -> None:
    plan, expected = rewritten(undisturbed, tmp_path)
    run_plan(plan, executor)
    assert {json.dumps(row, default=dict) for row in outcomes(tmp_path / "web.db").values()} == expected


def test_every_order_gives_the_same_bits(undisturbed: Undisturbed, tmp_path: Path) -> None:
    from taskweb.experiments.executors import Job

    plan, expected = rewritten(undisturbed, tmp_path)
    groups = groups_of(runs_of(state_of(plan).plan))
    random.Random(0).shuffle(groups)
    for _ in InlineExecutor().run(Job(plan), groups):
        pass
    assert {json.dumps(row, default=dict) for row in outcomes(tmp_path / "web.db").values()} == expected


def kill_at_random_moments(plan: Path, store: Path, kills: int, *more: str, second: tuple[str, ...] = PROCESSES) -> int:
    """Start the command and kill it at a random time after a further run was stored, several times, then let it finish.

    It is killed once two more are stored at the latest, so that a fast machine does not finish before. second: options that are
    added every second time; with several processes, all of them are killed. Returns how often it was killed.
    """
    draw = random.Random(0)
    killed = 0
    command = [sys.executable, "-m", "taskweb.cli.main", "run", str(plan), "--quiet", "--format", "json", *more]
    while killed < kills:
        before = stored(store)
        options = second if killed % 2 == 1 else ()
        process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and stored(store) == before:
            time.sleep(0.005)
        until = time.monotonic() + draw.uniform(0, 0.3)
        while process.poll() is None and time.monotonic() < until and stored(store) < before + 3:
            time.sleep(0.005)
        if process.poll() is not None:
            assert process.returncode == 0  # all runs are done
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        killed += 1
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return killed


def stored(store: Path) -> int:
    """Number of runs in a store that another process may be creating."""
    try:
        with RunStore.open(store, read_only=True) as opened:
            return len(opened)
    except TaskWebError:
        return 0


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.repeats)])
def test_killed_at_random_moments_it_ends_at_the_same_web(kills: int, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Checkpoints are saved after every update, so that trainings resume."""
    seeds = str(list(range(1, 6 + kills)))
    for name in ("undisturbed", "disturbed"):
        copied(undisturbed[0], tmp_path / name)
        plan = tmp_path / name / "plan.toml"
        plan.write_text(plan.read_text().replace("seeds = [1, 2]", f"seeds = {seeds}"))
    run_plan(tmp_path / "undisturbed" / "plan.toml", InlineExecutor())
    store, plan = tmp_path / "disturbed" / "web.db", tmp_path / "disturbed" / "plan.toml"
    plan.write_text(plan.read_text() + "[checkpoints]\nseconds = 0\n")
    assert 2 * kill_at_random_moments(plan, store, kills) >= kills
    assert outcomes(store) == outcomes(tmp_path / "undisturbed" / "web.db")
    left = {path.name for path in store.parent.iterdir() if path.name.startswith((".", "web.db"))}
    assert left <= {"web.db", "web.db-wal", "web.db-shm", "web.db.digest"}


def test_a_run_that_diverges_is_recorded_and_other_runs_go_on(tmp_path: Path) -> None:
    write_plan(tmp_path)
    setups = (
        '[setups."tiny/finetune"]\nmodel = "./model"\ntraining = {learning_rate = 0.01, batch_size = 8, device = "cpu"}\n'
        '[setups."tiny/finetune".targets.birds]\nlearning_rate = 1e20\nepochs = 4\n'
    )
    plan = write_plan(tmp_path, setups=setups, seeds="[1]")
    state = run_plan(plan, InlineExecutor())
    assert state.finished + state.diverged + state.failed == 9
    assert state.diverged == 3
    with RunStore.open(tmp_path / "web.db") as store:
        bad = list(store.runs(status="diverged"))
        assert {run.target for run in bad} == {"birds"}
        assert "Lower the learning rate" in bad[0].reason
    assert state_of(plan).todo == ()
    assert len(state_of(plan, retry_failed=True).todo) == 3


def test_a_source_that_diverges_fails_its_runs_only(tmp_path: Path) -> None:
    setups = (
        '[setups."tiny/finetune"]\nmodel = "./model"\ntraining = {learning_rate = 0.01, batch_size = 8, device = "cpu"}\n'
        "source_training = {learning_rate = 1e20, epochs = 4}\n"
    )
    state = run_plan(write_plan(tmp_path, setups=setups, seeds="[1]"), InlineExecutor())
    assert (state.finished, state.diverged) == (3, 6)
    with RunStore.open(tmp_path / "web.db") as store:
        assert all(
            run.reason.startswith("the source was not trained: Training diverged") for run in store.runs(status="diverged")
        )


@pytest.mark.parametrize("family", ["gpt2", "roberta"])
def test_other_families_are_measured_as_well(family: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", family)
    setups = '[setups."tiny/pfeiffer"]\nmodel = "./model"\ntraining = {learning_rate = 0.01, batch_size = 8, device = "cpu"}\n'
    state = run_plan(write_plan(tmp_path, setups=setups, seeds="[1]"), InlineExecutor())
    assert (state.finished, state.failed, state.diverged) == (9, 0, 0)


def test_workers_that_keep_dying_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = write_plan(tmp_path, seeds="[1]", setups='[setups."tiny/finetune"]\nmodel = "./model"\n')
    monkeypatch.setattr("taskweb.experiments.executors.process._execute", die)
    with pytest.raises(TaskWebError, match="Worker processes died 3 times"):
        run_plan(plan, ProcessExecutor(1))


def test_executors_are_checked() -> None:
    with pytest.raises(ParameterError, match="number of workers"):
        ProcessExecutor(0)
