"""Rows (mappings of columns to values) from files, standard input and the Hugging Face Hub: one reader per format.

Any input gives rows with their place, counted from 1, or an InputError.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal, cast, get_args

from taskweb.errors import InputError, MissingDependencyError, first_line
from taskweb.tasks.paths import kind_of_path, unreadable

FileFormat = Literal["jsonl", "csv", "tsv", "parquet"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
SUFFIXES: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
MOST_BYTES_A_LINE = 16 * 1024 * 1024

Row = tuple[int, Mapping[str, Any]]


def rows_of(where: str | Path, *, file_format: FileFormat | None = None, hub_split: str | None = None) -> Iterator[Row]:
    """The rows of a JSONL, CSV, TSV, Parquet (or `.gz`) file, of `-` (standard input), or of `hf:<id>[/<config>][@revision]`.

    Raises InputError, with the place, for input that cannot be read, and MissingDependencyError where a package is missing.
    """
    text = str(where)
    if hub_split is not None and not text.startswith("hf:"):
        raise InputError(
            f"'{hub_split}' is a split of a data set on the Hub, but {origin_of(where)} is not one. Leave out --split, or give "
            "the file of that split."
        )
    if text == "-":
        if sys.stdin is None:
            raise InputError("Standard input is closed. Pipe the examples in, or name a file.")
        return _rows_of_stream(sys.stdin.buffer, "standard input", file_format or "jsonl")
    if text.startswith("hf:"):
        from taskweb.tasks.hub import rows_of_hub

        return rows_of_hub(text, hub_split)
    return _rows_of_file(Path(where), file_format)


def origin_of(where: str | Path) -> str:
    """The name of an input in messages."""
    return "standard input" if str(where) == "-" else str(where)


def name_of(where: str | Path) -> str:
    """The task name of an input: `stdin`, the data set's id, or the file's name without its endings."""
    text = str(where)
    if text == "-":
        return "stdin"
    if text.startswith("hf:"):
        return text.removeprefix("hf:").split("@")[0].replace("/", "_")
    return task_name_of(Path(where))


def task_name_of(path: Path) -> str:
    """The task name of a file: its name without `.jsonl`, `.csv.gz` and similar endings."""
    stem = path.name.removesuffix(".gz")
    suffix = Path(stem).suffix
    return stem.removesuffix(suffix) if suffix.lower() in SUFFIXES else stem


def _rows_of_file(path: Path, file_format: FileFormat | None) -> Iterator[Row]:
    try:
        if (kind := kind_of_path(path)) == "folder":
            raise InputError(f"{path} is a folder, not a file of examples. Name one file in it, or use it with --sources.")
        if kind == "missing":
            raise InputError(f"There is no file {path}. Check the path, or the name of the task.")
        chosen = file_format or SUFFIXES.get(Path(path.name.removesuffix(".gz")).suffix.lower())
        if chosen is None:
            raise InputError(
                f"{path}: the format is not known from the name. Use one of {', '.join(SUFFIXES)}, or give "
                f"--input-format {'|'.join(FILE_FORMATS)}."
            )
        if chosen == "parquet":
            yield from _rows_of_parquet(path)
            return
        with path.open("rb") as raw:
            stream = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw
            yield from _rows_of_stream(cast("IO[bytes]", stream), str(path), chosen)
    except (gzip.BadGzipFile, zlib.error, EOFError) as fault:
        raise InputError(f"{path} cannot be decompressed ({fault}). Is it a complete gzip file?") from None
    except OSError as fault:
        raise unreadable(path, fault) from None


def _rows_of_stream(stream: IO[bytes], origin: str, file_format: FileFormat) -> Iterator[Row]:
    lines = _text_lines(stream, origin)
    if file_format == "jsonl":
        yield from _rows_of_jsonl(lines, origin)
    elif file_format in ("csv", "tsv"):
        yield from _rows_of_csv(lines, origin, "\t" if file_format == "tsv" else ",")
    else:
        raise InputError(f"{origin}: {file_format} cannot be read from a stream. Save it to a file first.")


def _text_lines(stream: IO[bytes], origin: str) -> Iterator[tuple[int, str]]:
    number = 0
    while line := stream.readline(MOST_BYTES_A_LINE + 1):
        number += 1
        if len(line) > MOST_BYTES_A_LINE:
            raise InputError(
                f"{origin}, line {number} is longer than {MOST_BYTES_A_LINE // 2**20} MiB. Each example is "
                "one line; is this the right file?"
            )
        if b"\0" in line:
            raise InputError(
                f"{origin}, line {number} contains a zero byte, so this is not a text file. Give JSONL, CSV or Parquet."
            )
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as fault:
            raise InputError(
                f"{origin}, line {number} is not UTF-8 text (byte {fault.start + 1} is "
                f"0x{line[fault.start]:02x}). Save it as UTF-8."
            ) from None
        yield number, text


def _rows_of_jsonl(lines: Iterable[tuple[int, str]], origin: str) -> Iterator[Row]:
    for number, text in lines:
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as fault:
            reason = fault.msg if isinstance(fault, json.JSONDecodeError) else str(fault)
            hint = " JSONL has one object per line; this looks like one JSON list." if text.lstrip()[:1] == "[" else ""
            raise InputError(f"{origin}, line {number} is not valid JSON: {reason}.{hint} Fix or remove that line.") from None
        if not isinstance(row, dict):
            if isinstance(row, list):
                raise InputError(
                    f"{origin}, line {number} is a JSON list. JSONL has one object per line: write each item on "
                    "a line of its own."
                )
            raise InputError(
                f"{origin}, line {number} is not a JSON object with an 'input' field but {type(row).__name__}. "
                "JSONL has one object per line."
            )
        yield number, row


def _rows_of_csv(lines: Iterable[tuple[int, str]], origin: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(MOST_BYTES_A_LINE)
    reader = csv.DictReader((text for _, text in lines), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            extra = row.pop(None, None)
            if extra is not None:
                raise InputError(
                    f"{origin}, line {reader.line_num} has more cells than the header has columns. Quote cells "
                    f"that contain '{delimiter}'."
                )
            yield reader.line_num, row
    except csv.Error as fault:
        raise InputError(f"{origin}, line {reader.line_num} is not valid CSV: {fault}.") from None


def _rows_of_parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError("pyarrow", "data", f"Reading {path}") from None
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, UnicodeDecodeError) as fault:
        raise InputError(f"{path} is not a readable Parquet file: {first_line(fault)}.") from None
