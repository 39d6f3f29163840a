"""Tidy tables of runs: `source,target,setup,seed,metric,score`, one row per run and metric, `none` for baselines."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from taskweb.errors import InputError, MissingDependencyError, WebError
from taskweb.metrics import higher_is_better
from taskweb.tasks import catalogue
from taskweb.web.scores import NO_SOURCE, Codes, RunTable
from taskweb.web.transfer_web import FloatArray

REQUIRED_COLUMNS = ("source", "target", "setup", "metric", "score")
SEED_COLUMN = "seed"
BASELINE = "none"
TIDY_SUFFIXES = (".csv", ".tsv", ".parquet")
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})


@dataclass(frozen=True, eq=False)
class _Column:
    """A column of names as codes into distinct values."""

    names: list[str]
    codes: npt.NDArray[np.int64]


def read_tidy(path: Path) -> RunTable:
    """Read a tidy CSV, TSV or Parquet file into runs.

    A target's score is the mean of its metrics: those of the catalogue for a task that it knows, all metrics of the table
    otherwise; a metric of which less is better (loss, error rate, ...) counts negated. A run that lacks one of the metrics
    that its target has in that setup has no score. Without a seed column, runs are not paired with baselines by seed.
    Raises InputError, naming what is wrong and where, and MissingDependencyError for Parquet without pyarrow.
    """
    if path.is_dir():
        raise InputError(
            f"The web {path} is a folder. Give a tidy CSV or Parquet file with the columns {', '.join(REQUIRED_COLUMNS)}."
        )
    if not path.exists():
        raise InputError(f"There is no web {path}. Give 'published', or a tidy CSV or Parquet file.")
    columns, seeds, score = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    if not len(score):
        raise InputError(f"The web {path} holds no rows.")
    return _runs_of_rows(path, columns, seeds, score)


def _runs_of_rows(path: Path, columns: dict[str, _Column], seeds: npt.NDArray[np.int64] | None, score: FloatArray) -> RunTable:
    setup, target, source, metric = (columns[name] for name in ("setup", "target", "source", "metric"))
    sign = np.array([1.0 if higher_is_better(name) else -1.0 for name in metric.names])
    score = score * sign[metric.codes]
    is_baseline = source.codes == _baseline_code(source)
    pair = (setup.codes * len(target.names) + target.codes) * len(source.names) + source.codes
    if seeds is None:
        seeds = _occurrence(pair * len(metric.names) + metric.codes)
        seeds = np.where(is_baseline, seeds + int(seeds.max()) + 1, seeds)  # so that no run is paired with a baseline by chance
    distinct_seeds, seed_codes = np.unique(seeds, return_inverse=True)
    run, first, index = np.unique(pair * len(distinct_seeds) + seed_codes, return_index=True, return_inverse=True)
    table = np.full((len(metric.names), len(run)), np.nan)
    cells = np.bincount(index * len(metric.names) + metric.codes, minlength=len(run) * len(metric.names))
    if cells.max() > 1:
        row = int(np.flatnonzero(cells[index * len(metric.names) + metric.codes] > 1)[1])
        where = {column: columns[column].names[columns[column].codes[row]] for column in columns}
        raise InputError(
            f"{path}, row {row + 1}: {', '.join(f'{column} {name}' for column, name in where.items())}, seed {seeds[row]} "
            "stands there twice. Remove one, or give each run its own seed."
        )
    table[metric.codes, index] = score
    given = np.zeros_like(table, dtype=bool)
    given[metric.codes, index] = True
    of_run = setup.codes[first], target.codes[first]
    mean, gain = _task_scores(path, table, given, of_run, target.names, metric.names)
    no_source = _baseline_code(source)
    kept = [i for i in range(len(source.names)) if i != no_source]
    new_code = np.full(len(source.names), NO_SOURCE, np.int32)
    new_code[kept] = np.arange(len(kept), dtype=np.int32)
    if not kept:
        raise InputError(f"The web {path} holds baselines only: every source is '{BASELINE}'.")
    return RunTable(
        tuple(setup.names), tuple(target.names), tuple(source.names[i] for i in kept),
        of_run[0].astype(np.int32), of_run[1].astype(np.int32), new_code[source.codes[first]],
        seed_codes[first].astype(np.int32), mean, gain,
    )  # fmt: skip


def _task_scores(
    path: Path,
    table: FloatArray,
    given: npt.NDArray[np.bool_],
    of_run: tuple[Codes, Codes] | tuple[npt.NDArray[np.int64], ...],
    targets: Sequence[str],
    metrics: Sequence[str],
) -> tuple[FloatArray, FloatArray]:
    """Mean of the metrics that make up the score, and of those that gains are computed from, per run."""
    mean, gain = np.full(table.shape[1], np.nan), np.full(table.shape[1], np.nan)
    known_tasks = catalogue()
    group = of_run[0] * len(targets) + of_run[1]
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        name = targets[int(of_run[1][rows[0]])]
        present = [i for i in range(len(metrics)) if given[i, rows].any()]
        task = known_tasks.get(name)
        chosen = [i for i in present if task is not None and metrics[i] in task.metrics] or present
        if len({higher_is_better(metrics[i]) for i in chosen}) > 1:
            raise WebError(
                f"The web {path}: target '{name}' mixes metrics of which more and of which less is better "
                f"({', '.join(metrics[i] for i in chosen)}). Keep one kind."
            )
        for_gain = [i for i in chosen if task is not None and metrics[i] in task.transfer_metrics] or chosen
        mean[rows] = table[np.ix_(np.array(chosen), rows)].mean(axis=0)
        gain[rows] = table[np.ix_(np.array(for_gain), rows)].mean(axis=0)
    return mean, gain


def _baseline_code(source: _Column) -> int:
    return next((i for i, name in enumerate(source.names) if name.lower() == BASELINE), -1)


def _occurrence(key: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each row, how many earlier rows have the same key."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    out = np.empty(len(key), np.int64)
    out[order] = np.arange(len(key)) - np.repeat(starts, np.diff(np.append(starts, len(key))))
    return out


def _require_columns(path: Path, found: Sequence[str]) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in found]
    if missing:
        raise InputError(
            f"The web {path} has no column '{missing[0]}'. Columns found: {', '.join(found[:12]) or 'none'}. It "
            f"needs {', '.join(REQUIRED_COLUMNS)} and may have {SEED_COLUMN}."
        )


def _read_csv(path: Path) -> tuple[dict[str, _Column], npt.NDArray[np.int64] | None, FloatArray]:
    texts: dict[str, list[str]] = {name: [] for name in REQUIRED_COLUMNS[:-1]}
    scores: list[float] = []
    seeds: list[int] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
            found = list(reader.fieldnames or [])
            _require_columns(path, found)
            for row in reader:
                if any(row[name] is None for name in REQUIRED_COLUMNS):
                    raise InputError(f"The web {path}, line {reader.line_num}, has fewer cells than the header has columns.")
                for name, values in texts.items():
                    values.append(_name(row[name], name, path, reader.line_num))
                scores.append(_number(row["score"], path, reader.line_num))
                if SEED_COLUMN in found:
                    seeds.append(_seed(row[SEED_COLUMN], path, reader.line_num))
    except OSError as fault:
        raise InputError(f"The web {path} cannot be read: {fault.strerror or fault}.") from None
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"The web {path} is not a CSV file in UTF-8: {fault}.") from None
    columns = {}
    for name, values in texts.items():
        distinct, codes = (
            np.unique(np.array(values, dtype=object), return_inverse=True) if values else (np.array([]), np.zeros(0, np.int64))
        )
        columns[name] = _Column([str(value) for value in distinct], codes.astype(np.int64))
    return columns, np.array(seeds, np.int64) if SEED_COLUMN in found else None, np.array(scores)


def _name(text: str, column: str, path: Path, line: int) -> str:
    if not text.strip():
        raise InputError(
            f"The web {path}, line {line}: the column '{column}' is empty. Baselines have the source '{BASELINE}'."
        )
    return text.strip()


def _number(text: str, path: Path, line: int) -> float:
    if text.strip().lower() in _MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise InputError(f"The web {path}, line {line}: the score '{text}' is not a number.") from None


def _seed(text: str, path: Path, line: int) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise InputError(f"The web {path}, line {line}: the seed '{text}' is not a whole number.") from None


def _read_parquet(path: Path) -> tuple[dict[str, _Column], npt.NDArray[np.int64] | None, FloatArray]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError("pyarrow", "data", f"Reading the web {path}") from None
    try:
        found = pq.read_schema(path).names
        _require_columns(path, found)
        names = list(REQUIRED_COLUMNS[:-1])
        wanted = [*REQUIRED_COLUMNS, *([SEED_COLUMN] if SEED_COLUMN in found else [])]
        table = pq.read_table(path, columns=wanted, read_dictionary=names)
        columns = {}
        for name in names:
            column = table.column(name)
            if column.null_count and name == "source":
                column = column.cast(pa.string()).fill_null(BASELINE)
            elif column.null_count:
                raise InputError(f"The web {path}: the column '{name}' has empty cells.")
            encoded = column.cast(pa.dictionary(pa.int32(), pa.string())).unify_dictionaries().combine_chunks()
            columns[name] = _Column(
                [str(value) for value in encoded.dictionary.to_pylist()],
                encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64),
            )
        seeds = table.column(SEED_COLUMN).cast(pa.int64()).to_numpy() if SEED_COLUMN in wanted else None
        return columns, seeds, table.column("score").cast(pa.float64()).to_numpy()
    except OSError as fault:
        raise InputError(f"The web {path} cannot be read: {str(fault).splitlines()[0]}.") from None
    except (pa.ArrowException, UnicodeDecodeError, TypeError) as fault:
        raise InputError(
            f"The web {path} is not a Parquet file with the columns it should have: {str(fault).splitlines()[0]}."
        ) from None
