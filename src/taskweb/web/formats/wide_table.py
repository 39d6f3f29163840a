"""Runs from a wide table: one row per base model and source, one column of scores per target.

This is the shape of tables that compare models which were trained on some data set first (IBM model-recycling), and of tables
of base models after supervised training on several sets. Such a table does not say what its baselines, units and empty cells
are, so a person declares it (`Declared`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, unknown_name
from taskweb.web.formats.declared import (
    ALL_COLUMNS,
    CellReader,
    Declared,
    ask_baseline,
    ask_setup,
    ask_units,
    is_score,
    refuse_if_asked,
    shown,
)
from taskweb.web.formats.import_warnings import ImportWarnings, OnProgress, OnWarning, warn
from taskweb.web.formats.table_files import Table, open_table
from taskweb.web.formats.units import Units, UnitSurvey
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.records.tidy_rows import MISSING_TEXTS

_ROWS_PER_REPORT = 1000


def import_wide(
    path: Path,
    declared: Declared,
    *,
    units: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Yield a run for each row and target of a CSV, TSV, Parquet or Markdown file.

    A cell declared as missing is a run without a score. Rows of one setup and source that have no seed are numbered as
    replicates. Rows without any score are left out and counted. The file is read twice, row by row. on_progress is called with
    the rows done and their number. Raises InputError for what is not declared and for cells that are no numbers,
    NameNotFoundError for a column that does not exist.
    """
    table = open_table(path, name or str(path), declared.table)
    reader = _Reader(table, declared, Units.declared(units))
    with reading(table.name, "a wide table of scores"):
        total = reader.survey(on_warning)
        for number, row in enumerate(reader.rows(), start=1):
            yield from reader.runs(row)
            if on_progress is not None and (number % _ROWS_PER_REPORT == 0 or number == total):
                on_progress(number, total)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table. source: as it is written; base: the base model where a column names it; values: by target."""

    number: int
    setup: SetupRecord
    source: str
    base: str | None
    seed: int | None
    values: tuple[float | None, ...]

    @property
    def is_empty(self) -> bool:
        return not any(map(is_score, self.values))


class _Reader:
    """Reads the rows of one table."""

    def __init__(self, table: Table, declared: Declared, units: Units) -> None:
        self._table, self._declared, self._units = table, declared, units
        for column in (declared.base_column, declared.source_column, declared.seed_column):
            if column is not None and column not in table.columns:
                raise unknown_name(f"column of {table.name}", column, table.columns)
        self._at = {column: i for i, column in enumerate(table.columns)}
        named = (declared.base_column, declared.source_column, declared.seed_column)
        self._targets = self._chosen([column for column in table.columns if column not in named])
        asked = [*ask_setup(declared, table.columns)]
        if declared.source_column is None:
            asked.append(f"--source-column NAME: the column that names the sources (columns: {shown(table.columns)})")
        if not self._targets:
            asked.append(
                f"--targets A,B or --not-targets A,B: which columns have scores, 'all' for all others ({shown(table.columns)})"
            )
        asked += ask_baseline(declared, "the source of the rows that are baselines, often the base model")
        asked += ask_units(declared, units, self._targets)
        refuse_if_asked(table.name, asked)
        self._cells = CellReader(declared, units)
        self._setups: dict[str | None, SetupRecord] = {}
        self._replicates: Counter[tuple[str, str | None, int | None]] = Counter()
        self._with_base_of_one: set[str] = set()

    def survey(self, on_warning: OnWarning | None) -> int:
        """Check every row, and return how many there are; also says what is left out."""
        survey, warnings, number = UnitSurvey(self._units), ImportWarnings(on_warning), 0
        first: dict[tuple[str, str | None, int], int] = {}
        known: set[int] = set()  # hashes of rows without a seed
        has_baseline: dict[str, bool] = {}
        for row in self.rows():
            number = row.number
            if row.is_empty:
                warnings.add("rows have no score at all and are left out", self._place(row))
                continue
            is_baseline = self._declared.is_baseline(row.source, row.base)
            has_baseline[row.setup.name] = has_baseline.get(row.setup.name, False) or is_baseline
            source = self._stored_source(row)
            if row.seed is not None:
                if (earlier := first.setdefault((row.setup.name, source, row.seed), row.number)) != row.number:
                    raise InputError(
                        f"{self._where(row)}: {row.setup.name}, {row.source}, seed {row.seed} occurs twice, first in row "
                        f"{earlier}. Remove one."
                    )
            elif (content := hash((row.setup.name, source, row.values))) in known:
                warnings.add("rows repeat another of their source in all scores, and count as repetitions", self._place(row))
            else:
                known.add(content)
            if self._declared.values == "scores":
                for target, value in zip(self._targets, row.values, strict=True):
                    if is_score(value):
                        survey.add(self._declared.metric_of(target), value, row.setup.name, row.number)
        self._require(number, has_baseline)
        survey.check(self._table.name, on_warning)
        lacking = [setup for setup, found in has_baseline.items() if not found]
        if lacking and (self._declared.baselines or self._declared.baseline_is_base):
            warn(on_warning, f"{self._table.name}: no baseline for {shown(lacking)}, so nothing is known about gains there.")
        unused = [column for column in self._table.columns if column not in self._used]
        if unused:
            warn(on_warning, f"{self._table.name}: columns that are not used: {shown(unused)}.")
        warnings.report()
        return number

    def rows(self) -> Iterator[_Row]:
        """Every row of the file, also those without a score."""
        declared, at = self._declared, self._at
        assert declared.source_column is not None
        for number, cells in enumerate(self._table.rows(), start=1):
            where = f"{self._table.name}, row {number}"
            source = self._text(cells, declared.source_column, where)
            base = None if declared.base_column is None else self._text(cells, declared.base_column, where)
            if base not in self._setups:
                self._setups[base] = declared.setup_record(base)
            values = tuple(self._cells.number(cells[at[target]], f"{where}, column '{target}'") for target in self._targets)
            yield _Row(number, self._setups[base], source, base, self._seed(cells, where), values)

    def runs(self, row: _Row) -> Iterator[Run]:
        """The runs of a row, and its baselines where cells are relative to them."""
        if row.is_empty:
            return
        where, declared = self._where(row), self._declared
        source = self._stored_source(row)
        replicate = self._replicates[row.setup.name, source, row.seed]
        self._replicates[row.setup.name, source, row.seed] += 1
        if declared.values != "scores" and row.setup.name not in self._with_base_of_one:
            self._with_base_of_one.add(row.setup.name)
            for target in self._targets:
                yield Run(row.setup, target, None, None, {declared.metric_of(target): 1.0})
        for target, value in zip(self._targets, row.values, strict=True):
            if value is None:
                continue
            metric = declared.metric_of(target)
            stored = self._cells.stored(value, metric, row.setup.name, f"{where}, column '{target}'")
            yield Run(row.setup, target, source, row.seed, {metric: stored}, replicate=replicate)

    def _chosen(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns with scores, as declared; none where nothing is."""
        given = self._declared.targets or self._declared.not_targets
        for column in given:
            if column not in columns and (column != ALL_COLUMNS or not self._declared.targets):
                raise unknown_name(f"column of {self._table.name}", column, columns)
        if self._declared.not_targets:
            return tuple(column for column in columns if column not in given)
        return tuple(columns) if ALL_COLUMNS in given and ALL_COLUMNS not in columns else tuple(dict.fromkeys(given))

    @property
    def _used(self) -> tuple[str | None, ...]:
        declared = self._declared
        return (*self._targets, declared.source_column, declared.base_column, declared.seed_column)

    def _require(self, rows: int, has_baseline: Mapping[str, bool]) -> None:
        if not rows:
            raise InputError(f"{self._table.name} contains no rows.")
        if not has_baseline:
            raise InputError(
                f"{self._table.name} contains no score: every cell is one of those declared as --missing or --not-measured."
            )
        if (self._declared.baselines or self._declared.baseline_is_base) and not any(has_baseline.values()):
            named = " or ".join(f"'{name}'" for name in self._declared.baselines) or "that is the base model of its row"
            raise InputError(
                f"{self._table.name}: no row has the source {named}, so there is no baseline. Check --baseline, or say "
                "--no-baseline."
            )

    def _stored_source(self, row: _Row) -> str | None:
        """The name under which the row's source is stored, None for a baseline: several names may become one."""
        if self._declared.is_baseline(row.source, row.base):
            return None
        return self._declared.source(row.source, self._where(row))

    @staticmethod
    def _place(row: _Row) -> str:
        return f"{row.source} (row {row.number})"

    def _where(self, row: _Row) -> str:
        return f"{self._table.name}, row {row.number}"

    def _text(self, cells: Sequence[Any], column: str, where: str) -> str:
        cell = cells[self._at[column]]
        text = "" if cell is None or cell != cell else str(cell).strip()
        if not text:
            raise InputError(f"{where}: the column '{column}' is empty. Name what the row is about, or remove it.")
        return text

    def _seed(self, cells: Sequence[Any], where: str) -> int | None:
        if self._declared.seed_column is None:
            return None
        cell = cells[self._at[self._declared.seed_column]]
        text = "" if cell is None else str(cell).strip()
        if text.lower() in MISSING_TEXTS:
            return None
        try:
            number = float(text)
            if number == int(number):
                return int(number) if "." in text or "e" in text.lower() else int(text)
        except (ValueError, OverflowError):
            pass
        raise InputError(f"{where}: the seed '{text[:40]}' is not a whole number.")
