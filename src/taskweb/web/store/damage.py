"""What is said of a store that is not what was written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from taskweb.errors import WebError

# A sound store gives none of these: all that is written fits its tables.
_CODES_OF_DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
)


class DamagedError(WebError):
    """Content of a store that is not what was written; the message is the middle of a sentence, without the store's name.

    run: how the message names a run; None where it names none.
    """

    def __init__(self, message: str, run: str | None = None) -> None:
        super().__init__(message)
        self.run = run


def damaged_store(path: Path, what: object) -> WebError:
    """The error for a damaged store, of which what is whole can be saved."""
    return WebError(
        f"The store {path} is damaged: {str(what).rstrip('.')}. Save what is whole with: taskweb web check {path} --repair NEW"
    )


def lost_runs(path: Path, digest_file: Path, expected: int, found: int) -> WebError:
    """The error for a store that is older than the digest beside it."""
    return WebError(
        f"The store {path} has lost what was stored last: it is an older state, with {found:,} runs, than its digest file "
        f"{digest_file.name} says ({expected:,} runs). Copy both files again from their origin, or save what is there with: "
        f"taskweb web check {path} --repair NEW. If you put an older copy there, remove {digest_file}"
    )


def is_damage(fault: sqlite3.Error) -> bool:
    """Whether SQLite found something in the file that was never written so."""
    return primary_code(fault) in _CODES_OF_DAMAGE


def primary_code(fault: sqlite3.Error) -> int:
    """SQLite's result code without its extension."""
    return int(getattr(fault, "sqlite_errorcode", 0)) & 0xFF
