"""Heartbeats: one small locked file per worker, beside the store, by which other processes see which runs it executes.

Processes of the same machine trust the lock. Those of another one, which may not see it, trust a heartbeat that was renewed
within two minutes.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import weakref
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from taskweb.experiments.file_locks import is_locked, json_files, lock_file, release_lock
from taskweb.experiments.specs import RunSpec
from taskweb.experiments.spool import Spool
from taskweb.web.records.run import Run

EXPIRES = 120.0  # seconds after which a heartbeat of another machine counts as that of a dead worker
_SECONDS_BETWEEN_RENEWALS = 20.0
_open: weakref.WeakSet[Heartbeat] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A run that a worker is executing, alone or among others, and for how many seconds (0 where the clock was set back)."""

    setup: str
    source: str | None
    target: str
    seed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PassFacts:
    """How a worker's runs share passes. together: runs in one pass. padding: share of tokens that only fill, 0 to 1.

    memory, memory_total: bytes of its GPU, taken and in all; None on a CPU. utilisation: of the GPU, 0 to 1, if NVML says it.
    """

    together: int
    padding: float
    memory: int | None = None
    memory_total: int | None = None
    utilisation: float | None = None


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker: the runs that it is executing, and how they share passes; None for runs one after another."""

    runs: tuple[RunningRun, ...]
    passes: PassFacts | None = None


class Heartbeat:
    """The heartbeat of one worker. A killed worker leaves its file behind, and readers see that it is no longer locked.

    name: distinguishes the heartbeats of one process. file: another place than the one beside the store.
    """

    def __init__(self, store: Path, name: str = "", *, file: Path | None = None) -> None:
        self.file = file or _folder(store) / f"{os.getpid()}{name}.json"
        self._lock: int | None = None
        self._running: dict[tuple[str, str | None, str, int | None], float] = {}
        self._passes: PassFacts | None = None

    def report(self, spec: RunSpec) -> None:
        """Report a run that starts now. A file that cannot be written does not stop the run."""
        self._running[spec.setup.name, spec.source, spec.target, spec.seed] = time.time()
        self._write()

    def end(self, run: Run) -> None:
        """A run has ended; the file is written with the next one that starts."""
        self._running.pop((run.setup.name, run.source, run.target, run.seed), None)

    def note(self, passes: PassFacts) -> None:
        """Say how the runs share passes now."""
        self._passes = passes
        self._write()

    def _write(self) -> None:
        runs = [[*run, since] for run, since in self._running.items()]
        text = json.dumps({"host": socket.gethostname(), "runs": runs, "passes": self._passes and asdict(self._passes)})
        with suppress(OSError):
            if self._lock is None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self._lock = lock_file(self.file)
                _renew_from_now_on(self)
            if self._lock is not None:
                os.pwrite(self._lock, text.encode().ljust(os.fstat(self._lock).st_size), 0)  # in one step: others read it

    def renew(self) -> None:
        """Show that the worker is alive."""
        if (lock := self._lock) is not None:
            with suppress(OSError):
                os.utime(lock)

    def close(self) -> None:
        """Release the lock and remove the file."""
        if self._lock is not None:
            release_lock(self._lock, self.file)
            self._lock = None
        with suppress(OSError):
            self.file.parent.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def running_workers(store: Path) -> list[RunningWorker]:
    """The live workers, also those of a cluster, and those on another machine that sees the store's folder."""
    return [*workers_in(_folder(store)), *workers_in(Spool.beside(store).heartbeats)]


def workers_in(folder: Path) -> list[RunningWorker]:
    """The live workers with a heartbeat in a folder."""
    return [worker for _, worker, alive in _heartbeats(folder) if alive]


def running_runs(store: Path) -> list[RunningRun]:
    """The runs that live workers are executing."""
    return [run for worker in running_workers(store) for run in worker.runs]


def runs_beside(store: Path) -> list[RunningRun]:
    """The runs of live workers that write to the store, which those of a cluster do not."""
    return [run for worker in workers_in(_folder(store)) for run in worker.runs]


def abandoned_runs(store: Path, ended: Collection[int] = ()) -> list[RunningRun]:
    """The runs that dead workers were executing, without those of processes that were ended on purpose.

    Removes the heartbeats of all of them, also those that were never written.
    """
    found: list[RunningRun] = []
    known = {file: (worker, alive) for file, worker, alive in _heartbeats(_folder(store))}
    for file in json_files(_folder(store)):
        worker, alive = known.get(file) or (RunningWorker(()), is_locked(file))
        if not alive:
            found += worker.runs if file.stem not in map(str, ended) else ()
            with suppress(OSError):
                file.unlink(missing_ok=True)
    with suppress(OSError):
        _folder(store).rmdir()
    return found


def runs_in(heartbeat: Path) -> tuple[RunningRun, ...]:
    """The runs in the file of a heartbeat, whether its worker is alive or not; none where it cannot be read."""
    return next((worker.runs for file, worker, _ in _heartbeats(heartbeat.parent) if file == heartbeat), ())


def _heartbeats(folder: Path) -> list[tuple[Path, RunningWorker, bool]]:
    """The heartbeats in a folder, and whether their workers are alive."""
    found, now = [], time.time()
    for file in json_files(folder):
        with suppress(OSError, ValueError, TypeError, KeyError):
            read = json.loads(file.read_text(encoding="utf-8"))
            runs = [
                RunningRun(setup, source, target, seed, max(0.0, now - since))
                for setup, source, target, seed, since in read["runs"]
            ]
            passes = None if read["passes"] is None else PassFacts(**read["passes"])
            is_here = read["host"] == socket.gethostname()
            alive = is_locked(file) if is_here else now - file.stat().st_mtime < EXPIRES
            found.append((file, RunningWorker(tuple(runs), passes), alive))
    return found


def _renew_from_now_on(heartbeat: Heartbeat) -> None:
    """Renew a heartbeat now and then, from one thread for all of this process."""
    if not any(thread.name == _renew_all.__name__ for thread in threading.enumerate()):
        threading.Thread(target=_renew_all, name=_renew_all.__name__, daemon=True).start()
    _open.add(heartbeat)


def _renew_all() -> None:
    while True:
        time.sleep(_SECONDS_BETWEEN_RENEWALS)
        for heartbeat in list(_open):
            heartbeat.renew()


def _folder(store: Path) -> Path:
    return store.with_name(store.name + ".running")
