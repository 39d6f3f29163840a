"""Pipe tables of Markdown, as model cards and READMEs have them.

A line of names, a line of dashes (`| --- | :-: |`) with as many cells, then a row a line, up to a line without a bar. Of a
cell, what it shows is read: the text of a link, and what is bold, italic or code as a whole. HTML stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from taskweb.errors import InputError
from taskweb.web.formats.untrusted import reading

SUFFIXES = (".md", ".markdown")
_MOST_BYTES = 64 * 1024 * 1024
_BAR, _DASHES = re.compile(r"(?<!\\)\|"), re.compile(r":?-+:?")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\((?:[^()]|\([^()]*\))*\)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_MARKS = ("**", "__", "*", "`")
_MOST_SHOWN = 5

Row = tuple[str, ...]


def markdown_table(path: Path, number: int | None, name: str) -> tuple[Row, tuple[Row, ...]]:
    """Names and rows of the only table in a Markdown file, or of the one with this number, counted from 1.

    Raises InputError for a file without tables, or of several where none is chosen, and for a row that is wider or narrower.
    """
    with reading(name, "a Markdown file"):
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{name} is larger than a page with tables. Copy the table into a file of its own.")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        starts = _starts(lines)
        if not starts:
            raise InputError(f"{name} contains no table: names between bars, and below them dashes (| --- | --- |).")
        chosen = number if number is not None else len(starts) == 1
        if not 1 <= chosen <= len(starts):
            tables = [f"{i} ({_first_of(_cells(lines[at]), 3)})" for i, at in enumerate(starts, start=1)]
            count = f"{len(tables)} table{'s' * (len(tables) != 1)}"
            raise InputError(f"{name} contains {count}. Choose one with --table N: {_first_of(tables, _MOST_SHOWN)}.")
        return _table(lines, starts[chosen - 1], name)


def _first_of(names: Sequence[str], count: int) -> str:
    return ", ".join([*names[:count], *(["..."] if len(names) > count else [])])


def _starts(lines: Sequence[str]) -> list[int]:
    """The lines with the names of tables, from 0; code between fences contains none."""
    found, fence = [], ""
    for at, line in enumerate(lines):
        if mark := _FENCE.match(line):
            fence = mark[1] if not fence else "" if mark[1].startswith(fence) else fence
        elif not fence and at and _is_dashes(line) and "|" in lines[at - 1] and not _is_dashes(lines[at - 1]):
            found += [at - 1] if len(_split(line)) == len(_split(lines[at - 1])) else []
    return found


def _table(lines: Sequence[str], start: int, name: str) -> tuple[Row, tuple[Row, ...]]:
    columns, rows = _cells(lines[start]), []
    for at in range(start + 2, len(lines)):
        if "|" not in lines[at]:
            break
        rows.append(_cells(lines[at]))
        if (width := len(rows[-1])) != len(columns):
            cells = f"{width} cell{'s' * (width != 1)}"
            raise InputError(
                f"{name}, line {at + 1} has {cells}, and the table {len(columns)} columns. Write a bar inside a cell as \\|."
            )
    return columns, tuple(rows)


def _is_dashes(line: str) -> bool:
    return "|" in line and all(_DASHES.fullmatch(cell) for cell in _split(line))


def _split(line: str) -> list[str]:
    cells = [cell.strip() for cell in _BAR.split(line.strip())]
    first, last = int(not cells[0]), len(cells) - (len(cells) > 1 and not cells[-1])  # without bars at both ends
    return cells[first:last]


def _cells(line: str) -> Row:
    return tuple(map(_shown, _split(line)))


def _is_marked(text: str, mark: str) -> bool:
    inner = text[len(mark) : -len(mark)]
    return bool(inner) and mark not in inner and text == f"{mark}{inner}{mark}"


def _shown(cell: str) -> str:
    """What a cell shows."""
    text = _LINK.sub(r"\1", cell).strip()
    while mark := next((own for own in _MARKS if _is_marked(text, own)), ""):
        text = text[len(mark) : -len(mark)].strip()
    return _ESCAPED.sub(r"\1", text)
