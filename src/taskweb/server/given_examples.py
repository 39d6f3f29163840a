"""Examples that a person pastes or drops: read in memory, by the one layer that reads files, within limits."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, unknown_name
from taskweb.server.request_limits import Limits
from taskweb.tasks import Columns, ExampleSet, Sampling
from taskweb.tasks.example_sets import examples_of_rows
from taskweb.tasks.reading.column_shapes import ONLY_TEXT, shape_of
from taskweb.tasks.reading.csv_rows import dialect_of, rows_of_csv
from taskweb.tasks.reading.file_facts import FileFacts, Row
from taskweb.tasks.reading.formats import FILE_FORMATS, FileFormat, format_of_name, task_name_of
from taskweb.tasks.reading.table import Table
from taskweb.tasks.reading.unpacking import unpacked_stream, without_packing
from taskweb.tasks.rows import Rows, rows_of_content

AUTO, LINES = "auto", "lines"
GIVEN_FORMATS = (AUTO, *FILE_FORMATS, LINES)
PASTED = "the pasted text"
_LONGEST_NAME = 200
_LOOKED_AT, _LINES_LOOKED_AT = 1 << 20, 50
_WITH_COMPRESSION = {"parquet": b"PAR1", "arrow": b"ARROW1"}  # of their own; by their first bytes


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gave. file: its name; empty for a pasted text. name: of the task; empty takes that of the file.

    form: of GIVEN_FORMATS. sampled: most examples used.
    """

    content: bytes = field(repr=False)
    file: str = ""
    name: str = ""
    form: str = AUTO
    columns: Columns = field(default_factory=Columns)
    sampled: int = 32

    @property
    def origin(self) -> str:
        """The name in messages."""
        return self.file[-_LONGEST_NAME:] or PASTED


def read_given(given: Given, limits: Limits, *, whole: bool = False) -> ExampleSet:
    """The examples that a person gave, the first `sampled` of them, or the whole file. Nothing is written to disk.

    Raises InputError for anything that cannot be used or goes beyond the limits, NameNotFoundError for an unknown format.
    """
    if given.form not in GIVEN_FORMATS:
        raise unknown_name("format", given.form, GIVEN_FORMATS)
    form = _stated_form(given)
    content = given.content if form in _WITH_COMPRESSION else _unpacked(given, limits)
    if not content.strip():
        raise InputError(f"{given.origin} is empty. Paste a few examples, one per line, or drop a file.")
    form = form or form_of_text(content[:_LOOKED_AT].decode("utf-8", "replace"))
    name = given.name or (task_name_of(Path(given.origin)) if given.file else "target")
    rows = _lines(content, given.origin) if form == LINES else _rows(content, given, form)
    limited = Rows(given.origin, lambda facts: _within(rows, facts, given.origin, limits))
    return examples_of_rows(limited, name, given.columns, Sampling(None if whole else min(given.sampled, limits.examples)))


def _rows(content: bytes, given: Given, form: str) -> Rows:
    chosen: FileFormat = next(known for known in FILE_FORMATS if known == form)
    return rows_of_content(content, without_packing(given.origin), chosen)


def _stated_form(given: Given) -> str | None:
    """The format that is stated, by its name, by that of the file, or by the first bytes; None where only the text shows it."""
    if given.form != AUTO:
        return given.form
    of_name = format_of_name(given.file) if given.file else None
    return of_name or next((form for form, begin in _WITH_COMPRESSION.items() if given.content.startswith(begin)), None)


def form_of_text(text: str) -> str:
    """JSON, a table with a header, or one text per line."""
    begin = text.lstrip("\ufeff \t\r\n")
    if begin.startswith(("{", "[")):
        return "jsonl"
    for usual, form in ((",", "csv"), ("\t", "tsv")):
        with suppress(InputError):
            if _has_known_header(begin.splitlines(keepends=True)[:_LINES_LOOKED_AT], usual):
                return form
    return LINES


def _has_known_header(lines: list[str], usual: str) -> bool:
    """Whether a table has a header by which its input is found."""
    if len(lines) < 2 or (usual == "\t") != (dialect_of(lines, usual).delimiter == "\t"):
        return False
    rows = [row for _, row in rows_of_csv(enumerate(lines, 1), PASTED, usual, FileFacts())]
    shape = shape_of(Table.of(rows), Columns())
    if shape is None:
        return False
    return shape.name != ONLY_TEXT or (len(rows[0]) > 1 and all(len(name.split()) < 3 for name in rows[0]))


def _unpacked(given: Given, limits: Limits) -> bytes:
    """The content, decompressed where it is compressed. Raises InputError where that is too much."""
    with unpacked_stream(io.BytesIO(given.content), Path(given.origin)) as stream:
        content: bytes = stream.read(limits.content + 1)
    if len(content) > limits.content:
        raise InputError(f"{given.origin} unpacks to more than {limits.content >> 20} MiB. Give fewer examples: 32 are enough.")
    return content


def _lines(content: bytes, origin: str) -> Rows:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputError(f"{origin} is not UTF-8 text (byte {fault.start + 1}). Save it as UTF-8.") from None

    def read(facts: FileFacts) -> Iterator[Row]:
        facts.form = "one text per line"
        yield from ((number, {"input": line.strip()}) for number, line in enumerate(text.splitlines(), 1) if line.strip())

    return Rows(origin, read)


def _within(rows: Rows, facts: FileFacts, origin: str, limits: Limits) -> Iterator[Row]:
    """Rows within the limits of number, length and time."""
    end = time.monotonic() + limits.seconds
    source = iter(rows)
    for count, (line, row) in enumerate(_telling(source, rows, facts), 1):
        if count > limits.rows:
            raise InputError(f"{origin} has more than {limits.rows:,} rows. Give fewer: {Given(b'').sampled} are enough.")
        if time.monotonic() > end:
            raise InputError(f"{origin} takes longer than {limits.seconds:g} s to read. Give fewer examples.")
        if _longest(row) > limits.cell:
            raise InputError(f"{origin}, row {line} has a text of more than {limits.cell:,} characters. Shorten or remove it.")
        yield line, row


def _telling(source: Iterator[Row], rows: Rows, facts: FileFacts) -> Iterator[Row]:
    """The rows; what reading them has shown is told before the first, as whoever reads them expects it."""
    first = next(source, None)
    facts.form, facts.label_names, facts.notes = rows.facts.form, rows.facts.label_names, rows.facts.notes
    if first is not None:
        yield first
        yield from source


def _longest(value: Any, depth: int = 0) -> int:
    """The length of the longest text in a value."""
    if isinstance(value, str):
        return len(value)
    if depth > 8:
        return 0
    if isinstance(value, dict):
        return max((_longest(own, depth + 1) for own in value.values()), default=0)
    return max((_longest(own, depth + 1) for own in value), default=0) if isinstance(value, list | tuple) else 0
