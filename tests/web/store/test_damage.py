"""Damage to a store is found when it is read, is one line that names a run, and what is whole can be saved."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from taskweb.errors import InputError, StorageError, TaskWebError, WebError
from taskweb.web.opening import open_web
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore, digest_file, run_store
from taskweb.web.store.digest import outer_digest, write_outer_digest
from taskweb.workflows.webs import check_web, save_whole_runs
from tests.web.store.damages import campaign
from tests.web.store.made_up import content, made_up_run, made_up_runs


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A closed store of 300 runs."""
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as store:
        store.add_many(made_up_runs(300))
    return path


def replaced(path: Path, old: bytes, new: bytes, *, last: bool = False) -> None:
    """Change bytes of a file where they stand first, or last."""
    whole = bytearray(path.read_bytes())
    at = whole.rindex(old) if last else whole.index(old)
    whole[at : at + len(new)] = new
    path.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.repeats)])
def test_no_damage_changes_what_is_read_without_a_word(count: int) -> None:
    trials = campaign(count, first=count)
    assert [one.what for one in trials if one.outcome in ("silent", "traceback")] == []
    outcomes = Counter(one.outcome for one in trials)
    assert outcomes["found"] > 0.8 * count
    assert len({(one.kind, one.where) for one in trials if one.outcome == "found"}) == 12


def test_a_changed_score_names_its_run_and_leaves_the_others(stored: Path) -> None:
    score = made_up_run(7).metrics["accuracy"]
    connection = sqlite3.connect(stored)
    connection.execute("UPDATE scores SET value = value + 1e-9 WHERE value = ?", (score,))
    connection.commit()
    connection.close()
    key = made_up_run(7).key
    with RunStore.open(stored) as store:
        for read in (store.run_table, store.info, store.outcomes, lambda: list(store.runs()), lambda: store.get(key)):
            with pytest.raises(WebError, match=f"is damaged: the run {key} does not match its checksum.*--repair") as caught:
                read()
            assert "\n" not in str(caught.value)
        assert content(store.get(made_up_run(8).key)) == content(made_up_run(8))
        assert store.check() == [f"The run {key} does not match its checksum."]
        assert store.add(made_up_run(1000))
    with pytest.raises(WebError, match=key):
        open_web(stored)


@pytest.mark.parametrize("old", ['"train_examples":1000', '"torch":"2.1"', "google/t5-small"])
def test_changed_details_are_found(old: str, stored: Path) -> None:
    replaced(stored, old.encode(), old[:-2].encode() + b"9" + old[-1:].encode())
    with RunStore.open(stored, read_only=True) as store:
        with pytest.raises(WebError, match="does not match its checksum"):
            list(store.runs())
        assert store.check()


def test_a_removed_run_is_found(stored: Path) -> None:
    connection = sqlite3.connect(stored)
    connection.execute("DELETE FROM runs WHERE id = 3")
    connection.execute("DELETE FROM scores WHERE run = 3")
    connection.commit()
    connection.close()
    with RunStore.open(stored, read_only=True) as store:
        with pytest.raises(WebError, match="is damaged"):
            store.outcomes()
        assert "The runs are not those of the digest, which counts 300." in store.check()


def test_a_run_that_the_index_lacks_is_not_taken_for_missing(stored: Path) -> None:
    key = made_up_run(5).key
    replaced(stored, bytes.fromhex(key), bytes(20), last=True)
    with RunStore.open(stored, read_only=True) as store, pytest.raises(WebError, match="is damaged"):
        store.get(key)
    with RunStore.open(stored) as store, pytest.raises(WebError, match="is damaged"):
        store.add(made_up_run(5))


def test_what_is_whole_is_saved(stored: Path, tmp_path: Path) -> None:
    whole = bytearray(stored.read_bytes())
    for page in (25, 26):
        whole[page * 4096 : (page + 1) * 4096] = bytes(4096)
    stored.write_bytes(whole)
    problems, expected, _ = check_web(stored)
    assert expected == 300
    assert any(re.search("The run [0-9a-f]{40} ", problem) for problem in problems)
    before = stored.read_bytes()
    saved = save_whole_runs(stored, tmp_path / "new.db")
    assert 150 < saved < 300
    assert stored.read_bytes() == before
    sound = {run.key: content(run) for run in made_up_runs(300)}
    with RunStore.open(tmp_path / "new.db") as store:
        assert store.check() == []
        assert len(store) == saved
        assert {run.key: content(run) for run in store.runs()}.items() <= sound.items()
    with pytest.raises(InputError, match="exists already"):
        save_whole_runs(stored, tmp_path / "new.db")


def test_a_repair_that_breaks_off_leaves_nothing(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_many = RunStore.add_many

    def half(self: RunStore, runs: Iterable[Run]) -> int:
        add_many(self, itertools.islice(runs, 100))
        raise StorageError("The disk is full.")

    monkeypatch.setattr(RunStore, "add_many", half)
    with pytest.raises(StorageError):
        save_whole_runs(stored, tmp_path / "new.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.db", "runs.db.digest"]


def test_a_name_that_is_damaged_is_saved_from_its_index(stored: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(stored)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tasks'").fetchone()
    connection.close()
    whole = bytearray(stored.read_bytes())
    at = whole.index(b"task7", (root - 1) * 4096)
    whole[at : at + 5] = b"task\xff"
    stored.write_bytes(whole)
    with RunStore.open(stored, read_only=True) as store, pytest.raises(WebError, match="does not match its checksum, nor do"):
        store.run_table()
    assert save_whole_runs(stored, tmp_path / "new.db") == 300


# --- the digest beside the store ----------------------------------------------------------------------------------------


def copied(path: Path, folder: Path) -> Path:
    """A copy of a store's files as they are now, also while it is open."""
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        if file.is_file() and not file.name.endswith("-shm"):
            shutil.copy(file, folder / file.name)
    return folder / path.name


def with_log(folder: Path) -> Path:
    """The copy of a store whose last 20 runs, stored one after the other, are in its write-ahead log."""
    path = folder / "runs.db"
    with RunStore.open(path, create=True) as store:
        store.add_many(made_up_runs(100))
    with RunStore.open(path) as store:
        for number in range(100, 120):
            store.add(made_up_run(number))
        return copied(path, folder / "copy")


def test_a_flipped_bit_in_the_log_loses_no_run_in_silence(tmp_path: Path) -> None:
    path = with_log(tmp_path)
    log = path.with_name("runs.db-wal")
    whole = bytearray(log.read_bytes())
    whole[len(whole) // 2] ^= 1
    log.write_bytes(whole)
    for read_only in (True, False):
        with RunStore.open(path, read_only=read_only) as store:
            assert store._open.execute("PRAGMA integrity_check").fetchall() == [("ok",)]  # SQLite sees nothing
            for read in (store.run_table, store.outcomes, lambda: len(store), lambda: store.get(made_up_run(119).key)):
                with pytest.raises(WebError, match=r"has lost what was stored last.*with 1\d\d runs.*\(120 runs\)"):
                    read()
            if not read_only:
                with pytest.raises(WebError, match="has lost"):
                    store.add(made_up_run(500))
            assert any("has lost" in problem for problem in store.check())
    assert 100 <= save_whole_runs(path, tmp_path / "new.db") < 120


def test_a_log_that_was_not_copied_is_missed(tmp_path: Path) -> None:
    path = with_log(tmp_path)
    path.with_name("runs.db-wal").unlink()
    with RunStore.open(path, read_only=True) as store, pytest.raises(WebError, match="has lost what was stored last"):
        store.run_table()


def test_a_writer_killed_before_it_writes_the_digest_raises_no_alarm(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, digest: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, RunStore.open(stored) as store:
        patched.setattr(run_store, "write_outer_digest", killed)
        with pytest.raises(KeyboardInterrupt):
            store.add(made_up_run(300))
    assert outer_digest(stored).runs == 300
    with RunStore.open(stored, read_only=True) as store:
        assert len(store) == len(store.run_table()) == 301
        assert store.check() == []
        assert store.notes == ()
    with RunStore.open(stored) as store:
        store.add(made_up_run(301))
        assert store.check() == []
    assert outer_digest(stored).runs == 302


def test_an_older_digest_never_replaces_a_newer_one(stored: Path) -> None:
    older = outer_digest(stored)
    with RunStore.open(stored) as store:
        store.add(made_up_run(300))
    newer = outer_digest(stored)
    assert newer.generation == older.generation + 1
    write_outer_digest(stored, older)
    assert outer_digest(stored) == newer


def test_a_half_written_digest_leaves_the_one_before(stored: Path) -> None:
    before = outer_digest(stored)
    with RunStore.open(stored) as store:
        store.add(made_up_run(300))
    now = outer_digest(stored)
    for text, left in ((now.text, before), (before.text, now)):
        whole = digest_file(stored).read_bytes()
        digest_file(stored).write_bytes(whole.replace(text[:60].encode(), b"\0" * 60))
        assert outer_digest(stored) == left
        digest_file(stored).write_bytes(whole)
    digest_file(stored).write_bytes(b"\xff" * 256)
    with RunStore.open(stored, read_only=True) as store:
        assert len(store) == 301
        assert "the digest file runs.db.digest beside the store" in store.notes[0]
        assert "cannot be read" in store.notes[0]


def test_a_copy_without_its_digest_file_says_so_once(stored: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.db"
    shutil.copy(stored, alone)
    web = open_web(alone)
    assert [note for note in web.notes if "has no digest file alone.db.digest beside it" in note] == list(web.notes[-1:])
    with RunStore.open(alone) as store:
        assert store.notes == ()
        store.add(made_up_run(300))
    assert not [note for note in open_web(alone).notes if "digest" in note]


def test_the_digest_of_another_store_is_named(stored: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with RunStore.open(other, create=True) as store:
        store.add_many(made_up_runs(20))
    shutil.copy(digest_file(other), digest_file(stored))
    with RunStore.open(stored, read_only=True) as store:
        assert "the digest file runs.db.digest is of another store" in store.notes[0]
        assert len(list(store.runs())) == 300


def test_a_main_file_alone_of_a_store_that_is_open_says_so(tmp_path: Path) -> None:
    with RunStore.open(tmp_path / "open.db", create=True) as store:
        store.add_many(made_up_runs(20))  # all in the write-ahead log
        shutil.copy(tmp_path / "open.db", tmp_path / "copy.db")
    with RunStore.open(tmp_path / "copy.db", read_only=True) as copy:
        assert len(copy) == 0
        assert "has no digest file" in copy.notes[0]


def test_another_store_in_the_same_place_is_no_damage(stored: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with RunStore.open(other, create=True) as store:
        store.add_many(made_up_runs(20))
    shutil.move(other, stored)
    with RunStore.open(stored) as store:
        assert len(store) == 20
        store.add(made_up_run(20))
        assert store.check() == []
    stored.unlink()
    with RunStore.open(stored, create=True) as store:
        assert store.add(made_up_run(1))
    assert outer_digest(stored).runs == 1


def test_an_older_copy_in_the_place_of_a_store_is_named(stored: Path, tmp_path: Path) -> None:
    shutil.copy(stored, tmp_path / "copy.db")
    with RunStore.open(stored) as store:
        store.add(made_up_run(300))
    shutil.copy(tmp_path / "copy.db", stored)
    with RunStore.open(stored) as store, pytest.raises(WebError, match="If you put an older copy there, remove") as caught:
        store.add(made_up_run(400))
    assert str(digest_file(stored)) in str(caught.value)
    digest_file(stored).unlink()
    with RunStore.open(stored) as store:
        assert store.add(made_up_run(400))
        assert store.check() == []


def test_a_digest_file_that_cannot_be_written_is_noted_and_the_run_is_stored(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, digest: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, RunStore.open(stored) as store:
        patched.setattr(run_store, "write_outer_digest", full)
        assert store.add(made_up_run(300))
        assert store.add(made_up_run(301))
        assert len(store.notes) == 1
        assert "cannot be written (No space left on device)" in store.notes[0]
    with RunStore.open(stored, read_only=True) as store:
        assert len(store) == 302


def test_removing_and_replacing_keep_the_digest(stored: Path) -> None:
    failed = made_up_run(300, status="failed", reason="out of memory", metrics={})
    with RunStore.open(stored) as store:
        store.add(failed)
        assert store.remove([made_up_run(3).key, made_up_run(3).key]) == 1
        assert store.add_many([made_up_run(300)], replace_failed=True) == 1
        assert store.check() == []
        assert len(store) == 300
    assert outer_digest(stored).runs == 300


def test_every_part_of_a_run_is_in_its_checksum(tmp_path: Path) -> None:
    run = made_up_run(1)
    changes = (
        {}, {"metrics": {"accuracy": 0.1}}, {"metrics": {"accuracy": None}}, {"metrics": {"f1": 0.1}}, {"extra": {"host": "a"}},
        {"durations": {"train": 1.0}}, {"commit": "abc"}, {"versions": {"torch": "3"}}, {"status": "diverged"},
        {"history": ({"step": 1},)}, {"sizes": {"train_examples": 999}},
    )  # fmt: skip
    totals = set()
    for number, change in enumerate(changes):
        path = tmp_path / f"{number}.db"
        with RunStore.open(path, create=True) as store:
            store.add(dataclasses.replace(run, **change))
        totals.add(outer_digest(path).total)
    assert len(totals) == len(changes)


def test_a_store_that_cannot_be_read_at_all_is_one_line(stored: Path) -> None:
    replaced(stored, b"CREATE TABLE runs", b"CREATE TABLE ruts")
    for read_only in (True, False):
        with pytest.raises(TaskWebError, match="is damaged") as caught:
            RunStore.open(stored, read_only=read_only)
        assert "\n" not in str(caught.value)
