"""Scores of task pairs from a table: a language model's judgements of similarity, or any predictions."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import InputError, unknown_name
from taskweb.tasks.paths import not_utf8, unreadable
from taskweb.tasks.spreadsheet_cells import original

COLUMNS = ("target", "source", "score")


@dataclass(frozen=True)
class PairScores:
    """One finite score per (target, source), higher = better source or more similar."""

    name: str
    scores: Mapping[tuple[str, str], float] = field(repr=False)

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets with at least one score, in the table's order."""
        return tuple(dict.fromkeys(target for target, _ in self.scores))

    def two_way(self) -> PairScores:
        """The mean of both directions of each pair; for a pair scored in one direction, that score."""
        merged = {pair: (score + self.scores.get(pair[::-1], score)) / 2 for pair, score in self.scores.items()}
        return PairScores(self.name, {pair[::-1]: score for pair, score in merged.items()} | merged)


def read_pair_scores(path: Path) -> dict[str, PairScores]:
    """Read a CSV with the columns target, source, score and optionally selector; returns a table per selector.

    Without a selector column the file's stem is the table's name. Rows without a score are skipped.
    Raises InputError, naming the line, for anything else.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _tables(csv.DictReader(file), path)
    except OSError as fault:
        raise unreadable(path, fault) from None
    except UnicodeDecodeError:
        raise not_utf8(f"The table of scores {path}") from None
    except csv.Error as fault:
        raise InputError(f"The table of scores {path} is not a CSV file: {fault}.") from None


def choose_table(tables: Mapping[str, PairScores], name: str | None, path: Path) -> PairScores:
    """The table of that name, or the only one. Raises NameNotFoundError, or InputError for several tables and no name."""
    if name is not None:
        if name not in tables:
            raise unknown_name(f"selector in {path}", name, tables)
        return tables[name]
    if len(tables) > 1:
        raise InputError(
            f"{path} contains scores of several selectors ({', '.join(tables)}). Choose one: --pair-scores {path}:NAME."
        )
    return next(iter(tables.values()))


def _tables(rows: csv.DictReader[str], path: Path) -> dict[str, PairScores]:
    found = rows.fieldnames or []
    missing = [column for column in COLUMNS if column not in found]
    if missing:
        raise InputError(
            f"The table of scores {path} has no column '{missing[0]}'. Columns found: "
            f"{', '.join(found) or 'none'}. It needs {', '.join(COLUMNS)}."
        )
    tables: dict[str, dict[tuple[str, str], float]] = {}
    for row in _with_values(rows):
        name, pair, text = row.get("selector") or path.stem, (row["target"], row["source"]), row["score"]
        table = tables.setdefault(name, {})
        if text.strip().lower() in ("", "nan", "na", "null"):
            continue
        try:
            score = float(text)
        except ValueError:
            score = math.inf
        if not math.isfinite(score):
            raise InputError(f"{path}, line {rows.line_num}: the score '{text}' is not a number.")
        if pair in table:
            raise InputError(
                f"{path}, line {rows.line_num}: selector '{name}' scores source '{pair[1]}' for target '{pair[0]}' twice."
            )
        table[pair] = score
    filled = {name: PairScores(name, table) for name, table in tables.items() if table}
    if not filled:
        raise InputError(f"The table of scores {path} contains no scores.")
    return filled


def _with_values(rows: csv.DictReader[str]) -> Iterable[dict[str, str]]:
    for row in rows:
        yield {key: original(value or "") for key, value in row.items() if isinstance(key, str)}
