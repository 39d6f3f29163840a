"""Telling other terminals what is running: one small file per worker, beside the store."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

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
    """Keeps a file while a worker is at a run. A killed worker leaves it behind, and readers see that it is dead."""

    def __init__(self, store: Path) -> None:
        self.file = _folder(store) / f"{os.getpid()}.json"

    def tell(self, spec: RunSpec) -> None:
        """Say which run starts now; a place that cannot be written is no reason to stop."""
        text = json.dumps([spec.setup.name, spec.source, spec.target, spec.seed, time.time()])
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
            self.file.parent.rmdir()


def running_runs(store: Path) -> list[RunningRun]:
    """What live workers on this machine are at; marks of dead ones are removed."""
    found = []
    folder = _folder(store)
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        if not _alive(int(file.stem)):
            file.unlink(missing_ok=True)
            continue
        with suppress(OSError, ValueError):
            setup, source, target, seed, since = json.loads(file.read_text(encoding="utf-8"))
            found.append(RunningRun(setup, source, target, seed, time.time() - since))
    with suppress(OSError):
        folder.rmdir()
    return found


def _folder(store: Path) -> Path:
    return store.with_name(store.name + ".running")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
