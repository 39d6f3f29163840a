"""A full disk gives one clear line, and runs stored before are safe."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskweb.errors import WebError
from taskweb.web.store import RunStore
from tests.web.store.made_up import made_up_run, made_up_runs


def fill(store: RunStore) -> int:
    """Store batches until there is no space left; return how many runs were stored."""
    stored = 0
    with pytest.raises(WebError, match="no space left for the store") as caught:
        while stored < 1_000_000:
            stored += store.add_many(made_up_runs(200, stored))
    assert "\n" not in str(caught.value)
    return stored


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as store:
        store._open.execute("PRAGMA max_page_count = 200")
        stored = fill(store)
        assert len(store) == stored > 0
        assert store.check() == []
        store._open.execute("PRAGMA max_page_count = 100000")
        assert store.add_many(made_up_runs(200, stored)) == 200  # there is room again
    with RunStore.open(path) as store:
        assert len(store) == stored + 200
        assert store.check() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False
    with contextlib.suppress(OSError):
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def take(folder: Path, leave: int) -> None:
    """Use up the disk but for that many bytes."""
    room = os.statvfs(folder)
    with (folder / "ballast").open("ab") as file, contextlib.suppress(OSError):
        file.write(b"\0" * max(0, room.f_bavail * room.f_frsize - leave))


def test_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "runs.db"
    with RunStore.open(path, create=True) as store:
        stored = fill(store)
        assert len(store) == stored > 0
    with RunStore.open(path) as store:  # the disk is still full
        assert len(store) == stored
        assert store.check() == []


@pytest.mark.parametrize("leave", [0, 8192, 40_000, 100_000])
def test_a_disk_that_fills_up_between_two_openings(small_disk: Path, leave: int) -> None:
    path = small_disk / "runs.db"
    with RunStore.open(path, create=True) as store:
        stored = store.add_many(made_up_runs(1000))
    take(small_disk, leave)
    with pytest.raises(WebError, match="no space left for the store"), RunStore.open(path) as store:
        store.add_many(made_up_runs(5000, 1000))
    with pytest.raises(WebError, match="no space left for the store"):
        take(small_disk, 0)
        RunStore.open(small_disk / "new.db", create=True)
    assert not [file for file in small_disk.iterdir() if "new.db" in file.name]
    with RunStore.open(path, read_only=True) as store:  # still full
        assert len(list(store.runs())) == stored
    (small_disk / "ballast").unlink()
    with RunStore.open(path) as store:
        assert len(store) == stored
        assert store.check() == []
        assert store.add(made_up_run(9000))
    assert sorted(file.name for file in small_disk.iterdir()) == ["runs.db", "runs.db.digest"]
