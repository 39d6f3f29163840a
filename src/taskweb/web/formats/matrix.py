"""Runs from a matrix of transfers: sources along one side, targets along the other, one number for each pair.

This is the shape of published transfer matrices (Prompt-Transferability: scores, or ratios to the target's own score on the
diagonal) and of skill graphs (skill-it: weights of edges). A matrix says neither which side is which, nor what its numbers and
its diagonal are, so a person declares it (`Declared`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.web.formats.array_files import is_array, open_array
from taskweb.web.formats.declared import (
    CellReader,
    Declared,
    ask_setup,
    ask_units,
    is_score,
    refuse_if_asked,
)
from taskweb.web.formats.import_warnings import OnProgress, OnWarning, warn
from taskweb.web.formats.table_files import Table, open_table
from taskweb.web.formats.units import Units, UnitSurvey
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.run import Run

_ASK_ROWS = "--rows sources or --rows targets: which tasks the rows are"


def import_matrix(
    path: Path,
    declared: Declared,
    *,
    units: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Yield a run for each cell of a CSV, TSV, Parquet or Markdown file whose first column and first line have the names, or of
    a `.npy` file, whose names are declared.

    A cell declared as missing is a run without a score. The file is read twice, row by row. on_progress is called with the rows
    done and their number. Raises InputError for what is not declared, for cells that are no numbers, and for repeated names.
    """
    table = _table(path, declared, Units.declared(units), name or str(path))
    with reading(table.name, "a matrix of scores"):
        reader = _Reader(table, declared, Units.declared(units))
        total = reader.survey(on_warning)
        for number, (label, cells) in enumerate(reader.rows(), start=1):
            yield from reader.runs(number, label, cells)
            if on_progress is not None:
                on_progress(number, total)
        yield from reader.baselines_of_one()


def _table(path: Path, declared: Declared, units: Units, name: str) -> Table:
    with reading(name, "a matrix of scores"):
        if not is_array(path):
            if declared.names:
                raise InputError(
                    f"{name} has its names in the first column and line. Leave out --names, which is for .npy files."
                )
            return open_table(path, name, declared.table)
        if not declared.names:
            asked = ["--names FILE: names of rows and columns, one a line; two files where they differ", *ask_setup(declared)]
            asked += [] if declared.rows else [_ASK_ROWS]
            refuse_if_asked(name, [*asked, *ask_units(declared, units, ())])
        return open_array(path, declared.names, name)


class _Reader:
    """Reads the cells of one matrix."""

    def __init__(self, table: Table, declared: Declared, units: Units) -> None:
        self._table, self._declared, self._units = table, declared, units
        self._names = table.columns[1:]
        if not self._names:
            raise InputError(f"{table.name} has one column. A matrix has names in the first, and a column for each task.")
        self._cells = CellReader(declared, units)
        self._targets: dict[str, None] = {}
        self._replicates: Counter[tuple[str | None, str]] = Counter()

    def survey(self, on_warning: OnWarning | None) -> int:
        """Ask for what is not declared, check every cell, and return how many rows there are."""
        labels = self._labels()
        declared, unit_survey = self._declared, UnitSurvey(self._units)
        targets = self._names if declared.rows == "sources" else labels
        asked = ask_setup(declared)
        if declared.rows is None:
            asked.append(_ASK_ROWS)
        asked += self._ask_diagonal(labels)
        asked += ask_units(declared, self._units, self._without_baselines(targets) if declared.rows else self._names)
        refuse_if_asked(self._table.name, asked)
        self._require_baselines(labels)
        for number, (label, cells) in enumerate(self.rows(), start=1):
            for _, target, value, _ in self._pairs(number, label, cells):
                self._targets[target] = None
                if is_score(value) and declared.values == "scores":
                    unit_survey.add(declared.metric_of(target), value, declared.setup or "", number)
        if not self._targets:
            raise InputError(f"{self._table.name} contains no pair of a source and a target.")
        unit_survey.check(self._table.name, on_warning)
        if declared.diagonal == "none" and set(labels) & set(self._names):
            warn(on_warning, f"{self._table.name}: the diagonal is not used, as declared.")
        return len(labels)

    def rows(self) -> Iterator[tuple[str, Sequence[Any]]]:
        """Each row's name and cells."""
        for number, cells in enumerate(self._table.rows(), start=1):
            label = "" if cells[0] is None else str(cells[0]).strip()
            if not label:
                raise InputError(f"{self._table.name}, row {number}: the first column is empty. It names the row's task.")
            yield label, cells[1:]

    def runs(self, number: int, label: str, cells: Sequence[Any]) -> Iterator[Run]:
        """The runs of a row."""
        declared = self._declared
        setup = declared.setup_record()
        for source, target, value, where in self._pairs(number, label, cells):
            metric = declared.metric_of(target)
            stored = self._cells.stored(value, metric, setup.name, where)
            yield Run(setup, target, source, None, {metric: stored}, replicate=self._replicate(source, target))

    def baselines_of_one(self) -> Iterator[Run]:
        """A baseline of 1 for each target, where cells are relative to one."""
        if self._declared.values != "scores":
            setup = self._declared.setup_record()
            for target in self._targets:
                yield Run(setup, target, None, None, {self._declared.metric_of(target): 1.0})

    def _pairs(self, number: int, label: str, cells: Sequence[Any]) -> Iterator[tuple[str | None, str, float, str]]:
        """The measured pairs of a row: source (None for a baseline), target, number in the cell, and its place."""
        declared = self._declared
        for name, cell in zip(self._names, cells, strict=True):
            given, target = (label, name) if declared.rows == "sources" else (name, label)
            if target in declared.baselines or (given == target and declared.diagonal == "none"):
                continue
            where = f"{self._table.name}, row {number}, column '{name}'"
            value = self._cells.number(cell, where)
            if value is None:
                continue
            own = given == target and declared.diagonal == "baseline"
            source = None if own or given in declared.baselines else declared.source(given, where)
            yield source, target, value, where

    def _replicate(self, source: str | None, target: str) -> int:
        """The number of earlier cells of a pair: several rows or columns may be baselines, or get the same name."""
        if source is not None and source not in self._declared.rename.values():
            return 0
        self._replicates[source, target] += 1
        return self._replicates[source, target] - 1

    def _labels(self) -> list[str]:
        labels = [label for label, _ in self.rows()]
        if not labels:
            raise InputError(f"{self._table.name} contains no rows.")
        if len(set(labels)) < len(labels):
            twice = next(label for i, label in enumerate(labels) if label in labels[:i])
            raise InputError(f"{self._table.name} has two rows named '{twice}'. Rename one.")
        return labels

    def _ask_diagonal(self, labels: Sequence[str]) -> list[str]:
        declared, shared = self._declared, set(labels) & set(self._names)
        if declared.diagonal == "baseline" and not shared:
            raise InputError(f"{self._table.name} has no task both as a row and as a column, so its diagonal has no baselines.")
        asked = []
        if shared and declared.diagonal is None:
            asked.append(
                "--diagonal baseline, runs or none: whether a task with itself is its baseline, a run like others, or no run"
            )
        if not declared.names_baselines and declared.diagonal != "baseline":
            asked.append("--baseline NAME: the row or column of baselines; or --diagonal baseline; or --no-baseline")
        return asked

    def _require_baselines(self, labels: Sequence[str]) -> None:
        side = labels if self._declared.rows == "sources" else self._names
        for name in self._declared.baselines:
            if name not in side:
                what = "row" if self._declared.rows == "sources" else "column"
                raise InputError(f"{self._table.name} has no {what} '{name}', so there is no baseline. Check --baseline.")

    def _without_baselines(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name not in self._declared.baselines]
