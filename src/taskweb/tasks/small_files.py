"""Files that people write by hand (plans, recipes, templates, tables of own runs), read whole and not without limit."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, first_line
from taskweb.tasks.paths import unreadable

MOST_BYTES = 4 << 20


def content_of(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file. Raises InputError for one that cannot be read, or is longer than `most` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as fault:
        raise unreadable(path, fault) from None
    if len(content) > most:
        raise InputError(f"{path} is larger than {most / 2**20:g} MiB. Is this the right file?")
    return content


def text_of(path: Path) -> str:
    """The text of a file in UTF-8. Raises InputError for any other file."""
    try:
        return content_of(path).decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputError(f"{path} is not UTF-8 text (byte {fault.start + 1}). Save it as UTF-8.") from None


def toml_of(text: str, what: str) -> dict[str, Any]:
    """The values in a text in TOML. what: the file, for messages. Raises InputError for any other text."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # ValueError: also a number of thousands of digits
        twice = " Two tables cannot share a name." if "twice" in str(fault) or "overwrite" in str(fault) else ""
        raise InputError(f"{what} is not valid TOML: {first_line(fault)}.{twice}") from None
