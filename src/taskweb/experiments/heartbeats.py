"""Telling other terminals what is running: one small file per worker, beside the store, held while the worker lives."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from taskweb.experiments.file_locks import hold, is_held, let_go
from taskweb.experiments.specs import RunSpec


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A run that a worker is at, and since how many seconds."""

    setup: str
    source: str | None
    target: str
    seed: int
    seconds: float


class RunningMarker:
    """Keeps a file while a worker is at a run. A killed worker leaves it behind, and readers see that nobody holds it.

    name: tells markers of one process apart.
    """

    def __init__(self, store: Path, name: str = "") -> None:
        self.file = _folder(store) / f"{os.getpid()}{name}.json"
        self._held: int | None = None

    def tell(self, spec: RunSpec) -> None:
        """Say which run starts now; a place that cannot be written is no reason to stop."""
        text = json.dumps([spec.setup.name, spec.source, spec.target, spec.seed, time.time()])
        with suppress(OSError):
            if self._held is None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self._held = hold(self.file)
            if self._held is not None:
                os.ftruncate(self._held, 0)
                os.pwrite(self._held, text.encode(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if self._held is not None:
            let_go(self._held, self.file)
            self._held = None
        with suppress(OSError):
            self.file.parent.rmdir()


def running_runs(store: Path) -> list[RunningRun]:
    """What live workers on this machine are at; marks of dead ones are passed over."""
    return [run for file, run in _marks(store) if is_held(file)]


def abandoned_runs(store: Path) -> list[RunningRun]:
    """What workers were at that died, by the marks that they left, which are removed."""
    found = []
    for file, run in _marks(store):
        if not is_held(file):
            found.append(run)
            with suppress(OSError):
                file.unlink(missing_ok=True)
    with suppress(OSError):
        _folder(store).rmdir()
    return found


def _marks(store: Path) -> list[tuple[Path, RunningRun]]:
    found = []
    folder = _folder(store)
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        with suppress(OSError, ValueError):
            setup, source, target, seed, since = json.loads(file.read_text(encoding="utf-8"))
            found.append((file, RunningRun(setup, source, target, seed, time.time() - since)))
    return found


def _folder(store: Path) -> Path:
    return store.with_name(store.name + ".running")
