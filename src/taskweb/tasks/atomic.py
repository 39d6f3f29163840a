"""Files and folders that appear complete or not at all: written under a temporary name, fsynced, then renamed."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taskweb.errors import InputError

_HERE = -100  # AT_FDCWD: paths relative to the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file next to `path` to write into; it becomes `path` when the block ends, and vanishes if it raises.

    Raises InputError where the folder does not exist or cannot be written to.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder. Give the name of a file to write.")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as fault:
        raise _cannot_write(path, fault) from None
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as fault:
        raise _cannot_write(path, fault) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder next to `path` to write into; it becomes `path` when the block ends, and vanishes if it raises.

    replace: whether an existing folder is replaced; the caller has checked that it may be. The old folder or the new one exists
    at any time, except on systems that cannot exchange two folders in one step (other than Linux): there neither exists for a
    moment, and the old one is next to it as `.<name>.<letters>.old`.
    Raises InputError where `path` exists and is not an empty folder (with `replace`: is not a folder), or cannot be written to.
    """
    taken = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if taken and not (replace and path.is_dir()):
        raise InputError(f"{path} exists already. Give the name of a new folder.")
    try:
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    except OSError as fault:
        raise _cannot_write(path, fault) from None
    try:
        yield temporary
        for entry in (*temporary.rglob("*"), temporary):
            _sync(entry)
        temporary.chmod(0o777 & ~_umask())
        if taken:
            _swap(temporary, path)
        else:
            temporary.replace(path)
        _sync(path.parent)
    except OSError as fault:
        raise _cannot_write(path, fault) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, old: Path) -> None:
    """Exchange the names of two folders."""
    if _exchanged(new, old):
        return
    aside = new.with_suffix(".old")
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; False where the system or the file system has no such step."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cannot_write(path: Path, fault: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {fault.strerror or fault}.")
