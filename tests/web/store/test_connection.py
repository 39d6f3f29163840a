"""A file that cannot be used is refused in one line and stays as it is, byte for byte."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskweb.errors import InputError, TaskWebError, WebError
from taskweb.tasks import catalogue
from taskweb.web.opening import open_web
from taskweb.web.store import RunStore
from taskweb.web.store.connection import is_store
from tests.web.store.made_up import made_up_run, made_up_runs


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A closed store of 500 runs."""
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as store:
        store.add_many(made_up_runs(500))
    return path


def other_database(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (id)")
    connection.close()


def overwrite(at: int, content: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        whole = bytearray(path.read_bytes())
        whole[at : at + len(content)] = content
        path.write_bytes(whole)

    return change


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("source,target\n"), "is not a store of runs"),
    "nothing": (lambda path: path.write_bytes(b""), "is not a store of runs"),
    "another program's": (other_database, "is an SQLite database of another program"),
    "a newer one": (overwrite(60, (99).to_bytes(4, "big")), "written by a newer taskweb .format 99, this one knows 2"),
    "cut within the header": (lambda path: path.write_bytes(path.read_bytes()[:60]), "is cut short: it has 60 bytes"),
    "cut in the middle": (
        lambda path: path.write_bytes(path.read_bytes()[:8192]),
        r"is cut short: it has 8192 of \d+ bytes",
    ),
    "a spoiled schema": (overwrite(100, b"\xff" * 3000), "is damaged"),
}


@pytest.mark.parametrize("how", ["write", "read", "create", "web"])
@pytest.mark.parametrize("case", SPOILED)
def test_a_file_that_is_not_a_sound_store_is_refused_and_unchanged(case: str, how: str, stored: Path) -> None:
    spoil, message = SPOILED[case]
    spoil(stored)
    before = hashlib.sha256(stored.read_bytes()).digest()
    if how == "web" and not is_store(stored):
        return
    with pytest.raises(TaskWebError, match=message) as caught:
        if how == "web":
            open_web(stored)
        RunStore.open(stored, create=how == "create", read_only=how == "read")
    assert "\n" not in str(caught.value)
    assert str(stored) in str(caught.value)
    assert hashlib.sha256(stored.read_bytes()).digest() == before
    assert sorted(path.name for path in stored.parent.iterdir()) == ["runs.db", "runs.db.digest"]


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_log_that_another_process_removes_meanwhile_is_no_fault(
    looks: int, read_only: bool, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who closes a store last removes its log, perhaps between two looks at it."""
    log, seen, stat = stored.with_name("runs.db-wal"), [0], Path.stat
    log.write_bytes(b"all of it is in the file by now")

    def then_remove(path: Path, **how: bool) -> os.stat_result:
        found = stat(path, **how)
        if path == log:
            seen[0] += 1
            if seen[0] == looks:
                log.unlink()
        return found

    monkeypatch.setattr(Path, "stat", then_remove)
    with RunStore.open(stored, read_only=read_only) as store:
        assert len(store) == 500
    assert seen[0] > 0


def test_damage_inside_is_one_line_and_found_by_check(stored: Path) -> None:
    whole = bytearray(stored.read_bytes())
    pages = range(4096 * 10, len(whole), 4096)
    for page in pages:
        whole[page : page + 2000] = b"\x5a" * 2000
    stored.write_bytes(whole)
    with RunStore.open(stored) as store:
        with pytest.raises(WebError, match="is damaged") as caught:
            list(store.runs())
        assert "\n" not in str(caught.value)
        with pytest.raises(WebError, match="is damaged"):
            store.run_table()
        problems = store.check()
        assert any(problem.startswith("The file is damaged") for problem in problems)
        assert not any("\n" in problem for problem in problems)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no store"):
        RunStore.open(tmp_path / "runs.db")
    with pytest.raises(InputError, match="There is no store"):
        RunStore.open(tmp_path / "runs.db", create=True, read_only=True)
    with pytest.raises(InputError, match="is a folder"):
        RunStore.open(tmp_path, create=True)
    with pytest.raises(InputError, match="there is no folder"):
        RunStore.open(tmp_path / "no" / "runs.db", create=True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of our own, as a user who is subject to permissions."""
    catalogue()  # read while it is allowed
    with tempfile.TemporaryDirectory(prefix="taskweb-", dir="/tmp") as name:  # not below folders of root alone
        folder = Path(name)
        root = os.geteuid() == 0
        if root:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="permissions are those of POSIX")
def test_permissions(ordinary_user: Path) -> None:
    path = ordinary_user / "runs.db"
    with RunStore.open(path, create=True) as store:
        store.add_many(made_up_runs(10))
    path.chmod(0o000)
    for read_only in (False, True):
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            RunStore.open(path, read_only=read_only)
    path.chmod(0o444)
    with pytest.raises(InputError, match="write-protected"):
        RunStore.open(path)
    ordinary_user.chmod(0o500)
    with RunStore.open(path, read_only=True) as store:
        assert len(store) == 10
        assert len(store.run_table()) == 10
    with pytest.raises(InputError, match="Check the folder's permissions"):
        RunStore.open(ordinary_user / "new.db", create=True)
    assert sorted(p.name for p in ordinary_user.iterdir()) == ["runs.db", "runs.db.digest"]


def test_a_store_opened_for_reading_refuses_to_write_and_leaves_no_files(stored: Path) -> None:
    before = stored.read_bytes()
    with RunStore.open(stored, read_only=True) as store:
        assert len(list(store.runs())) == 500
        with pytest.raises(InputError, match="opened for reading only"):
            store.add(made_up_run(1000))
    assert stored.read_bytes() == before
    assert sorted(path.name for path in stored.parent.iterdir()) == ["runs.db", "runs.db.digest"]


def test_opening_to_create_does_not_change_a_store(stored: Path) -> None:
    with RunStore.open(stored, create=True) as store:
        assert len(store) == 500


def test_vacuum_frees_space(stored: Path) -> None:
    size = stored.stat().st_size
    with RunStore.open(stored) as store:
        store.remove(list(store.keys())[10:])
        store.vacuum()
    assert stored.stat().st_size < size
    with RunStore.open(stored) as store:
        assert len(store) == 10
        assert store.check() == []


def test_names_with_signs_of_addresses(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=ro#50% ü.db"
    with RunStore.open(path, create=True) as store:
        assert store.add(made_up_run(1))
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, f"{path.name}.digest"]


def test_a_closed_store_says_so(stored: Path) -> None:
    store = RunStore.open(stored)
    store.close()
    with pytest.raises(ValueError, match="is closed"):
        len(store)


def test_check_finds_broken_links_and_keys_that_do_not_match_their_runs(stored: Path) -> None:
    connection = sqlite3.connect(stored)
    connection.execute("UPDATE runs SET seed = 77 WHERE id = 3")
    connection.execute("UPDATE runs SET target = 4711 WHERE id = 5")
    connection.execute("UPDATE runs SET status = 'lost' WHERE id = 6")
    connection.commit()
    connection.close()
    with RunStore.open(stored) as store:
        problems = "\n".join(store.check())
    assert "Row 5 of 'runs' refers to a row that is missing from 'tasks'." in problems
    assert f"The run {made_up_run(3).key} does not match its checksum." in problems
    assert f"The run {made_up_run(5).key} has parts that are missing" in problems
    assert "1 runs have the unknown status 'lost'." in problems
