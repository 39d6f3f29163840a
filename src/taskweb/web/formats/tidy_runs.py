"""Runs from tidy tables: CSV, TSV or Parquet with one row per run and metric, and from folders of such tables.

The file is read twice. The first pass checks every score and finds the runs whose rows are not adjacent; the second yields
each run as soon as its last row is read. So the rows of a run may be anywhere, and only the runs with rows that are not
adjacent are in memory.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.errors import InputError, ParameterError
from taskweb.web.formats.import_warnings import OnProgress, OnWarning
from taskweb.web.formats.table_files import Table, open_table
from taskweb.web.formats.units import Units, UnitSurvey
from taskweb.web.formats.untrusted import reading
from taskweb.web.records import run_json
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.records.tidy_rows import BASELINE, MISSING_TEXTS, RECORD_COLUMNS, TIDY_COLUMNS, require_columns

_DEFINING = (
    "source", "target", "setup", "seed", "replicate", "model", "revision", "method", "hyperparameters", "definition",
)  # fmt: skip
_ROWS_PER_REPORT = 10_000

Key = tuple[Any, ...]


def import_tidy(
    path: Path,
    *,
    units: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Yield the runs of a tidy table; the rows of one run become one run, wherever they are.

    Columns: those of `taskweb.web.records.tidy_rows`, `source` = `none` for baselines; all others go to `Run.extra`. Runs
    without a seed are distinguished by `replicate`: the column, or the number of earlier rows of the same pair and metric.
    units: percent or fraction by metric (see Units). on_progress is called with the rows done and their number (0 = not known
    yet). Rows are counted from 1, without the header. Raises InputError, and MissingDependencyError for Parquet without
    pyarrow.
    """
    table = open_table(path, name or str(path))
    survey = UnitSurvey(Units.declared(units))
    with reading(table.name, "a tidy table of runs"):
        reader = _Reader(table)
        apart, total = reader.survey(survey, on_progress)
        survey.check(table.name, on_warning)
        yield from reader.runs(survey.units, apart, total, on_progress)


@dataclass
class _Draft:
    """A run whose rows are being collected: the cells of its first row, and its metrics."""

    row: int
    cells: tuple[Any, ...]
    metrics: dict[str, float | None] = field(default_factory=dict)
    differing: dict[str, Any] = field(default_factory=dict)


class _Reader:
    """Reads the runs of one table.

    whole: the table is a full record, so names are exactly as written; in other tables, white space around them is dropped.
    """

    def __init__(self, table: Table) -> None:
        require_columns(table.name, table.columns)
        self.table = table
        self.at = {column: i for i, column in enumerate(table.columns)}
        self.whole = set(table.columns) >= {*TIDY_COLUMNS, *RECORD_COLUMNS}
        self.defining = itemgetter(*(self.at[column] for column in _DEFINING if column in self.at))
        self.shared = [column for column in table.columns if column not in (*_DEFINING, "metric", "score")]
        self.extras = [column for column in self.shared if column not in RECORD_COLUMNS]

    def survey(self, survey: UnitSurvey, on_progress: OnProgress | None) -> tuple[dict[int, int], int]:
        """Check every row; return the number of groups of adjacent rows of each run with more than one, and that of rows.

        Runs are identified by the hash of their key. If two share a hash, they are only yielded later.
        """
        groups, last, number = array("q"), None, 0
        for number, (key, metric, cells) in enumerate(self._keyed(), start=1):
            if key != last:
                groups.append(hash(key))
                last = key
            score = self._score(cells[self.at["score"]], number)
            if score is not None and metric:
                survey.add(metric, score, self._setup(cells), number)
            elif score is not None and score == score:
                raise InputError(f"{self._where(number)}: there is a score of {score:g}, but no metric. Name the metric.")
            if on_progress is not None and number % _ROWS_PER_REPORT == 0:
                on_progress(number, 0)
        if not number:
            raise InputError(f"{self.table.name} contains no rows.")
        hashes, counts = np.unique(np.array(groups, np.int64), return_counts=True)
        more = counts > 1
        return dict(zip(hashes[more].tolist(), counts[more].tolist(), strict=True)), number

    def runs(self, units: Units, apart: dict[int, int], total: int, on_progress: OnProgress | None) -> Iterator[Run]:
        """Yield each run after its last row; `apart` is what `survey` returned."""
        waiting: dict[Key, _Draft] = {}
        last: Key | None = None
        draft: _Draft | None = None
        for number, (key, metric, cells) in enumerate(self._keyed(), start=1):
            if key != last or draft is None:
                if last is not None and draft is not None and self._is_complete(last, apart):
                    yield self._run(waiting.pop(last))
                last = key
                draft = waiting.setdefault(key, _Draft(number, self._with_replicate(key, cells)))
            self._add(draft, metric, cells, number, units)
            if on_progress is not None and number % _ROWS_PER_REPORT == 0:
                on_progress(number, total)
        for rest in waiting.values():
            yield self._run(rest)
        if on_progress is not None:
            on_progress(total, total)

    @staticmethod
    def _is_complete(key: Key, apart: dict[int, int]) -> bool:
        name = hash(key)
        if name not in apart:
            return True
        apart[name] -= 1
        return apart[name] == 0

    def _keyed(self) -> Iterator[tuple[Key, str, Sequence[Any]]]:
        """Each row with the key of its run, and the metric."""
        metric_at, seed_at, replicate_at = self.at["metric"], self.at.get("seed"), self.at.get("replicate")
        occurrences: Counter[tuple[Key, str]] = Counter()
        for cells in self.table.rows():
            key = self.defining(cells)
            metric = cells[metric_at]
            if not self.whole:
                key = tuple(cell.strip() if isinstance(cell, str) else cell if cell == cell else None for cell in key)
                metric = metric.strip() if isinstance(metric, str) else metric
            metric = "" if metric is None else str(metric)
            has_seed = seed_at is not None and not _is_blank(cells[seed_at])
            if not has_seed and (replicate_at is None or _is_blank(cells[replicate_at])):
                number = occurrences[key, metric]
                occurrences[key, metric] += 1
                key = (*key, _Replicate(number))
            yield key, metric, cells

    def _with_replicate(self, key: Key, cells: Sequence[Any]) -> tuple[Any, ...]:
        return (*cells, key[-1].number if isinstance(key[-1], _Replicate) else None)

    def _add(self, draft: _Draft, metric: str, cells: Sequence[Any], number: int, units: Units) -> None:
        if draft.row != number:
            self._compare(draft, metric, cells, number)
        if not metric:
            return
        if metric in draft.metrics:
            pair = ", ".join(
                f"{column} {cells[self.at[column]]}" for column in (*TIDY_COLUMNS[:4], "metric") if column in self.at
            )
            raise InputError(
                f"{self._where(number)}: {pair} occurs twice, first in row {draft.row} or later. "
                "Remove one, or give each run its own seed."
            )
        score = self._score(cells[self.at["score"]], number)
        draft.metrics[metric] = None if score is None else units.convert(metric, score, self._setup(cells), self._where(number))

    def _compare(self, draft: _Draft, metric: str, cells: Sequence[Any], number: int) -> None:
        """Check that rows of one run agree, except in further columns, whose values may belong to a metric."""
        for column in self.shared:
            first, now = draft.cells[self.at[column]], cells[self.at[column]]
            if first != now and not (first != first and now != now):
                if column in RECORD_COLUMNS:
                    raise InputError(
                        f"{self._where(number)}: the column '{column}' differs from row {draft.row} of the same run. "
                        "Make them equal, or give each run its own seed."
                    )
                if (value := _extra(now)) is not None:
                    draft.differing[f"{column} ({metric})"] = value

    def _run(self, draft: _Draft) -> Run:
        where, cells = self._where(draft.row), draft.cells
        source = self._name(cells, "source", where)
        replicate = cells[-1] if cells[-1] is not None else self._whole_number(cells, "replicate", where)
        extra = {column: value for column in self.extras if (value := _extra(cells[self.at[column]])) is not None}
        extra |= draft.differing | self._json(cells, "extra", run_json.scalars, where)
        try:
            return Run(
                setup=SetupRecord(
                    name=self._name(cells, "setup", where),
                    model=self._text(cells, "model") or "",
                    revision=self._optional(cells, "revision", where),
                    method=self._text(cells, "method") or "",
                    hyperparameters=self._json(cells, "hyperparameters", run_json.scalars, where),
                ),
                target=self._name(cells, "target", where),
                source=None if source == BASELINE or (not self.whole and source.lower() == BASELINE) else source,
                seed=self._whole_number(cells, "seed", where),
                metrics=draft.metrics,
                status=self._text(cells, "status") or "finished",  # type: ignore[arg-type]  # Run checks it
                reason=self._optional(cells, "reason", where),
                replicate=replicate or 0,
                definition=self._json(cells, "definition", run_json.scalars, where),
                sizes=self._json(cells, "sizes", run_json.whole_numbers, where),
                durations=self._json(cells, "durations", run_json.numbers, where),
                history=self._json(cells, "history", run_json.entries, where, ()),
                versions=self._json(cells, "versions", run_json.texts, where),
                commit=self._optional(cells, "commit", where),
                extra=extra,
            )
        except ParameterError as fault:
            raise InputError(f"{where}: {fault}") from None

    def _where(self, row: int) -> str:
        return f"{self.table.name}, row {row}"

    def _text(self, cells: Sequence[Any], column: str) -> str | None:
        place = self.at.get(column)
        cell = None if place is None else cells[place]
        if cell is None:
            return None
        return str(cell) if self.whole else str(cell).strip()

    def _setup(self, cells: Sequence[Any]) -> str:
        return self._text(cells, "setup") or ""

    def _name(self, cells: Sequence[Any], column: str, where: str) -> str:
        text = self._text(cells, column)
        if not text and column == "source" and self.table.typed and text is None:
            return BASELINE
        if not text:
            raise InputError(f"{where}: the column '{column}' is empty. Baselines have the source '{BASELINE}'.")
        return text

    def _optional(self, cells: Sequence[Any], column: str, where: str) -> str | None:
        text = self._text(cells, column)
        if self.table.typed and self.whole:
            return text
        if self.whole and text and text.startswith('"'):
            decoded = _parsed(text, column, where)
            return decoded if isinstance(decoded, str) else text
        return text or None

    def _whole_number(self, cells: Sequence[Any], column: str, where: str) -> int | None:
        place = self.at.get(column)
        cell = None if place is None else cells[place]
        if _is_blank(cell):
            return None
        try:
            number = int(cell) if not isinstance(cell, float) and "." not in str(cell) else float(cell)  # type: ignore[arg-type]
            if not isinstance(cell, bool) and number == int(number):
                return int(number)
        except (ValueError, OverflowError, TypeError):
            pass
        raise InputError(f"{where}: the {column} '{_short(cell)}' is not a whole number.")

    def _score(self, cell: Any, row: int) -> float | None:
        if cell is None:
            return None
        try:
            return float(cell)
        except (ValueError, TypeError, OverflowError):
            text = str(cell).strip().lower()
            if not text:
                return None
            if text in MISSING_TEXTS:
                return float("nan")
            raise InputError(f"{self._where(row)}: the score '{_short(cell)}' is not a number.") from None

    def _json(self, cells: Sequence[Any], column: str, check: Callable[..., Any], where: str, empty: Any = None) -> Any:
        text = self._text(cells, column)
        if not text:
            return {} if empty is None else empty
        try:
            return check(_parsed(text, column, where), column)
        except InputError as fault:
            raise InputError(f"{where} {str(fault).removeprefix(f'{where} ').rstrip('.')}.") from None


@dataclass(frozen=True, slots=True)
class _Replicate:
    """The number of a run among those with the same key."""

    number: int


def _parsed(text: str, column: str, where: str) -> Any:
    try:
        return _cached(text)
    except InputError as fault:
        raise InputError(f"{where} has a field '{column}' that {fault}.") from None


_cached = lru_cache(maxsize=4096)(run_json.value_of_json)


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or cell != cell


def _extra(cell: Any) -> Any:
    """A cell of a further column as stored in a run: None where it is empty, a text for a value that is not a scalar."""
    if cell is None or cell == "":
        return None
    return cell if isinstance(cell, str | int | float | bool) else str(cell)


def _short(cell: Any) -> str:
    text = str(cell)
    return text if len(text) <= 40 else text[:37] + "..."
