"""Files that several processes use, and locks on them.

A lock ends with the process that has it, however that process ends. No process id is trusted.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks: no file counts as locked there
    fcntl = None  # type: ignore[assignment]


def lock_file(path: Path, *, shared: bool = False, create: bool = True) -> int | None:
    """Lock a file. Returns its descriptor, or None where another process has the lock.

    shared: other processes may have a shared lock on it too. create: create the file where there is none. The lock ends when
    the descriptor is closed. Raises OSError.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
        try:
            _flock(descriptor, shared)
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its owner removed the file meanwhile: try the file that has the name now


def is_locked(path: Path) -> bool:
    """Whether a live process has the exclusive lock on a file; False where there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        _flock(descriptor, shared=True)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_alone(descriptor: int, path: Path) -> bool:
    """Whether no other process has a lock on a locked file, and it still has that name. To be asked just before its release."""
    try:
        _flock(descriptor, shared=False)
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except OSError:
        return False


def release_lock(descriptor: int, path: Path | None = None) -> None:
    """Release a lock. If `path` is given, remove the file first."""
    with suppress(OSError):
        if path is not None:
            path.unlink(missing_ok=True)
    os.close(descriptor)


def json_files(folder: Path) -> list[Path]:
    """The JSON files in a folder, by name; none where another process has removed the folder, or others may not read it."""
    try:
        return sorted(file for file in folder.iterdir() if file.suffix == ".json")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _flock(descriptor: int, shared: bool) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # a file system without locks
