"""Stores on network file systems: a journal instead of a log, and one machine at a time."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskweb.errors import StorageError
from taskweb.web.store import RunStore, file_system, lease
from taskweb.web.store.file_system import file_system_number, network_file_system
from taskweb.web.store.lease import EXPIRES, Holder, this_holder
from tests.conftest import REPOSITORY
from tests.web.store.made_up import made_up_run, made_up_runs

NFS = 0x6969


@pytest.fixture
def on_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder lies on NFS."""
    monkeypatch.setattr(file_system, "file_system_number", lambda folder: NFS)


@pytest.fixture
def other_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[], pytest.MonkeyPatch]:
    """Makes this process one of the machine node7."""

    def become() -> pytest.MonkeyPatch:
        monkeypatch.setattr(lease, "this_holder", lambda: Holder("node7", "another boot", 4711))
        return monkeypatch

    return become


def journal_of(path: Path) -> str:
    connection = sqlite3.connect(path)
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()
    return str(mode)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
def test_the_kinds_of_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file_system_number(Path("/proc")) == 0x9FA0
    assert file_system_number(tmp_path / "gone") == 0
    assert network_file_system(Path("/proc")) is None
    for number, name in ((NFS, "NFS"), (0xFF534D42, "SMB"), (0x0BD00BD0, "Lustre"), (0xEF53, None), (0x01021994, None)):
        monkeypatch.setattr(file_system, "file_system_number", lambda folder, number=number: number)
        assert network_file_system(tmp_path) == name


def test_file_systems_in_user_space_are_known_by_their_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    far = "/mnt/far\\040away"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nhost:/x {far} fuse.sshfs rw 0 0\n/dev/sdb {far}/in ext4 rw 0 0\n")
    monkeypatch.setattr(file_system, "_MOUNTS", mounts)
    monkeypatch.setattr(file_system, "file_system_number", lambda folder: 0x65735546)
    assert network_file_system(Path("/mnt/far away/web")) == "SSHFS"
    assert network_file_system(Path("/mnt/far away/in/web")) is None
    assert network_file_system(Path("/mnt")) is None


@pytest.mark.usefixtures("on_network")
def test_a_store_on_a_network_has_a_journal_and_no_log(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as store:
        assert store.add_many(made_up_runs(50)) == 50
        assert names(tmp_path) == ["runs.db", "runs.db.digest", "runs.db.lease"]
        with RunStore.open(path, read_only=True) as reader:
            assert len(reader.run_table()) == 50
        with RunStore.open(path) as second:  # of this machine
            assert second.add(made_up_run(50))
        assert "runs.db.lease" in names(tmp_path)
        assert store.add(made_up_run(51))
    assert names(tmp_path) == ["runs.db", "runs.db.digest"]
    assert journal_of(path) == "delete"
    with RunStore.open(path, read_only=True) as store:
        assert len(store) == 52
        assert store.check() == []
    assert names(tmp_path) == ["runs.db", "runs.db.digest"]


def test_a_store_that_comes_to_a_network_has_no_log_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, copy = tmp_path / "runs.db", tmp_path / "copy"
    with RunStore.open(path, create=True) as store:
        store.add_many(made_up_runs(20))
    copy.mkdir()
    with RunStore.open(path) as store:
        store.add(made_up_run(20))
        for suffix in ("", "-wal", ".digest"):
            (copy / f"runs.db{suffix}").write_bytes((tmp_path / f"runs.db{suffix}").read_bytes())
    with monkeypatch.context() as patched:
        patched.setattr(file_system, "file_system_number", lambda folder: NFS)
        with RunStore.open(path, read_only=True) as store:
            assert len(store.run_table()) == 21
        with pytest.raises(StorageError, match=r"has a write-ahead log, which cannot be read on NFS. Open it for writing once"):
            RunStore.open(copy / "runs.db", read_only=True)
        with RunStore.open(copy / "runs.db") as store:
            assert len(store.run_table()) == 21
            assert store.add(made_up_run(21))
        assert names(copy) == ["runs.db", "runs.db.digest"]
        assert journal_of(copy / "runs.db") == "delete"
    with RunStore.open(copy / "runs.db") as store:
        assert len(store) == 22
        assert store.check() == []
    assert journal_of(copy / "runs.db") == "wal"


@pytest.mark.usefixtures("on_network")
def test_a_second_machine_is_told_which_one_writes(tmp_path: Path, other_machine: Callable[[], pytest.MonkeyPatch]) -> None:
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as store:
        store.add(made_up_run(1))
        patched = other_machine()
        with pytest.raises(
            StorageError, match=f"on NFS is being written by the machine {this_holder().host} .process"
        ) as caught:
            RunStore.open(path)
        assert "taskweb web merge" in str(caught.value)
        assert "\n" not in str(caught.value)
        with RunStore.open(path, read_only=True) as reader:
            assert len(reader) == 1
        patched.undo()
    file_system_here = pytest.MonkeyPatch()
    file_system_here.setattr(file_system, "file_system_number", lambda folder: NFS)
    with RunStore.open(path) as store:
        assert store.add(made_up_run(2))
    file_system_here.undo()
    assert names(tmp_path) == ["runs.db", "runs.db.digest"]


@pytest.fixture
def left_behind(tmp_path: Path) -> Iterator[Path]:
    """A store whose lease another machine has."""
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as store:
        store.add(made_up_run(1))
    (tmp_path / "runs.db.lease").write_text('{"host": "node7", "boot": "x", "process": 3}')
    yield path


@pytest.mark.usefixtures("on_network")
def test_the_lease_of_a_machine_that_crashed_is_taken_over(left_behind: Path) -> None:
    file = left_behind.with_name("runs.db.lease")
    with pytest.raises(StorageError, match="machine node7"):
        RunStore.open(left_behind)
    before = file.stat().st_mtime - EXPIRES - 1
    os.utime(file, (before, before))
    with RunStore.open(left_behind) as store:
        assert store.add(made_up_run(2))
        file.write_text('{"host": "node8", "boot": "y", "process": 3}')  # this process was asleep for too long
        with pytest.raises(StorageError, match="machine node8"):
            store.add(made_up_run(3))
        assert len(store) == 2
    assert file.exists()


@pytest.mark.usefixtures("on_network")
def test_a_clock_that_jumps_takes_no_lease(left_behind: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for jump in (10**9, -(10**9)):
        monkeypatch.setattr("time.time", lambda jump=jump: 1.7e9 + jump)
        with pytest.raises(StorageError, match="machine node7"):
            RunStore.open(left_behind)


def test_a_lease_counts_where_the_disk_is_local(left_behind: Path) -> None:
    with pytest.raises(StorageError, match="machine node7"):
        RunStore.open(left_behind)
    with RunStore.open(left_behind, read_only=True) as store:
        assert len(store) == 1


@pytest.mark.usefixtures("on_network")
def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with RunStore.open(tmp_path / "runs.db", create=True) as store:
        assert store.add(made_up_run(1))
        with RunStore.open(tmp_path / "runs.db") as second:
            assert second.add(made_up_run(2))
    assert names(tmp_path) == ["runs.db", "runs.db.digest"]


@pytest.mark.slow
@pytest.mark.usefixtures("on_network")
def test_processes_of_one_machine_write_in_turns(tmp_path: Path) -> None:
    code = (
        "import sys; from taskweb.web.store import RunStore, file_system\n"
        "from tests.web.store.made_up import made_up_runs\n"
        "file_system.file_system_number = lambda folder: 0x6969\n"
        "first = int(sys.argv[2])\n"
        "with RunStore.open(sys.argv[1], create=True) as store:\n"
        "    for start in range(first, first + 100, 10):\n        store.add_many(made_up_runs(10, start))\n"
    )
    path = tmp_path / "runs.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(number * 100)], cwd=REPOSITORY) for number in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with RunStore.open(path, read_only=True) as store:
        assert len(store) == 300
        assert store.check() == []
    assert names(tmp_path) == ["runs.db", "runs.db.digest"]
