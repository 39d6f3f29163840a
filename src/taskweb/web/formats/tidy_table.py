"""Tidy tables read straight into columns for scoring, without a record of each run.

A row per run and metric: `source,target,setup,seed,metric,score`, with the source `none` for baselines.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import InputError, MissingDependencyError, first_line
from taskweb.tasks.paths import kind_of_path, not_utf8, unreadable
from taskweb.tasks.spreadsheet_cells import original
from taskweb.web.arrays import Codes, FloatArray
from taskweb.web.records.run_scores import run_scores
from taskweb.web.records.run_table import NO_SOURCE, UNKNOWN_SEED, RunTable, number_unknown_seeds
from taskweb.web.records.tidy_rows import BASELINE, MISSING_TEXTS, REQUIRED_COLUMNS, SEED_COLUMN, delimiter_of, require_columns

TIDY_SUFFIXES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True, eq=False)
class _Column:
    """A column as codes of its distinct values, which are names, or seeds as texts."""

    names: list[str]
    codes: Codes


def read_tidy(path: Path) -> RunTable:
    """Read a tidy CSV, TSV or Parquet file into runs.

    A target's score is the mean of its metrics: those of the catalogue for a task in it, all metrics of the table otherwise;
    metrics where lower is better (loss, error rate, ...) are negated. A run that lacks one of the metrics that its target has
    in that setup has no score. Runs without a seed are not paired with baselines by seed.
    Raises InputError that says what is wrong and where, and MissingDependencyError for Parquet without pyarrow.
    """
    if (kind := kind_of_path(path)) == "folder":
        raise InputError(
            f"The web {path} is a folder. Give a tidy CSV or Parquet file with the columns {', '.join(REQUIRED_COLUMNS)}."
        )
    if kind == "missing":
        raise InputError(f"There is no web {path}. Give 'published', a store, or a tidy CSV or Parquet file.")
    columns, seeds, score = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    if not len(score):
        raise InputError(f"The web {path} contains no rows.")
    return _runs_of_rows(path, columns, seeds, score)


def _runs_of_rows(path: Path, columns: dict[str, _Column], seeds: _Column, score: FloatArray) -> RunTable:
    setup, target, metric = (columns[name] for name in ("setup", "target", "metric"))
    sources, source = _sources(columns["source"])
    if not sources:
        raise InputError(f"The web {path} contains only baselines: every source is '{BASELINE}'.")
    pair = setup.codes.astype(np.int64)
    for codes, size in ((target.codes, len(target.names)), (source - NO_SOURCE, len(sources) + 1)):
        pair *= size
        pair += codes
    seed = seeds.codes
    if (seed == UNKNOWN_SEED).any():
        seed = number_unknown_seeds(seed, pair * len(metric.names) + metric.codes, source == NO_SOURCE)
    pair *= int(seed.max()) + 1
    pair += seed
    first, run = _distinct(pair)
    del pair
    _refuse_repeated(path, columns, seeds, run, len(first))
    of_run = setup.codes[first], target.codes[first]
    mean, gain = run_scores(f"The web {path}", of_run, target.names, metric.names, run, metric.codes, score)
    return RunTable(
        tuple(setup.names), tuple(target.names), sources, *of_run, source[first], seed[first], mean, gain
    )  # fmt: skip


def _sources(column: _Column) -> tuple[tuple[str, ...], Codes]:
    """The sources without the baseline, in upper or lower case, and each row's code among them."""
    named = [i for i, name in enumerate(column.names) if name.lower() != BASELINE]
    new_code = np.full(len(column.names), NO_SOURCE, np.int32)
    new_code[named] = np.arange(len(named), dtype=np.int32)
    return tuple(column.names[i] for i in named), new_code[column.codes]


def _distinct(key: npt.NDArray[np.int64]) -> tuple[Codes, Codes]:
    """The first row of each distinct key, in the order of keys, and the number of each row's key."""
    order = np.argsort(key, kind="stable").astype(np.int32)
    ordered = key[order]
    starts = np.empty(len(key), dtype=bool)
    starts[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=starts[1:])
    number = np.empty(len(key), np.int32)
    number[order] = np.cumsum(starts, dtype=np.int32) - np.int32(1)
    return order[starts], number


def _refuse_repeated(path: Path, columns: dict[str, _Column], seeds: _Column, run: Codes, n_runs: int) -> None:
    metric = columns["metric"]
    filled = np.zeros((n_runs, len(metric.names)), dtype=bool)
    filled[run, metric.codes] = True
    if np.count_nonzero(filled) == len(run):
        return
    cell = run.astype(np.int64) * len(metric.names) + metric.codes
    row = int(np.flatnonzero(np.bincount(cell)[cell] > 1)[1])
    where = ", ".join(f"{name} {column.names[column.codes[row]]}" for name, column in (columns | {"seed": seeds}).items())
    raise InputError(f"{path}, row {row + 1}: {where} occurs twice. Remove one, or give each run its own seed.")


def _read_csv(path: Path) -> tuple[dict[str, _Column], _Column, FloatArray]:
    texts: dict[str, list[str]] = {name: [] for name in REQUIRED_COLUMNS[:-1]}
    scores: list[float] = []
    seeds: list[int | None] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter_of(path), strict=True)
            found = list(reader.fieldnames or [])
            require_columns(f"The web {path}", found)
            for row in reader:
                if any(row[name] is None for name in REQUIRED_COLUMNS):
                    raise InputError(f"The web {path}, line {reader.line_num}, has fewer cells than the header has columns.")
                for name, values in texts.items():
                    values.append(_name(row[name], name, path, reader.line_num))
                scores.append(_number(row["score"], path, reader.line_num))
                seeds.append(_seed(row.get(SEED_COLUMN), path, reader.line_num))
    except OSError as fault:
        raise unreadable(path, fault) from None
    except UnicodeDecodeError:
        raise not_utf8(f"The web {path}") from None
    except csv.Error as fault:
        raise InputError(f"The web {path} is not a CSV file: {fault}.") from None
    columns = {name: _column(values) for name, values in texts.items()}
    return columns, _column(seeds), np.array(scores)


def _column(values: Sequence[str | int | None]) -> _Column:
    """Values as codes of the distinct ones, ascending; None has the code UNKNOWN_SEED."""
    distinct = sorted({value for value in values if value is not None})
    code = {None: UNKNOWN_SEED} | {value: i for i, value in enumerate(distinct)}
    return _Column([str(value) for value in distinct], np.array([code[value] for value in values], np.int32))


def _name(text: str, column: str, path: Path, line: int) -> str:
    if not text.strip():
        raise InputError(
            f"The web {path}, line {line}: the column '{column}' is empty. Baselines have the source '{BASELINE}'."
        )
    return original(text).strip()


def _number(text: str, path: Path, line: int) -> float:
    if text.strip().lower() in MISSING_TEXTS:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise InputError(f"The web {path}, line {line}: the score '{text}' is not a number. Leave it empty if there is none.")
    return value


def _seed(text: str | None, path: Path, line: int) -> int | None:
    if text is None or text.strip().lower() in MISSING_TEXTS:
        return None
    try:
        if text.strip().lstrip("+-").isdecimal():
            return int(text)
        if not float(text).is_integer():
            raise ValueError
        return int(float(text))
    except (ValueError, OverflowError):
        raise InputError(f"The web {path}, line {line}: the seed '{text}' is not a whole number.") from None


def _read_parquet(path: Path) -> tuple[dict[str, _Column], _Column, FloatArray]:
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError("pyarrow", "data", f"Reading the web {path}") from None
    try:
        found = pq.read_schema(path).names
        require_columns(f"The web {path}", found)
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
            columns[name] = _decoded(column.cast(pa.dictionary(pa.int32(), pa.string())))
        seeds = _Column([], np.full(len(table), UNKNOWN_SEED, np.int32))
        if SEED_COLUMN in wanted:
            column = table.column(SEED_COLUMN)
            if pa.types.is_floating(column.type):
                column = pc.if_else(pc.is_nan(column), None, column)
            seeds = _decoded(column.cast(pa.int64()).dictionary_encode())
        return columns, seeds, table.column("score").cast(pa.float64()).to_numpy()
    except OSError as fault:
        raise InputError(f"The web {path} cannot be read: {first_line(fault)}.") from None
    except (pa.ArrowException, UnicodeDecodeError, TypeError) as fault:
        raise InputError(
            f"The web {path} is not a Parquet file with the columns of a tidy table: {first_line(fault)}."
        ) from None


def _decoded(encoded: Any) -> _Column:
    """A dictionary-encoded column; an empty cell has the code UNKNOWN_SEED."""
    whole = encoded.unify_dictionaries().combine_chunks()
    codes = whole.indices.fill_null(UNKNOWN_SEED).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return _Column([str(value) for value in whole.dictionary.to_pylist()], codes)
