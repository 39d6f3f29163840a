from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.web.store import RunStore, schema
from tests.web.store.made_up import content, made_up_run, made_up_runs

# Version 1 as it was first written. Never to be changed: files like this one are in people's hands.
VERSION_1 = """
CREATE TABLE setups (id INTEGER PRIMARY KEY, name TEXT NOT NULL, record TEXT NOT NULL UNIQUE);
CREATE TABLE tasks (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE metrics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE origins (id INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, setup INTEGER NOT NULL REFERENCES setups,
    target INTEGER NOT NULL REFERENCES tasks, source INTEGER REFERENCES tasks, seed INTEGER, replicate INTEGER NOT NULL,
    status TEXT NOT NULL, seconds REAL, origin INTEGER REFERENCES origins
);
CREATE TABLE scores (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, metric INTEGER NOT NULL REFERENCES metrics, value,
    PRIMARY KEY (run, metric)
) WITHOUT ROWID;
CREATE TABLE details (run INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE, record TEXT NOT NULL);
INSERT INTO setups VALUES (
    1, 't5s/finetune', '["t5s/finetune","google/t5-small","abc","finetune",{"batch_size":32,"learning_rate":0.0001}]'
);
INSERT INTO tasks VALUES (1, 'task1'), (2, 'task0');
INSERT INTO metrics VALUES (1, 'accuracy');
INSERT INTO origins VALUES (1, '[{"torch":"2.1"},null]');
INSERT INTO runs VALUES (0, x'RUN_KEY', 1, 2, 1, 0, 0, 'finished', 12.5, 1);
INSERT INTO scores VALUES (0, 1, ACCURACY);
INSERT INTO details VALUES (0, '{"sizes":{"train_examples":1000},"durations":{"train":12.5}}');
PRAGMA application_id = 1953981794;
PRAGMA user_version = 1;
"""


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """A file of version 1 with made_up_run(1)."""
    run = made_up_run(1)
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1.replace("RUN_KEY", run.key).replace("ACCURACY", repr(run.metrics["accuracy"])))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return path


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    connection = sqlite3.connect(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}
    connection.close()
    return found


def add_notes(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE runs ADD COLUMN note TEXT")
    connection.execute("UPDATE runs SET note = 'old'")


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, add_notes))


def test_a_file_of_version_1_is_read_and_written(version_1: Path) -> None:
    with RunStore.open(version_1) as store:
        assert content(store.get(made_up_run(1).key)) == content(made_up_run(1))
        assert not store.add(made_up_run(1))
        assert store.add_many(made_up_runs(10)) == 9
        assert store.check() == []


def test_every_version_becomes_the_tables_of_a_new_file(version_1: Path, tmp_path: Path) -> None:
    RunStore.open(version_1).close()
    RunStore.open(tmp_path / "new.db", create=True).close()
    assert tables(version_1) == tables(tmp_path / "new.db")


def test_an_older_file_is_brought_up_to_date_when_opened_for_writing(version_1: Path, next_version: Callable[[], None]) -> None:
    next_version()
    before = version_1.read_bytes()
    with RunStore.open(version_1, read_only=True) as store:
        assert [content(run) for run in store.runs()] == [content(made_up_run(1))]
        assert len(store) == len(store.run_table()) == 1
        assert store.outcomes() == [(made_up_run(1).key, "finished", 12.5)]
        assert store.info().runs == 1
        assert store.check() == []
        assert "has no checksums yet" in store.notes[0]
    assert version_1.read_bytes() == before
    assert [path.name for path in version_1.parent.iterdir()] == ["old.db"]
    with RunStore.open(version_1) as store:
        assert content(store.get(made_up_run(1).key)) == content(made_up_run(1))
        assert store.add(made_up_run(2))
    assert {"note", "checksum"} <= {column[1] for column in tables(version_1)["runs"]}
    with RunStore.open(version_1, read_only=True) as store:
        assert store.check() == []
        assert len(store) == 2


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(connection: sqlite3.Connection) -> None:
        add_notes(connection)
        raise RuntimeError("half-way")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, breaks))
        with pytest.raises(RuntimeError, match="half-way"):
            RunStore.open(version_1)
    with RunStore.open(version_1) as store:
        assert len(store) == 1
        assert store.check() == []
    assert "note" not in {column[1] for column in tables(version_1)["runs"]}


def test_a_file_upgraded_by_a_newer_version_is_refused_by_this_one(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, add_notes))
        RunStore.open(version_1).close()
    before = version_1.read_bytes()
    with pytest.raises(InputError, match=r"written by a newer taskweb .format 3, this one knows 2"):
        RunStore.open(version_1)
    assert version_1.read_bytes() == before
