"""Files and folders that appear complete or not at all: written under a temporary name, fsynced, then renamed."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taskweb.errors import InputError, StorageError

_HERE = -100  # AT_FDCWD: paths relative to the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE
_FREE, _MAKE_WRITABLE, _MOUNT = "Free some space", "Make it writable", "Make sure that the disk or network drive is there"
STORAGE_ERRORS = {
    errno.ENOSPC: _FREE,
    errno.EDQUOT: _FREE,
    errno.EROFS: _MAKE_WRITABLE,
    errno.ESTALE: _MOUNT,
    errno.EIO: _MOUNT,
    errno.ENODEV: _MOUNT,
    errno.ENXIO: _MOUNT,
    errno.ENOTCONN: _MOUNT,
    errno.ETIMEDOUT: _MOUNT,
    errno.EHOSTDOWN: _MOUNT,
}
"""What to do about errors that come from the place and not from the command, by error number."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file next to `path` to write into; it becomes `path` when the block ends, and vanishes if it raises.

    Raises InputError where the folder does not exist or cannot be written to, and for a folder, a device or a pipe.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as fault:  # ValueError: a zero byte in the name
        raise cannot_write(path, fault) from None
    else:
        if not stat.S_ISREG(mode):
            what = "folder" if stat.S_ISDIR(mode) else "device or a pipe"
            raise InputError(f"{path} is a {what}. Give the name of a file to write.")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as fault:
        raise cannot_write(path, fault) from None
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as fault:
        raise cannot_write(path, fault) from None
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
        raise cannot_write(path, fault) from None
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
        raise cannot_write(path, fault) from None
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


def cannot_write(path: Path, fault: Exception) -> InputError:
    """The error for a path that cannot be written; a StorageError where the place is full, write-protected or gone.

    fault: an OSError, or the error of a library that says `os error N`.
    """
    found = re.search(r"\(os error (\d+)\)", str(fault))
    number = fault.errno if isinstance(fault, OSError) else int(found[1]) if found else None
    if number not in STORAGE_ERRORS:
        return InputError(f"{path} cannot be written: {getattr(fault, 'strerror', None) or str(fault).rstrip('.')}.")
    return StorageError(f"{path} cannot be written: {os.strerror(number)}. {STORAGE_ERRORS[number]}, then run this again.")
