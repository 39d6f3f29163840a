"""Texts in CSV files that spreadsheets open: none of them is run as a formula, and each is read back exactly.

Spreadsheets run a cell that begins with `=`, `+`, `-` or `@`, some also after a tab or a line break, or in full width.
Such a text is written with an apostrophe before it, as people write it in a spreadsheet by hand. A text that begins with
apostrophes and then one of these characters gets one more, so that none is lost. Numbers stay as they are.
"""

from __future__ import annotations

import re

_RUNS = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
_WRITTEN = re.compile("'+[=+\\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def inert(text: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    return f"'{text}" if _RUNS.match(text) and not _NUMBER.fullmatch(text) else text


def original(cell: str) -> str:
    """The text that `inert` wrote as this cell."""
    return cell[1:] if cell[:1] == "'" and _WRITTEN.match(cell) else cell
