"""Weights after sources and checkpoints of trainings at an address that machines without a common folder see (fsspec)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from taskweb.errors import InputError, MissingDependencyError, StorageError, first_line

_ATTEMPTS = 3
_PAUSE = 2.0  # seconds after the first attempt, twice as many after the second
_BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "adl"}
_HALF = ".part"
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A folder such as `s3://bucket/folder`, `gs://...` or `/mnt/shared`. Only names of files are added to it.

    All methods raise StorageError where the place does not answer after three attempts. Files are read as they are: whoever can
    write there can change weights, so readers check what they get.
    """

    url: str

    def require(self) -> None:
        """Raise a TaskWebError where nothing can be written there."""
        name = f".{uuid.uuid4().hex}.check"
        try:
            files, folder = self._place()
            if not _BUCKETS & _protocols(files):  # a bucket of a wrong name must not be made
                files.makedirs(folder, exist_ok=True)
            files.pipe_file(f"{folder}/{name}", b"taskweb")
            files.rm_file(f"{folder}/{name}")
        except Exception as error:  # noqa: BLE001 - each file system has errors of its own
            raise InputError(f"--artifacts {self.url} cannot be written to: {first_line(error)}.") from None

    def fetch(self, file: Path) -> bool:
        """Copy the file of that name from there, whole or not at all; False where there is none."""
        files, folder = self._place()
        part = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")

        def get() -> bool:
            if not files.exists(f"{folder}/{file.name}"):
                return False
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                files.get_file(f"{folder}/{file.name}", str(part))
            except FileNotFoundError:  # its owner was done with it meanwhile
                return False
            part.replace(file)
            return True

        try:
            return self._insisting(get)
        finally:
            part.unlink(missing_ok=True)

    def share(self, file: Path) -> None:
        """Copy a file there, whole or not at all; buckets see to that themselves."""
        files, folder = self._place()
        place, part = f"{folder}/{file.name}", f"{folder}/.{file.name}.{uuid.uuid4().hex}{_HALF}"

        def put() -> None:
            if not _is_local(files):
                files.put_file(str(file), place)
                return
            try:
                files.put_file(str(file), part)
                Path(part).replace(place)
            finally:
                Path(part).unlink(missing_ok=True)

        self._insisting(put)

    def remove(self, name: str) -> None:
        """Remove a file there, if there is one."""
        files, folder = self._place()

        def remove() -> None:
            with suppress(FileNotFoundError):
                files.rm_file(f"{folder}/{name}")

        self._insisting(remove)

    def names(self) -> list[str]:
        """The names of the files there."""
        files, folder = self._place()

        def names() -> list[str]:
            files.invalidate_cache()
            try:
                return [str(path).rpartition("/")[2] for path in files.ls(folder, detail=False)]
            except FileNotFoundError:
                return []

        return self._insisting(names)

    def _place(self) -> tuple[Any, str]:
        """The file system of the address, and the folder in it."""
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise MissingDependencyError("fsspec", "train", "--artifacts") from None
        try:
            files, folder = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise InputError(f"--artifacts {self.url} cannot be used: {first_line(error)}.") from None
        return files, str(folder).rstrip("/")

    def _insisting(self, work: Callable[[], _Found]) -> _Found:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return work()
            except Exception as error:  # noqa: BLE001 - each file system has errors of its own
                if attempt == _ATTEMPTS:
                    said = f"{self.url} does not answer: {first_line(error)}. Run this again when it does."
                    raise StorageError(said) from None
            time.sleep(_PAUSE * attempt)
        raise AssertionError


def is_half(name: str) -> bool:
    """Whether a file of that name is what a machine that died left of a copy."""
    return name.startswith(".") and name.endswith(_HALF)


def _is_local(files: Any) -> bool:
    return "file" in _protocols(files)


def _protocols(files: Any) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
