"""A web's texts as vectors in a folder: made once, used and shared in place of the texts.

A folder contains `bank.npy` (all vectors, float16) and `bank.json` (how many of each task, and which encoder made them); it
does not contain texts.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from taskweb.errors import InputError, WebError
from taskweb.tasks.atomic import whole_folder
from taskweb.tasks.paths import kind_of_path
from taskweb.web import ExampleBank, TransferWeb, load_bank, save_bank

_STEM = "bank"


def is_text_bank(folder: Path) -> bool:
    """Whether a folder contains vectors in place of texts."""
    return kind_of_path(folder / f"{_STEM}.json") == "file"


def open_text_bank(folder: Path) -> ExampleBank:
    """The vectors of a folder, mapped from disk; checked once while they stay as they are. Raises WebError for damaged ones."""
    return _checked(folder, (folder / f"{_STEM}.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _checked(folder: Path, _written_at: int) -> ExampleBank:
    bank = load_bank(folder / _STEM)
    if (task := bank.damaged_task) is not None:
        raise WebError(
            f"The embedding bank {folder} has vectors of '{task}' that are not of length 1. Make it again: taskweb web embed."
        )
    return bank


def require_place(folder: Path) -> None:
    """Raise InputError where `write_text_bank` may not write: over anything but vectors."""
    if folder.exists() and not is_text_bank(folder):
        raise InputError(f"{folder} exists and contains no vectors. Give the name of a new folder.")


def write_text_bank(bank: ExampleBank, folder: Path) -> None:
    """Write vectors into a new folder, or in place of the vectors of one; whole or not at all. Raises InputError."""
    require_place(folder)
    with whole_folder(folder, replace=folder.exists()) as temporary:
        save_bank(bank, temporary / _STEM)


def of_web(bank: ExampleBank, web: TransferWeb, folder: Path) -> ExampleBank:
    """The part of a bank that belongs to a web's tasks. Raises InputError where there is none."""
    own = bank.only(web.tasks)
    if not own:
        raise InputError(
            f"The folder {folder} contains no vectors of the web's tasks. It has {', '.join(bank.tasks[:8])}; the "
            f"web has {', '.join(web.tasks[:8])}."
        )
    return own
