"""Runs as a tidy CSV or TSV file with the columns of the full record."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from taskweb.errors import ParameterError
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.spreadsheet_cells import inert
from taskweb.web.records.run import Run
from taskweb.web.records.streams import peek
from taskweb.web.records.tidy_rows import RECORD_COLUMNS, TIDY_COLUMNS, Cell, delimiter_of, rows_of_run, text_extras

OPTIONAL_TEXTS = ("reason", "revision", "commit")  # an empty text and no text differ here


def export_csv(runs: Iterable[Run], path: Path) -> int:
    """Write runs, one row per run and metric, tabs between cells where the name ends in .tsv; return how many runs.

    Texts are written so that no spreadsheet runs them (`taskweb.tasks.spreadsheet_cells`), numbers with all their digits, NaN
    as `nan`, a metric without a value as an empty cell, and runs in the given order. Raises ParameterError for runs that a
    tidy table cannot contain, and InputError where the file cannot be written.
    """
    first_runs, runs = peek(runs)
    extras = text_extras(first_runs)
    columns = (*TIDY_COLUMNS, *RECORD_COLUMNS, *extras)
    header = [inert(name) for name in columns]
    count = 0
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        delimiter = delimiter_of(path)
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        careful = csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        careful.writerow(header) if _has_return(header) else writer.writerow(header)
        for run in runs:
            for row in rows_of_run(run, extras):
                cells = [_text(name, row[name]) for name in columns]
                try:
                    careful.writerow(cells) if _has_return(cells) else writer.writerow(cells)
                except UnicodeEncodeError:
                    raise ParameterError(
                        f"A run on {run.target!r} has a text that is not valid Unicode and cannot be written. Rename it."
                    ) from None
            count += 1
    return count


def _text(column: str, value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str) and column in OPTIONAL_TEXTS and (not value or value.startswith('"')):
        return json.dumps(value, ensure_ascii=False)
    return inert(value) if isinstance(value, str) else str(value)


def _has_return(cells: Iterable[str]) -> bool:
    """Whether a cell contains a carriage return, which a writer that ends lines with a newline leaves unquoted."""
    return any("\r" in cell for cell in cells)
