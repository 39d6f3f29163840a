"""One table with the examples of many tasks: a column says which task a row belongs to."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.example_sets import Sampling, examples_of_rows
from taskweb.tasks.reading.file_facts import FileFacts, Row
from taskweb.tasks.reading.named_columns import Columns
from taskweb.tasks.rows import Rows, rows_of
from taskweb.tasks.task import ExampleSet

_MOST_SHOWN = 12


@dataclass(slots=True)
class _Kept:
    """The rows of a task: a sample in which every one is equally likely. seen: how many there were."""

    draw: random.Random
    seen: int = 0
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row, sampling: Sampling) -> None:
        """Take a row, or one in its place, or none."""
        self.seen += 1
        if sampling.limit is None or len(self.rows) < sampling.limit:
            self.rows.append(row)
        elif sampling.seed is not None and (slot := self.draw.randrange(self.seen)) < sampling.limit:
            self.rows[slot] = row


def load_task_table(
    where: str | Path, task_column: str, *, columns: Columns | None = None, sampling: Sampling | None = None
) -> list[ExampleSet]:
    """The examples of each task in a table, in the order in which tasks first appear; the table is read once.

    where: as for `load_examples`. task_column: texts or whole numbers. sampling: of each task; without a seed its first rows.
    Raises InputError for a row that names no task, and for everything that cannot be read.
    """
    sampling = sampling or Sampling()
    rows = rows_of(where)
    kept: dict[str, _Kept] = {}
    for line, row in rows:
        task = _task_of(row, task_column, line, rows.origin)
        own = kept.setdefault(task, _Kept(random.Random(sampling.seed)))  # noqa: S311 - sampling, not security
        own.add((line, {name: value for name, value in row.items() if name != task_column}), sampling)
    if not kept:
        raise _no_rows(rows.origin)
    return [_examples(task, own, rows, columns or Columns()) for task, own in kept.items()]


def tasks_of_table(where: str | Path, task_column: str) -> list[str]:
    """The names of the tasks in a table, in the order in which they first appear. Raises InputError as `load_task_table`."""
    rows = rows_of(where)
    found = list(dict.fromkeys(_task_of(row, task_column, line, rows.origin) for line, row in rows))
    if not found:
        raise _no_rows(rows.origin)
    return found


def _no_rows(origin: str) -> InputError:
    return InputError(f"{origin} contains no rows. Give at least one row for each task.")


def _examples(task: str, own: _Kept, table: Rows, columns: Columns) -> ExampleSet:
    def read(facts: FileFacts) -> Iterator[Row]:
        facts.form, facts.notes, facts.label_names = table.facts.form, table.facts.notes, table.facts.label_names
        return iter(own.rows)

    try:
        found = examples_of_rows(Rows(table.origin, read), task, columns, Sampling(None))
    except InputError as fault:
        raise type(fault)(f"Task '{task}': {fault}") from None
    return replace(found, total=own.seen)


def _task_of(row: Mapping[str, Any], column: str, line: int, origin: str) -> str:
    if column not in row:
        shown = ", ".join(list(row)[:_MOST_SHOWN])
        raise InputError(f"{origin}, row {line} has no column '{column}' to name its task. It has {shown}.")
    value = row[column]
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise InputError(f"{origin}, row {line}: the column '{column}' must name a task. Got {value!r} instead.")
    return str(value).strip()
