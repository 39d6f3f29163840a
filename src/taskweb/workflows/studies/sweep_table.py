"""Own results of training on the k best sources, as a CSV."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import InputError
from taskweb.tasks.paths import not_utf8, unreadable
from taskweb.tasks.spreadsheet_cells import original

COLUMNS = ("k", "target", "score")
ALL = "all"
_MOST_ERRORS = 5


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The zero-shot score of one model on one target. k: how many sources, None for all; hours: NaN where not given."""

    k: int | None
    target: str
    score: float
    seed: str
    hours: float


def read_sweep(path: Path) -> tuple[SweepResult, ...]:
    """Read a CSV with the columns k (a number, or `all`), target, score (a fraction), and if known seed and hours.

    Raises InputError that lists wrong lines, repeated results, and targets that were not measured at every k.
    """
    lines = _lines(path)
    results, errors = [], []
    for number, row in lines:
        try:
            results.append(_result(row))
        except ValueError as error:
            errors.append(f"line {number}: {error}")
    errors += [*_repeated(results), *_incomplete(results)]
    if errors:
        more = f"; and {len(errors) - _MOST_ERRORS} more" if len(errors) > _MOST_ERRORS else ""
        raise InputError(f"The table of results {path} cannot be used: {'; '.join(errors[:_MOST_ERRORS])}{more}.")
    return tuple(results)


def _lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Number and cells of every line. Raises InputError for a file that is no such table."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            found = reader.fieldnames or []
            if missing := [column for column in COLUMNS if column not in found]:
                raise InputError(
                    f"The table of results {path} has no column '{missing[0]}'. Columns found: {', '.join(found) or 'none'}. "
                    f"It needs {', '.join(COLUMNS)}."
                )
            lines = [(reader.line_num, {key: original(value or "") for key, value in row.items() if key}) for row in reader]
    except UnicodeDecodeError:
        raise not_utf8(f"The table of results {path}") from None
    except csv.Error as error:
        raise InputError(f"The table of results {path} is not a CSV file: {error}.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise unreadable(path, error) from None
    if not lines:
        raise InputError(f"The table of results {path} contains no results.")
    return lines


def _repeated(results: Sequence[SweepResult]) -> Iterator[str]:
    """An error for each result that is in the table more than once."""
    for (k, target, _), count in Counter((result.k, result.target, result.seed) for result in results).items():
        if count > 1:
            yield f"{target} at k = {_shown(k)} has {count} results with the same seed"


def _incomplete(results: Sequence[SweepResult]) -> Iterator[str]:
    """An error for each k at which some targets were not measured."""
    targets = {k: {result.target for result in results if result.k == k} for k in {result.k for result in results}}
    for k, measured in sorted(targets.items(), key=lambda item: item[0] or math.inf):
        if lacking := sorted(set.union(*targets.values()) - measured):
            yield f"k = {_shown(k)} has no results for {', '.join(lacking)}: every k needs the same targets"


def _shown(k: int | None) -> str:
    return ALL if k is None else str(k)


def _result(row: dict[str, str]) -> SweepResult:
    """A row as a result. Raises ValueError in words."""
    if not row["target"]:
        raise ValueError("no target is named")
    text = row["k"].strip().lower()
    if text != ALL and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"k must be a whole number of 1 or more, or '{ALL}', not '{row['k']}'")
    score = _number(row["score"])
    if not 0 <= score <= 1:  # NaN too
        raise ValueError(f"the score must be a fraction from 0 to 1, not '{row['score']}'")
    hours = _number(row["hours"]) if row.get("hours") else math.nan
    if row.get("hours") and not 0 <= hours < math.inf:
        raise ValueError(f"hours must be 0 or more, not '{row['hours']}'")
    return SweepResult(None if text == ALL else int(text), row["target"], score, row.get("seed", ""), hours)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
