"""Writing runs to files; the kind follows from the name of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from taskweb.errors import InputError, unknown_name
from taskweb.web.formats.hf_dataset import export_dataset
from taskweb.web.formats.jsonl import export_jsonl
from taskweb.web.formats.tidy_csv import export_csv
from taskweb.web.formats.tidy_parquet import export_parquet
from taskweb.web.records.run import Run

EXPORTERS: dict[str, Callable[[Iterable[Run], Path], int]] = {
    "csv": export_csv,
    "parquet": export_parquet,
    "jsonl": export_jsonl,
    "dataset": export_dataset,
}
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    "": "dataset",
}


def export_runs(runs: Iterable[Run], path: str | Path, *, kind: str | None = None) -> int:
    """Write runs to a file or a dataset folder, whole or not at all; return how many runs.

    kind: csv, parquet, jsonl or dataset; by default chosen by the ending of the name, dataset where it has none. Every kind
    contains the full record: importing it gives the same runs. Runs are written one by one, so a million need little
    memory. Raises NameNotFoundError for an unknown kind, and InputError for an unknown ending.
    """
    path = Path(path)
    if kind is None:
        kind = SUFFIXES.get(path.suffix.lower())
        if kind is None:
            raise InputError(
                f"{path} ends in '{path.suffix}', which is not a kind of file that runs are written to. "
                f"Use {', '.join(ending for ending in SUFFIXES if ending)} or a folder without an ending, or give the kind: "
                f"{', '.join(EXPORTERS)}."
            )
    if kind not in EXPORTERS:
        raise unknown_name("kind of export", kind, EXPORTERS)
    return EXPORTERS[kind](runs, path)
