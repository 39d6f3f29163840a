"""An interrupt from outside, as a terminal sends it: to all processes of the command at once."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import TaskWebError
from taskweb.experiments import InlineExecutor, run_plan, state_of
from taskweb.experiments.executors.process import _no_interrupts
from taskweb.experiments.heartbeats import Heartbeat, PassFacts, abandoned_runs, running_runs, running_workers
from taskweb.experiments.plan_lock import plan_lock
from taskweb.experiments.specs import runs_of
from taskweb.experiments.task_data import load_task_data
from tests.experiments.planned import write_plan
from tests.experiments.test_engine import copied, outcomes, stored


def start(plan: Path, *options: str) -> subprocess.Popen[str]:
    """The command in a process group of its own."""
    code = "from taskweb.cli.entry import main; main()"
    command = [sys.executable, "-c", code, "run", str(plan), "--format", "json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(condition: object, process: subprocess.Popen[str], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def members(group: int) -> list[int]:
    """The live processes of a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def leftovers(folder: Path) -> set[str]:
    """Files beside the store that only a running plan has."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.startswith(("web.db", "."))}
    names |= {str(path.relative_to(folder)) for path in folder.rglob("*") if ".part" in path.name or ".running" in str(path)}
    return {name for name in names if not re.fullmatch(r"web\.db(-wal|-shm|\.digest|\.sources)?", name)}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ((), signal.SIGINT),
        ((), signal.SIGTERM),
        (("--executor", "process", "--workers", "2"), signal.SIGINT),
        pytest.param(("--executor", "ray"), signal.SIGINT, marks=pytest.mark.ray),
    ],
    ids=["inline", "terminated", "process", "ray"],
)
def test_an_interrupt_leaves_no_files_and_the_same_command_resumes(
    options: tuple[str, ...], sent: signal.Signals, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "ray" in options:
        pytest.importorskip("ray")
        request.getfixturevalue("ray_folder")
    settings = '{learning_rate = 0.01, batch_size = 8, steps = STEPS, device = "cpu"}'
    setups = "".join(
        f'[setups."{name}/finetune"]\nmodel = "./model"\ntraining = {settings.replace("STEPS", steps)}\n'
        for name, steps in (("short", "1"), ("long", "100000"))
    )
    plan = write_plan(tmp_path, setups=setups, seeds="[1]")
    process = start(plan, *options)
    wait_for(lambda: any(run.setup == "long/finetune" for run in running_runs(tmp_path / "web.db")), process)
    os.killpg(process.pid, sent)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    assert re.search(r"Stopped: \d+ of 18 runs are done and saved\. The same command continues from here\.\n$", err), err
    assert all(line.startswith(("plan: ", "Stopped: ", "Token authentication")) for line in err.splitlines()), err
    deadline = time.monotonic() + 60
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert members(process.pid) == []
    assert leftovers(tmp_path) == set()
    assert state_of(plan).running == ()
    before = stored(tmp_path / "web.db")
    plan.write_text(plan.read_text().replace("steps = 100000", "steps = 2"))
    state = run_plan(plan, InlineExecutor())
    assert (0 if options else 1) <= before < 18  # several workers begin with the longest work
    assert (state.failed, state.todo, state.finished) == (0, (), 18)
    assert not (tmp_path / "web.db.sources").exists()


@pytest.mark.slow
def test_a_second_command_on_the_same_store_is_refused_with_the_process_id(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    write_plan(one, seeds="[1, 2, 3]")
    copied(one, other)
    first = start(one / "plan.toml")
    wait_for(lambda: stored(one / "web.db") > 0, first)
    first.send_signal(signal.SIGSTOP)  # else it may finish before the second begins
    try:
        second = start(one / "plan.toml")
        _, err = second.communicate(timeout=120)
    finally:
        first.send_signal(signal.SIGCONT)
    out, _ = first.communicate(timeout=120)
    assert second.returncode == 2
    assert f"is being filled by another taskweb run (process {first.pid})" in err
    assert first.returncode == 0
    found = outcomes(one / "web.db")
    assert [row for row in found.values() if row[4] != "finished"] == []
    assert (len(found), json.loads(out)["finished"]) == (27, 27)


def test_only_one_process_fills_a_store(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]")
    said = rf"is being filled by another taskweb run \(process {os.getpid()}\)"
    with plan_lock(tmp_path / "web.db"), pytest.raises(TaskWebError, match=said):
        run_plan(plan, InlineExecutor())
    (tmp_path / "web.db.lock").write_text("12345")  # left by a process that was killed
    assert run_plan(plan, InlineExecutor()).finished == 9
    assert leftovers(tmp_path) == set()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signal masks")
def test_an_interrupt_while_workers_start_waits_until_they_have() -> None:
    """The kernel may hand it to any thread, and only the main thread blocks it."""
    steps: list[str] = []
    free = threading.Event()
    other = threading.Thread(target=free.wait)  # one that does not block it
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            with _no_interrupts():
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000):
                    time.sleep(0.0001)
                steps.append("started")
            steps.append("never")
    finally:
        free.set()
        other.join()
    assert steps == ["started"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # as before again


def test_workers_of_another_machine_are_alive_while_their_heartbeat_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = state_of(write_plan(tmp_path, seeds="[1]")).plan
    monkeypatch.setattr("taskweb.experiments.heartbeats._renew_from_now_on", lambda _: None)  # not in the middle of this test
    with Heartbeat(plan.store) as heartbeat:
        heartbeat.report(next(iter(runs_of(plan))))
        monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
        monkeypatch.setattr("taskweb.experiments.heartbeats.is_locked", lambda _: False)  # as file servers without locks say
        assert len(running_runs(plan.store)) == 1
        os.utime(heartbeat.file, (time.time() - 200, time.time() - 200))
        assert running_runs(plan.store) == []
        heartbeat.renew()
        assert len(running_runs(plan.store)) == 1


def test_without_a_folder_of_heartbeats_nobody_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "web.db"
    assert running_runs(store) == []
    (tmp_path / "web.db.running").mkdir()

    def gone(_folder: object) -> list[Path]:
        raise FileNotFoundError  # the last worker has removed it between two looks

    monkeypatch.setattr(Path, "iterdir", gone)
    assert running_runs(store) == []


def test_a_heartbeat_is_read_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = state_of(write_plan(tmp_path, seeds="[1]")).plan
    first, *others = runs_of(plan)
    seen: list[int] = []

    def write(*given: Any) -> int:
        seen.append(len(running_runs(plan.store)))
        return pwrite(*given)

    with Heartbeat(plan.store) as heartbeat:
        heartbeat.report(first)
        pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", write)
        for spec in others:
            heartbeat.report(spec)
        for spec in runs_of(plan):
            heartbeat.end(spec.record(load_task_data(plan), 1))
        heartbeat.note(PassFacts(1, 0.0))
        assert seen == [*range(1, 10)]
        (worker,) = running_workers(plan.store)
        assert worker.runs == ()


def test_a_worker_that_died_before_it_wrote_its_heartbeat_leaves_none(tmp_path: Path) -> None:
    store = tmp_path / "web.db"
    folder = tmp_path / "web.db.running"
    folder.mkdir()
    (folder / "1.json").touch()
    with (folder / "2.json").open("w") as begun:
        fcntl.flock(begun, fcntl.LOCK_EX)
        assert abandoned_runs(store) == []
        assert [file.name for file in folder.iterdir()] == ["2.json"]
    assert abandoned_runs(store) == []
    assert not folder.exists()
