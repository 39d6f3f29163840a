"""Weights kept while a plan runs: those after a source, for its targets, and trainings in the middle."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError
from taskweb.experiments.file_locks import hold, let_go
from taskweb.experiments.plan import CheckpointLimits, Plan

_SOURCE, _TRAINING = ".safetensors", ".training"
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """A folder of safetensors files, named by the keys of what they belong to; each is written whole or not at all.

    Weights after a source are removed once all runs of the source are done, a training in the middle once it has ended. What a
    killed process left is used when its plan goes on; what nobody needs any more is removed when the plan is run again, and
    everything when it is finished.
    """

    folder: Path
    limits: CheckpointLimits = field(default_factory=CheckpointLimits)

    def source(self, key: str) -> Path:
        """Where the weights after the source of that key are, or would be."""
        return self.folder / f"{key}{_SOURCE}"

    @contextmanager
    def held_source(self, key: str) -> Iterator[HeldSource]:
        """The weights after a source for the time of the block, in which nobody else removes them."""
        held = HeldSource(self, self.source(key))
        held.take()
        try:
            yield held
        finally:
            held.let_go()

    @contextmanager
    def training(self, key: str) -> Iterator[Path]:
        """Where the middle of a training is saved. Removed when the training ends, kept when it is abandoned."""
        path = self.folder / f"{key}{_TRAINING}"
        try:
            yield path
        except Exception:
            path.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)

    def make_room(self, size: int) -> None:
        """Remove weights after sources that nobody uses, until there is room for that many bytes more."""
        files = [(file, file.stat()) for file in self.folder.glob(f"*{_SOURCE}")]
        kept = sum(stat.st_size for _, stat in files)
        for file, stat in sorted(files, key=lambda item: item[1].st_mtime):
            if kept + size <= self.limits.most_gib * _GIB:
                return
            with suppress(FileNotFoundError):
                if (descriptor := hold(file, create=False)) is not None:
                    let_go(descriptor, file)
                    kept -= stat.st_size

    def keep_only(self, keys: Collection[str]) -> None:
        """Remove what a killed process had half written, and what belongs to other keys than these."""
        if self.folder.is_dir():
            for file in self.folder.iterdir():
                if file.suffix not in (_SOURCE, _TRAINING) or file.stem not in keys:
                    file.unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()


class HeldSource:
    """The weights after one source, which are there or will be written, in the hands of one worker."""

    def __init__(self, checkpoints: Checkpoints, path: Path) -> None:
        self.checkpoints, self.path = checkpoints, path
        self._held: int | None = None

    @property
    def exists(self) -> bool:
        """Whether the weights are there."""
        return self._held is not None

    def take(self) -> None:
        """Hold the weights if they are there, and note that they were used."""
        with suppress(OSError):
            self._held = hold(self.path, shared=True, create=False)
            os.utime(self.path)

    def write(self, save: Callable[[Path], None]) -> None:
        """Have weights saved; the file takes its name when they are whole. Raises InputError where it cannot be written."""
        part = self.path.with_name(f"{self.path.stem}.{os.getpid()}.part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            save(part)
            self.checkpoints.make_room(part.stat().st_size)
            self._held = hold(part, shared=True, create=False)
            part.replace(self.path)
        except OSError as fault:
            raise InputError(f"The weights of a source cannot be kept in {part.parent}: {fault.strerror or fault}.") from None
        finally:
            part.unlink(missing_ok=True)

    def let_go(self, *, remove: bool = False) -> None:
        """End the hold, and remove the weights if nobody needs them any more."""
        if self._held is not None:
            let_go(self._held, self.path if remove else None)
            self._held = None


def checkpoints_of(plan: Plan) -> Checkpoints:
    """Where a plan keeps weights while it runs: beside its store."""
    return Checkpoints(plan.store.with_name(plan.store.name + ".sources"), plan.checkpoints)
