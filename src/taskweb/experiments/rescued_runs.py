"""Finished runs that their store could not take: kept in the cache folder, and stored when the store is opened again.

A disk is full, a network drive is gone, a store is damaged: the run took hours all the same. Each run is one JSON file with a
checksum, in a folder per store, named by its key.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from pathlib import Path

from taskweb.errors import InputError, StorageError, TaskWebError
from taskweb.experiments.file_locks import json_files
from taskweb.experiments.run_files import read_run, write_run
from taskweb.tasks.paths import default_cache_folder
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore


def store_or_rescue(store: RunStore, run: Run, *, replace_failed: bool) -> None:
    """Store a run. Where the store cannot take it, keep it, and raise the store's error with the place added."""
    try:
        store.add_many([run], replace_failed=replace_failed)
    except TaskWebError as error:
        place = _rescued(run, store.path)
        if place is None:
            raise
        text = f"{str(error).rstrip('.')}. The last run is kept in {place}: the same command stores it, and goes on"
        raise type(error)(text) from None


def require_store(store: Path, *, opened_before: bool) -> None:
    """Raise StorageError where a store has gone: it was opened before, or something is kept for it. Later calls do, too."""
    place = _folders(store)[0]
    if store.exists() or not (opened_before or place.is_dir()):
        return
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)  # else the next command would make an empty store in its place
    raise StorageError(
        f"The store {store} is not there any more. Make sure that its disk or network drive is mounted, then run this again. "
        f"If you removed the store, remove {place}, too."
    )


def store_rescued(store: RunStore, *, replace_failed: bool) -> int:
    """Store the runs that were kept for a store, and remove their files; return how many there were."""
    stored = 0
    for folder in _folders(store.path):
        for file in json_files(folder):
            with suppress(OSError, ValueError, InputError):
                if (run := read_run(file)) is not None:
                    store.add_many([run], replace_failed=replace_failed)
                    file.unlink()
                    stored += 1
        with suppress(OSError):
            folder.rmdir()
    return stored


def _rescued(run: Run, store: Path) -> Path | None:
    """Write a run where there is room; return the file, or None where there is none."""
    for folder in _folders(store):
        with suppress(OSError, InputError):
            return write_run(folder, run)
    return None


def _folders(store: Path) -> tuple[Path, ...]:
    """Where runs of a store are kept: the cache folder, else the folder for temporary files."""
    name = hashlib.sha256(str(store.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return default_cache_folder() / "unstored" / name, Path(tempfile.gettempdir()) / f"taskweb-unstored-{name}"
