"""Formats of files, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from taskweb.tasks.reading.unpacking import without_packing

FileFormat = Literal["jsonl", "json", "csv", "tsv", "parquet", "arrow"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
SUFFIXES: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
TASK_SUFFIXES = (".yaml", ".yml")  # of tasks of lm-evaluation-harness


def format_of_name(name: str) -> FileFormat | None:
    """The format that a file's name says; None for another file."""
    return SUFFIXES.get(Path(without_packing(name)).suffix.lower())


def task_name_of(path: Path) -> str:
    """The task name of a file: its name without `.jsonl`, `.csv.gz` and similar endings."""
    stem = without_packing(path.name)
    suffix = Path(stem).suffix
    return stem.removesuffix(suffix) if suffix.lower() in (*SUFFIXES, *TASK_SUFFIXES) else stem
