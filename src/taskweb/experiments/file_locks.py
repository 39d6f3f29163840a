"""Files that a live process holds: a hold ends with its process, however that ends, and no process id is trusted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks: nothing counts as held there
    fcntl = None  # type: ignore[assignment]


def hold(path: Path, *, shared: bool = False, create: bool = True) -> int | None:
    """Hold a file; a descriptor, or None where another process holds it.

    shared: others may hold it in the same way. create: make it where there is none. The hold ends when the descriptor is
    closed. Raises OSError.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
        try:
            _lock(descriptor, shared)
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it meanwhile: take the one that has its name now


def is_held(path: Path) -> bool:
    """Whether a live process holds a file alone; not where there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        _lock(descriptor, shared=True)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def let_go(descriptor: int, path: Path | None = None) -> None:
    """End a hold, and remove the file first where it is named."""
    with suppress(OSError):
        if path is not None:
            path.unlink(missing_ok=True)
    os.close(descriptor)


def _lock(descriptor: int, shared: bool) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # a file system without locks
