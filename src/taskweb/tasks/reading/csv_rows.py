"""Rows of CSV: the delimiter is found by looking at the first rows; line breaks may stand within quotes."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from taskweb.errors import InputError
from taskweb.tasks.reading.file_facts import FileFacts, Row
from taskweb.tasks.reading.text_lines import MOST_BYTES_A_LINE

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "pipes"}
_LINES_LOOKED_AT = 200
_CHARACTERS_LOOKED_AT = 1 << 20
_STATED = re.compile(r"\"?sep=([,;|\t])\"?\s*", re.IGNORECASE)
Lines = Iterable[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are divided. quotes: whether quotes around a cell are marks, or part of its text.

    spaced: whether a space follows every delimiter, and is no part of the cell.
    """

    delimiter: str
    quotes: bool = True
    spaced: bool = False

    def options(self) -> dict[str, object]:
        """As options of Python's reader."""
        quoting = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        return {"delimiter": self.delimiter, "quoting": quoting, "strict": self.quotes, "skipinitialspace": self.spaced}


def rows_of_csv(lines: Lines, origin: str, usual: str, facts: FileFacts) -> Iterator[Row]:
    """The rows, with the number of the line on which each ends. usual: the delimiter that the file's name says.

    Raises InputError with the place, also for a column name that is repeated.
    """
    csv.field_size_limit(MOST_BYTES_A_LINE)
    texts, is_tsv = (text for _, text in lines), usual == "\t"
    begin = _begin(texts)
    stated = _STATED.fullmatch(begin[0]) if begin else None
    if stated is not None:  # as Excel writes it
        begin, usual = begin[1:], stated[1]
    dialect = dialect_of(begin, usual)
    header = begin[0].split(dialect.delimiter)[1:] if begin else []
    if header and all(cell[:1] == " " and cell.strip() for cell in header):
        dialect = dataclasses.replace(dialect, spaced=True)
    facts.form = f"{'TSV' if is_tsv else 'CSV'} with {DELIMITERS[dialect.delimiter]}"
    if not dialect.quotes:
        facts.form += ", in which quotes are text"
    reader = csv.reader(chain(begin, texts), **dialect.options())  # type: ignore[arg-type]
    names: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if names is None:
                names = _names(cells, origin)
                continue
            cells = _without_blanks(cells, len(names))
            if len(cells) > len(names):
                raise InputError(
                    f"{origin}, line {reader.line_num} has more cells than the header has columns. Quote cells that contain "
                    f"'{dialect.delimiter}'."
                )
            yield reader.line_num, dict(zip(names, [*cells, *[None] * (len(names) - len(cells))], strict=True))
    except csv.Error as fault:
        reason = "it has line breaks of CR alone; save it with LF" if "new-line" in str(fault) else str(fault)
        raise InputError(f"{origin}, line {reader.line_num} is not valid CSV: {reason}.") from None


def dialect_of(begin: list[str], usual: str) -> Dialect:
    """The dialect in which all rows have as many cells as the header, and that more than one; else the usual one."""
    usual_dialect = Dialect(usual)
    if _width(begin, usual_dialect) > 1:
        return _with_loose_quotes(begin, usual_dialect)
    others = [Dialect(delimiter) for delimiter in DELIMITERS if delimiter != usual]
    literal = [Dialect("\t", quotes=False)] if usual == "\t" else []
    widths = [(width, dialect) for dialect in (*literal, *others) if (width := _width(begin, dialect)) > 1]
    return _with_loose_quotes(begin, max(widths, key=lambda found: found[0])[1]) if widths else usual_dialect


def _with_loose_quotes(begin: list[str], dialect: Dialect) -> Dialect:
    """The dialect, without quotes as marks where they would swallow whole rows between tabs that are rows by themselves."""
    literal = Dialect(dialect.delimiter, quotes=False)
    if dialect.delimiter != "\t" or not dialect.quotes or _width(begin, literal) != _width(begin, dialect):
        return dialect
    counts = [len([*filter(None, csv.reader(begin, **own.options()))]) for own in (literal, dialect)]  # type: ignore[arg-type]
    return literal if counts[0] > counts[1] else dialect


def _width(begin: list[str], dialect: Dialect) -> int:
    """Cells of every row that was looked at; 0 where rows differ, or cannot be read."""
    rows: list[list[str]] = []
    try:
        rows.extend(cells for cells in csv.reader(begin, **dialect.options()) if cells)  # type: ignore[arg-type]
    except csv.Error:
        if len(begin) < _LINES_LOOKED_AT:  # the whole file: the last row is not cut by looking at the beginning alone
            return 0
    return _shared_width(rows)


def _shared_width(rows: list[list[str]]) -> int:
    header = len(rows[0]) if rows else 0
    widths = {len(_without_blanks(cells, header)) for cells in rows}
    return header if header and max(widths) <= header and (len(widths) == 1 or header > 2) else 0


def _without_blanks(cells: list[str], most: int) -> list[str]:
    """A row without the blank cells behind the last column, which trailing delimiters make."""
    return cells[:most] if not any(cell.strip() for cell in cells[most:]) else cells


def _begin(texts: Iterator[str]) -> list[str]:
    found: list[str] = []
    length = 0
    for text in texts:
        found.append(text)
        length += len(text)
        if len(found) == _LINES_LOOKED_AT or length > _CHARACTERS_LOOKED_AT:
            break
    return found


def _names(cells: list[str], origin: str) -> list[str]:
    """The names of columns. Those without a name get their number."""
    names = [cell.strip() or f"(column {place})" for place, cell in enumerate(cells, start=1)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"{origin} has two columns named '{min(twice)}'. Rename or remove one.")
    return names
