"""Weights after a source, kept while its targets are measured; written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import InputError
from taskweb.experiments.plan import Plan

_PART = ".part"


@dataclass(frozen=True, slots=True)
class SourceCheckpoints:
    """A folder of safetensors files, one per source, setup and seed, named by what defines them.

    A file is removed once all runs of its source are done. What a killed process left behind is used when its plan goes on,
    and swept away when the plan is finished.
    """

    folder: Path

    def path(self, key: str) -> Path:
        """Where the weights of that key are, or would be."""
        return self.folder / f"{key}.safetensors"

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A place to write to; the file takes its name when the block ends well, and is removed otherwise."""
        part = self.folder / f"{key}.{os.getpid()}{_PART}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield part
            part.replace(self.path(key))
        except OSError as fault:
            raise InputError(f"The weights of a source cannot be kept in {self.folder}: {fault.strerror or fault}.") from None
        finally:
            part.unlink(missing_ok=True)

    def release(self, key: str) -> None:
        """Remove weights that no run needs any more."""
        with suppress(OSError):
            self.path(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove everything, and the folder: the plan is done."""
        with suppress(OSError):
            for file in self.folder.iterdir():
                file.unlink()
            self.folder.rmdir()


def checkpoint_folder(plan: Plan) -> Path:
    """Where a plan keeps the weights of its sources while it runs."""
    return plan.store.with_name(plan.store.name + ".sources")
