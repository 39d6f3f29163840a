"""Weights cached while a plan runs: those after a source, for its targets, and checkpoints of trainings."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.experiments.artifacts import Artifacts, is_half
from taskweb.experiments.file_locks import is_alone, lock_file, release_lock
from taskweb.experiments.plan import CheckpointLimits, Plan
from taskweb.tasks.atomic import cannot_write

_SOURCE, _TRAINING = ".safetensors", ".training"
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class CheckpointCache:
    """A folder of safetensors files, named by run keys. Each file is written whole or not at all.

    Weights after a source are removed once all runs of the source are done, unless they are `kept`; the checkpoint of a
    training is removed once what it was made for is there: the weights after a source are written, the outcome of a run is
    stored. Files that a killed process left are used when its plan is resumed. Files that no run needs are removed when the
    plan is run again, and all files when it is finished.

    artifacts: a place that other machines see, too: files are copied there, and taken from there where the folder lacks them.
    Only the process that stores the outcomes of runs removes weights after sources from there: a worker may be lost with
    outcomes that it has not sent yet.
    """

    folder: Path
    limits: CheckpointLimits = field(default_factory=CheckpointLimits)
    kept: bool = False
    artifacts: Artifacts | None = None

    def source_path(self, key: str) -> Path:
        """The file for the weights after the source of that key, whether it exists or not."""
        return self.folder / f"{key}{_SOURCE}"

    @contextmanager
    def locked_source(self, key: str) -> Iterator[CachedSource]:
        """The weights after a source. No other process removes them inside the block."""
        source = CachedSource(self, self.source_path(key))
        source.acquire()
        try:
            yield source
        finally:
            source.release()

    def training_path(self, key: str) -> Path:
        """The file for the checkpoint of a training."""
        return self.folder / f"{key}{_TRAINING}"

    def fetch(self, path: Path) -> None:
        """Take a file from other machines, if it is not here but there."""
        if self.artifacts is not None and not path.exists():
            self.artifacts.fetch(path)

    def share(self, path: Path) -> None:
        """Let other machines have a file."""
        if self.artifacts is not None:
            self.artifacts.share(path)

    def drop_source(self, key: str) -> None:
        """All runs of a source are stored: remove the weights after it, here and there, unless they are kept."""
        if not self.kept:
            self.drop(self.source_path(key))

    def drop(self, path: Path) -> None:
        """Remove a file, here and there."""
        path.unlink(missing_ok=True)
        if self.artifacts is not None:
            self.artifacts.remove(path.name)

    def make_room(self, size: int) -> None:
        """Remove unused weights after sources, the least recently used first, until there is room for `size` more bytes."""
        files = []
        for file in self.folder.glob(f"*{_SOURCE}"):
            with suppress(FileNotFoundError):  # removed by another worker, which is done with it
                files.append((file, file.stat()))
        total = sum(stat.st_size for _, stat in files)
        for file, stat in sorted(files, key=lambda item: item[1].st_mtime):
            if total + size <= self.limits.most_gib * _GIB:
                return
            with suppress(FileNotFoundError):
                if (descriptor := lock_file(file, create=False)) is not None:
                    release_lock(descriptor, file)
                    total -= stat.st_size

    def remove_others(self, keys: Collection[str]) -> None:
        """Remove half-written files of killed processes, and all files whose key is not among these."""
        if self.folder.is_dir():
            for file in self.folder.iterdir():
                if file.suffix not in (_SOURCE, _TRAINING) or file.stem not in keys:
                    file.unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()
        if self.artifacts is not None:
            for name in self.artifacts.names():
                stem, _, suffix = name.rpartition(".")
                if is_half(name) or (f".{suffix}" in (_SOURCE, _TRAINING) and stem not in keys):
                    self.artifacts.remove(name)


class CachedSource:
    """The weights after one source, as one worker uses them. They exist already, or the worker writes them."""

    def __init__(self, cache: CheckpointCache, path: Path) -> None:
        self.cache, self.path = cache, path
        self._lock: int | None = None

    @property
    def exists(self) -> bool:
        """Whether the weights exist; they are locked then."""
        return self._lock is not None

    def acquire(self) -> None:
        """Lock the weights if they exist, and mark them as just used."""
        self.cache.fetch(self.path)
        with suppress(OSError):
            self._lock = lock_file(self.path, shared=True, create=False)
            os.utime(self.path)

    def write(self, save: Callable[[Path], None]) -> None:
        """Save weights under a temporary name, then rename and lock them. Raises InputError where that is impossible."""
        part = self.path.with_name(f"{self.path.stem}.{uuid.uuid4().hex}.part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            save(part)
            self.cache.make_room(part.stat().st_size)
            self._lock = lock_file(part, shared=True, create=False)
            part.replace(self.path)
            self.cache.share(self.path)
        except OSError as error:
            raise cannot_write(part.parent, error) from None
        finally:
            part.unlink(missing_ok=True)

    def release(self, *, remove: bool = False) -> None:
        """Release the lock. remove: delete the weights in the folder too, unless another process uses them."""
        if self._lock is not None:
            release_lock(self._lock, self.path if remove and is_alone(self._lock, self.path) else None)
            self._lock = None

    def discard(self) -> None:
        """The weights are damaged: delete them, here and there."""
        self.release(remove=True)
        if self.cache.artifacts is not None:
            self.cache.artifacts.remove(self.path.name)

    def finish(self) -> None:
        """All runs of the source are done: release the lock, and delete the weights in the folder unless they are kept."""
        self.release(remove=not self.cache.kept)


def checkpoint_cache_of(plan: Plan) -> CheckpointCache:
    """The checkpoint cache of a plan: a folder beside its store. Where pairs are chosen, weights stay for later rounds."""
    return CheckpointCache(plan.store.with_name(plan.store.name + ".sources"), plan.checkpoints, kept=plan.is_chosen)
