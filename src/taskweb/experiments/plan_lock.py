"""The lock on a store: only one process at a time runs a plan into it. It ends with the process that has it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taskweb.errors import InputError, TaskWebError
from taskweb.experiments.file_locks import lock_file, release_lock
from taskweb.experiments.heartbeats import abandoned_runs, runs_beside

_TIMEOUT = 10.0  # seconds that workers of a killed run have to notice
_PAUSE = 0.1


@contextmanager
def plan_lock(store: Path) -> Iterator[None]:
    """Be the only process that runs plans into a store. Begins when the workers of a killed run are gone.

    Raises TaskWebError where another process has the lock, InputError where nothing can be written beside the store.
    """
    path = store.with_name(store.name + ".lock")
    try:
        descriptor = lock_file(path)
    except OSError as error:
        raise InputError(f"Nothing can be written beside the store {store}: {error.strerror or error}.") from None
    if descriptor is None:
        raise TaskWebError(
            f"The store {store} is being filled by another taskweb run{_process_in(path)}. See how far it is with --status; "
            "to run two plans at once, give each a store of its own and merge them."
        )
    try:
        with suppress(OSError):  # a full disk: others then see no process id
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        _wait_for_workers(store)
        yield
    finally:
        abandoned_runs(store)
        release_lock(descriptor, path)


def _wait_for_workers(store: Path) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while runs_beside(store):
        if time.monotonic() > deadline:
            raise TaskWebError(
                f"Workers of an earlier run are still filling the store {store}. Wait until --status shows no running runs, or "
                "stop them."
            )
        time.sleep(_PAUSE)


def _process_in(path: Path) -> str:
    try:
        return f" (process {int(path.read_text(encoding='utf-8'))})"
    except (OSError, ValueError):
        return ""
