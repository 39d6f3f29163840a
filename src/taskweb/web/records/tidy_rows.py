"""The columns of a tidy table of runs: those that every table has, and those of the full record.

A tidy table has one row per run and metric. A person only needs to write TIDY_COLUMNS; RECORD_COLUMNS contain the rest of a
run, mappings as JSON text, empty where there is nothing. A table with both is a full record: names are read exactly as
written, and reading it gives the runs that were written. Further columns are stored in `Run.extra`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, ParameterError
from taskweb.web.records.run import Run
from taskweb.web.records.run_json import json_text

BASELINE = "none"
SEED_COLUMN = "seed"
REQUIRED_COLUMNS = ("source", "target", "setup", "metric", "score")
TIDY_COLUMNS = ("source", "target", "setup", SEED_COLUMN, "metric", "score")
JSON_COLUMNS = ("hyperparameters", "definition", "sizes", "durations", "history", "versions", "extra")
RECORD_COLUMNS = ("replicate", "status", "reason", "model", "revision", "method", "commit", *JSON_COLUMNS)
MISSING_TEXTS = frozenset({"", "nan", "na", "n/a", "null", "none"})  # cells of CSV without a score or a seed, in lower case

Cell = str | int | float | None


def require_columns(where: str, found: Sequence[str]) -> None:
    """Raise InputError where a column that a tidy table needs is missing. where: the name of the table, for the message."""
    missing = [name for name in REQUIRED_COLUMNS if name not in found]
    if missing:
        raise InputError(
            f"{where} has no column '{missing[0]}'. Columns found: {', '.join(found[:12]) or 'none'}. It needs "
            f"{', '.join(REQUIRED_COLUMNS)}, and may have {SEED_COLUMN} and others. A table with a column for each target is "
            "imported with --kind wide or --kind matrix."
        )


def delimiter_of(path: Path) -> str:
    """The character between the cells of a text file: a tab where its name ends in .tsv, else a comma."""
    return "\t" if path.suffix.lower() == ".tsv" else ","


def text_extras(runs: Sequence[Run]) -> tuple[str, ...]:
    """Names of extra values that get a column of their own: those with texts. All others go into the column 'extra'."""
    named = {name for run in runs for name, value in run.extra.items() if isinstance(value, str) and value}
    return tuple(sorted(name for name in named if name.strip() and name not in (*TIDY_COLUMNS, *RECORD_COLUMNS)))


def rows_of_run(run: Run, extras: Sequence[str] = ()) -> Iterator[dict[str, Cell]]:
    """One row per metric, or one row without a metric for a run that has none.

    extras: the names of `text_extras`. Raises ParameterError for a name of a source or metric that a tidy table does not allow.
    """
    if run.source is not None and run.source.strip().lower() == BASELINE:
        raise ParameterError(
            f"A tidy table cannot contain the source task '{run.source}', since '{BASELINE}' means a baseline. Rename the task."
        )
    if "" in run.metrics:
        raise ParameterError(f"A run on '{run.target}' has a metric without a name. Name it.")
    in_columns = {name: run.extra[name] for name in extras if isinstance(run.extra.get(name), str) and run.extra[name]}
    shared: dict[str, Cell] = {
        "source": BASELINE if run.source is None else run.source,
        "target": run.target,
        "setup": run.setup.name,
        "seed": run.seed,
        "metric": None,
        "score": None,
        "replicate": run.replicate,
        "status": run.status,
        "reason": run.reason,
        "model": run.setup.model,
        "revision": run.setup.revision,
        "method": run.setup.method,
        "commit": run.commit,
        "hyperparameters": _json(run.setup.hyperparameters),
        "definition": _json(run.definition),
        "sizes": _json(run.sizes),
        "durations": _json(run.durations),
        "history": json_text(run.history) if run.history else None,
        "versions": _json(run.versions),
        "extra": _json({name: value for name, value in run.extra.items() if name not in in_columns}),
        **dict.fromkeys(extras),
        **in_columns,
    }
    for metric, score in run.metrics.items() or ((None, None),):
        yield shared | {"metric": metric, "score": score}


def _json(mapping: Mapping[str, Any]) -> str | None:
    return json_text(mapping) if mapping else None
