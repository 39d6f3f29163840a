"""Paths that users type: any error of the file system becomes an InputError."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal

from taskweb.errors import InputError

PathKind = Literal["file", "folder", "missing"]
CACHE_VARIABLE = "TASKWEB_CACHE"


def kind_of_path(path: Path) -> PathKind:
    """Whether a path is a file (or a pipe, a device), a folder, or nothing. Raises InputError where that is unknown."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (OSError, ValueError) as fault:  # ValueError: a zero byte in the name
        raise unreadable(path, fault) from None
    return "folder" if stat.S_ISDIR(mode) else "file"


def expanded(text: str) -> Path:
    """The path with `~` expanded. Raises InputError for a user who does not exist."""
    try:
        return Path(text).expanduser()
    except RuntimeError as fault:
        raise InputError(f"The path {text} cannot be used: {str(fault).rstrip('.')}.") from None


def default_cache_folder() -> Path:
    """$TASKWEB_CACHE, or `taskweb` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(os.environ.get(CACHE_VARIABLE) or str(Path(base) / "taskweb"))


def not_utf8(what: str) -> InputError:
    """The error for a file, or a part of one, that is text in another encoding, or no text."""
    return InputError(f"{what} is not UTF-8 text. Save it as UTF-8.")


def unreadable(path: Path, fault: BaseException) -> InputError:
    """The error for a path that the system does not allow us to read."""
    shown = str(path) if len(str(path)) < 200 else f"{str(path)[:80]}...{str(path)[-40:]}"
    reason = getattr(fault, "strerror", None) or str(fault)
    return InputError(f"{shown!r} cannot be read: {reason}. Check the path and its permissions.")
