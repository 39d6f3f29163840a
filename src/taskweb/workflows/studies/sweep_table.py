"""One's own results of training on the k best sources, as a CSV."""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import InputError
from taskweb.tasks.paths import unreadable

COLUMNS = ("k", "target", "score")
ALL = "all"
_MOST_FAULTS = 5


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The zero-shot score of one model on one target. k: how many sources, None for all; hours: NaN where not told."""

    k: int | None
    target: str
    score: float
    seed: str
    hours: float


def read_sweep(path: Path) -> tuple[SweepResult, ...]:
    """Read a CSV with the columns k (a number, or `all`), target, score (a fraction), and if known seed and hours.

    Raises InputError that names the lines at fault, results that are there twice, or targets that were not measured at every k.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            found = reader.fieldnames or []
            if missing := [column for column in COLUMNS if column not in found]:
                raise InputError(
                    f"The table of results {path} has no column '{missing[0]}'. Columns found: {', '.join(found) or 'none'}. "
                    f"It needs {', '.join(COLUMNS)}."
                )
            lines = [(reader.line_num, {key: value or "" for key, value in row.items() if key}) for row in reader]
    except OSError as fault:
        raise unreadable(path, fault) from None
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"The table of results {path} is not a CSV file in UTF-8: {fault}.") from None
    if not lines:
        raise InputError(f"The table of results {path} holds no results.")
    results, faults = [], []
    for number, row in lines:
        try:
            results.append(_result(row))
        except ValueError as fault:
            faults.append(f"line {number}: {fault}")
    for (k, target, _), count in Counter((result.k, result.target, result.seed) for result in results).items():
        if count > 1:
            faults.append(f"{target} at k = {ALL if k is None else k} is there {count} times with the same seed")
    targets = {k: {result.target for result in results if result.k == k} for k in {result.k for result in results}}
    for k, measured in sorted(targets.items(), key=lambda item: item[0] or math.inf):
        if lacking := sorted(set.union(*targets.values()) - measured):
            faults.append(f"k = {ALL if k is None else k} lacks {', '.join(lacking)}: the same targets are needed at every k")
    if faults:
        more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        raise InputError(f"The table of results {path} cannot be used: {'; '.join(faults[:_MOST_FAULTS])}{more}.")
    return tuple(results)


def _result(row: dict[str, str]) -> SweepResult:
    """A row as a result. Raises ValueError in words."""
    if not row["target"]:
        raise ValueError("no target is named")
    text = row["k"].strip().lower()
    if text != ALL and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"k must be a number from 1 on, or '{ALL}', not '{row['k']}'")
    score = _number(row["score"])
    if not 0 <= score <= 1:  # NaN too
        raise ValueError(f"the score must be a fraction from 0 to 1, not '{row['score']}'")
    hours = _number(row["hours"]) if row.get("hours") else math.nan
    if row.get("hours") and not 0 <= hours < math.inf:
        raise ValueError(f"hours must be a number from 0 on, not '{row['hours']}'")
    return SweepResult(None if text == ALL else int(text), row["target"], score, row.get("seed", ""), hours)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
