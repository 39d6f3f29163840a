"""Several processes with one store, and processes that are killed while they write to it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taskweb.errors import WebError
from taskweb.web.store import RunStore, connection, is_store, run_store
from tests.conftest import REPOSITORY
from tests.web.store.made_up import content, made_up_run, made_up_runs

pytestmark = pytest.mark.slow  # most start processes


def start_writer(path: Path, first: int, count: int, batch: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.web.store.writer", str(path), *map(str, (first, count, batch))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def test_four_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    writers = [start_writer(path, 5000 * number, 5000, 100) for number in range(4)]
    assert [writer.communicate()[0].splitlines()[-1] for writer in writers] == ["stored 5000"] * 4
    with RunStore.open(path) as store:
        assert len(store) == 20_000
        assert set(store.keys()) == {run.key for run in made_up_runs(20_000)}
        assert store.check() == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["runs.db", "runs.db.digest"]


def test_four_processes_write_the_same_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    writers = [start_writer(path, 0, 2000, 50) for _ in range(4)]
    stored = [int(writer.communicate()[0].split()[-1]) for writer in writers]
    assert sum(stored) == 2000
    with RunStore.open(path) as store:
        assert len(store) == 2000
        assert store.check() == []


def kill_and_resume(folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kill a writer that many times; a new file is begun every ten. Return acknowledged and found runs, over all files."""
    draw = random.Random(seed)
    acknowledged_in_all = found_in_all = 0
    for number in range(kills):
        if number % 10 == 0:
            path = folder / f"runs{number}.db"
            acknowledged = 0
        writer = start_writer(path, acknowledged, 1_000_000, draw.choice([1, 7, 50, 300]))
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        first = writer.stdout.readline() if number % 5 == 4 else ""  # a slow machine stores nothing in the time below
        time.sleep(draw.uniform(0, 0.15))
        writer.kill()
        said = (first + writer.communicate()[0]).split("\n")[:-1]  # a last line without an end was not written completely
        assert writer.returncode == -9
        acknowledged = int(said[-1]) if said else acknowledged
        if not path.exists():  # killed before the file had its name
            assert not acknowledged
            continue
        with RunStore.open(path) as store:
            assert store.check() == []
            keys = list(store.keys())
            assert len(keys) == len(set(keys)) == len(store)
            assert {run.key for run in made_up_runs(acknowledged)} <= set(keys)
            if acknowledged:
                last = made_up_run(acknowledged - 1)
                assert content(store.get(last.key)) == content(last)
        if number % 10 == 9 or number == kills - 1:
            acknowledged_in_all += acknowledged
            found_in_all += len(keys)
    return acknowledged_in_all, found_in_all


@pytest.mark.skipif(os.name == "nt", reason="processes are killed by signal")
@pytest.mark.parametrize("kills", [15, pytest.param(200, marks=pytest.mark.repeats)])
def test_a_killed_writer_loses_nothing_that_it_stored(kills: int, tmp_path: Path) -> None:
    acknowledged, found = kill_and_resume(tmp_path, kills, seed=kills)
    sys.stderr.write(f"{kills} kills: {acknowledged} runs acknowledged, {found} found, none lost, none twice\n")
    assert 0 < acknowledged <= found


def test_a_store_locked_for_long_by_another_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (connection, run_store):
        monkeypatch.setattr(module, "BUSY_SECONDS", 0.1)
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as store, RunStore.open(path) as other:
        with store._writing(), pytest.raises(WebError, match="has been locked by another process"):
            other.add(made_up_run(1))
        assert other.add(made_up_run(1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_store_opened_before_a_fork_is_refused_after_it(tmp_path: Path) -> None:
    code = (
        "import os, sys; from taskweb.web.store import RunStore\n"
        "store = RunStore.open(sys.argv[1], create=True)\n"
        "if os.fork() == 0:\n"
        "    try:\n        len(store)\n    except RuntimeError as fault:\n        print(fault, flush=True)\n    os._exit(0)\n"
        "os.wait()\nprint(len(store))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "r.db")], capture_output=True, text=True, check=True
    ).stdout
    assert "was opened before a fork. Open it again in this process." in said
    assert said.endswith("\n0\n")


def elsewhere(path: Path, code: str) -> str:
    """What code prints that has a store open in another process, and closes it."""
    whole = f"from taskweb.web.store import RunStore\nwith RunStore.open({str(path)!r}) as store:\n    {code}"
    return subprocess.run([sys.executable, "-c", whole], check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout


def test_opening_a_store_twice_in_a_process_releases_no_lock(tmp_path: Path) -> None:
    """Otherwise the other process regards itself as the last one, and deletes the write-ahead log."""
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as store:
        store.add(made_up_run(1))
        assert is_store(path)
        with RunStore.open(path, read_only=True) as second:
            assert len(second) == 1
        assert elsewhere(path, "print(len(store))") == "1\n"
        store.add(made_up_run(2))
        assert elsewhere(path, "print(len(store))") == "2\n"
