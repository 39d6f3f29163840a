"""CSV, TSV, Parquet and Markdown tables as one record: column names, and rows of cells that can be read more than once."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, MissingDependencyError
from taskweb.tasks.spreadsheet_cells import original
from taskweb.web.formats.markdown_tables import SUFFIXES, markdown_table
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.tidy_rows import delimiter_of

_MOST_CHARACTERS_A_CELL = 16 * 1024 * 1024
_ROWS_PER_BATCH = 8192
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


@dataclass(frozen=True)
class Table:
    """A table on disk.

    columns: distinct names. rows: reads the file again on each call, one sequence of cells per row, in file order; cells are
    texts in CSV, and typed values in Parquet. typed: whether cells have types (Parquet). All raise InputError only.
    """

    name: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Sequence[Any]]]
    typed: bool


def open_table(path: Path, name: str, number: int | None = None) -> Table:
    """Open a table by its content: Parquet, or else text with tabs where the name ends in .tsv, with commas otherwise.

    A name that ends in .md is one of Markdown. number: of the table in it, from 1; it may be left out where there is one.
    Raises InputError for a file that is not a table, and MissingDependencyError for Parquet without pyarrow.
    """
    if path.suffix.lower() in SUFFIXES:
        header, rows = markdown_table(path, number, name)
        return _distinct(Table(name, _named(header), lambda: iter(rows), typed=False))
    with reading(name, "a table"), path.open("rb") as file:
        parquet = file.read(4) == b"PAR1" or path.suffix.lower() == ".parquet"
    columns = _parquet_columns(path, name) if parquet else _csv_columns(path, name)
    return _distinct(Table(name, columns, lambda: (_parquet_rows if parquet else _csv_rows)(path, name), parquet))


def _distinct(table: Table) -> Table:
    if twice := next((column for column in table.columns if table.columns.count(column) > 1), None):
        raise InputError(f"{table.name} has two columns named '{twice}'. Rename one.")
    return table


def _named(header: Sequence[str]) -> tuple[str, ...]:
    return tuple(column or f"column {i}" for i, column in enumerate(header, start=1))


def _csv_columns(path: Path, name: str) -> tuple[str, ...]:
    for header in _csv_lines(path, name):
        _require_separated(header, path, name)
        return _named(header)
    raise InputError(f"{name} is empty. The first line of a CSV file names its columns.")


def _require_separated(header: Sequence[str], path: Path, name: str) -> None:
    """Raise InputError for a first line that is no list of names, but JSON, or names with other characters between them."""
    if header[0].startswith("{"):
        raise InputError(f"{name} contains JSON, not a table. Save it as CSV, TSV or Parquet, with a column for each field.")
    usual = delimiter_of(path)
    others = [written for character, written in _OTHER_SEPARATORS.items() if character in header[0] and character != usual]
    if len(header) == 1 and others:
        expected = "tabs between cells, as its name ends in .tsv" if usual == "\t" else "commas between cells (tabs in .tsv)"
        raise InputError(f"{name} has one column, with {others[0]} in its name. A table has {expected}. Save it so.")


def _csv_rows(path: Path, name: str) -> Iterator[Sequence[str]]:
    lines = _csv_lines(path, name)
    width = len(next(lines, []))
    for number, cells in enumerate(lines, start=1):
        if len(cells) != width:
            raise InputError(
                f"{name}, row {number} has {len(cells)} cells where the header names {width} columns. "
                "Quote cells that contain the separator."
            )
        yield cells


def _csv_lines(path: Path, name: str) -> Iterator[list[str]]:
    with reading(name, "a CSV file in UTF-8"), path.open(newline="", encoding="utf-8-sig") as file:
        csv.field_size_limit(_MOST_CHARACTERS_A_CELL)
        for cells in csv.reader(file, delimiter=delimiter_of(path), strict=True):
            if cells:
                yield [original(cell) for cell in cells]


def _parquet_columns(path: Path, name: str) -> tuple[str, ...]:
    parquet = _parquet(path)
    with reading(name, "a Parquet file"), parquet.ParquetFile(path) as file:
        return tuple(file.schema_arrow.names)


def _parquet_rows(path: Path, name: str) -> Iterator[Sequence[Any]]:
    parquet = _parquet(path)
    with reading(name, "a Parquet file"), parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_PER_BATCH):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingDependencyError("pyarrow", "data", f"Reading {path}") from None
    return pyarrow.parquet
