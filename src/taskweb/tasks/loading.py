"""Examples from files, standard input and the Hugging Face Hub.

One reader per format yields rows (mappings) with the place they stand at; one function turns a row into an Example;
one takes the first rows or a seeded sample. Whatever the bytes, the outcome is examples or an InputError.
"""

from __future__ import annotations

import ast
import csv
import gzip
import json
import random
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast, get_args

from taskweb.errors import InputError, MissingDependencyError, ParameterError
from taskweb.tasks.paths import kind_of_path, unreadable
from taskweb.tasks.task import Example, ExampleSet

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
DEFAULT_LIMIT = 32

Row = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold what. Several input columns are joined by a newline.

    required: optional columns (output, choices) that must be there all the same, because somebody named them.
    """

    input: tuple[str, ...] = ("input",)
    output: str = "output"
    choices: str = "choices"
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many examples to take, and which: the first ones, or a sample without replacement drawn with `seed`.

    limit None takes all.
    """

    limit: int | None = DEFAULT_LIMIT
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ParameterError(f"The number of examples must be at least 1. Got {self.limit} instead.")


def load_examples(
    where: str | Path,
    *,
    columns: Columns | None = None,
    sampling: Sampling | None = None,
    file_format: FileFormat | None = None,
    name: str | None = None,
    hub_split: str | None = None,
) -> ExampleSet:
    """Load examples from a JSONL, CSV, TSV, Parquet (or `.gz`) file, `-` (standard input), or `hf:<id>[/<config>][@revision]`.

    Rows with an empty input are passed over and counted. Raises InputError, naming the place and what to do, for
    anything that cannot be used, and MissingDependencyError where Parquet or the Hub need a package that is missing.
    """
    columns = columns or Columns()
    sampling = sampling or Sampling()
    text = str(where)
    if text == "-":
        if sys.stdin is None:
            raise InputError("Standard input is closed. Pipe the examples in, or name a file.")
        origin, rows = "standard input", _rows_of_stream(sys.stdin.buffer, "standard input", file_format or "jsonl")
        name = name or "stdin"
    elif text.startswith("hf:"):
        from taskweb.tasks.hub import rows_of_hub

        origin, rows = text, rows_of_hub(text, hub_split)
        name = name or text.removeprefix("hf:").split("@")[0].replace("/", "_")
    else:
        path = Path(where)
        origin, rows = text, _rows_of_file(path, file_format)
        name = name or task_name_of(path)
    return _collect(rows, name, origin, columns, sampling)


def task_name_of(path: Path) -> str:
    """The task a file stands for: its name without `.jsonl`, `.csv.gz` and the like."""
    stem = path.name.removesuffix(".gz")
    suffix = Path(stem).suffix
    return stem.removesuffix(suffix) if suffix.lower() in SUFFIXES else stem


def example_files(folder: Path) -> dict[str, Path]:
    """The files of a folder that hold examples, by task name. Raises InputError where there are none, or two of one name."""
    if (kind := kind_of_path(folder)) != "folder":
        what = "is a file, not a folder" if kind == "file" else "does not exist"
        raise InputError(
            f"The examples folder {folder} {what}. Give a folder that holds one <task>.jsonl (or .csv, .parquet) per task."
        )
    found: dict[str, Path] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError as fault:
        raise unreadable(folder, fault) from None
    for path in paths:
        if kind_of_path(path) != "file" or Path(path.name.removesuffix(".gz")).suffix.lower() not in SUFFIXES:
            continue
        task = task_name_of(path)
        if task in found:
            raise InputError(
                f"The folder {folder} holds two files for task '{task}': {found[task].name} and {path.name}. Keep one."
            )
        found[task] = path
    if not found:
        raise InputError(
            f"The folder {folder} holds no example files. taskweb looks for <task>{', <task>'.join(SUFFIXES)} (or .gz)."
        )
    return found


def load_folder(folder: Path, *, columns: Columns | None = None, sampling: Sampling | None = None) -> Iterator[ExampleSet]:
    """Load every file of examples in a folder, one by one, named after the file.

    A file that lacks the mapped columns is read with the default ones: a folder may mix both. Raises InputError.
    """
    for task, path in example_files(folder).items():
        try:
            yield load_examples(path, columns=columns, sampling=sampling, name=task)
        except MissingColumnError:
            if columns in (None, Columns()):
                raise
            yield load_examples(path, sampling=sampling, name=task)


def _collect(rows: Iterable[Row], name: str, origin: str, columns: Columns, sampling: Sampling) -> ExampleSet:
    chosen: list[Example] = []
    skipped = usable = 0
    draw = random.Random(sampling.seed)  # noqa: S311 - sampling, not security
    for line, row in rows:
        example = _example_of(row, line, origin, columns)
        if example is None:
            skipped += 1
            continue
        usable += 1
        if sampling.limit is None or len(chosen) < sampling.limit:
            chosen.append(example)
        elif (slot := draw.randrange(usable)) < sampling.limit:  # reservoir: each row is kept with equal probability
            chosen[slot] = example
        if sampling.seed is None and len(chosen) == sampling.limit:
            break
    if not chosen:
        reason = f"all {skipped} rows have an empty '{columns.input[0]}'" if skipped else "it is empty"
        raise InputError(
            f"{origin} holds no usable examples: {reason}. Give at least one row with text in '{columns.input[0]}'."
        )
    return ExampleSet(name, tuple(chosen), origin, skipped, usable + skipped)


class MissingColumnError(InputError):
    """A column that is named, and not there."""


def _require(column: str, option: str, row: Mapping[str, Any], line: int, origin: str) -> None:
    if column not in row:
        found = ", ".join(str(key) for key in list(row)[:12]) or "none"
        raise MissingColumnError(
            f"{origin}, row {line}: there is no column '{column}'. Columns found: {_clean(found)}. Name the right "
            f"one with {option}."
        )


def _example_of(row: Mapping[str, Any], line: int, origin: str, columns: Columns) -> Example | None:
    for column in columns.input:
        _require(column, "--input-column", row, line, origin)
    for column, option in ((columns.output, "--output-column"), (columns.choices, "--choices-column")):
        if column in columns.required:
            _require(column, option, row, line, origin)
    parts: list[str] = []
    for column in columns.input:
        value = row[column]
        if value is None:
            continue
        if not isinstance(value, str):
            raise InputError(f"{origin}, row {line}: '{column}' must be text. Got {type(value).__name__} instead.")
        parts.append(_clean(value))
    text = "\n".join(parts)
    if not text.strip():
        return None
    output = _output_of(row.get(columns.output), line, origin, columns)
    return Example(text, output, _choices_of(row.get(columns.choices), line, origin, columns))


def _output_of(value: Any, line: int, origin: str, columns: Columns) -> str | None:
    if value is None or isinstance(value, str):
        return _clean(value) if value else None
    if isinstance(value, bool | int | float):
        return str(value)
    raise InputError(f"{origin}, row {line}: '{columns.output}' must be text or a number. Got {type(value).__name__} instead.")


def _choices_of(value: Any, line: int, origin: str, columns: Columns) -> tuple[str, ...] | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):  # a CSV cell: a JSON list, or a list as Python prints it
        value = _parsed_list(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        return tuple(_clean(str(item)) for item in value) or None
    raise InputError(
        f'{origin}, row {line}: \'{columns.choices}\' must be a list of answers such as ["yes", "no"], or null. '
        f"Map another column with --choices-column."
    )


def _parsed_list(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def _clean(text: str) -> str:
    """Replace lone surrogates (legal in JSON escapes, illegal in UTF-8) so that every later stage can encode the text."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _rows_of_file(path: Path, file_format: FileFormat | None) -> Iterator[Row]:
    try:
        if (kind := kind_of_path(path)) == "folder":
            raise InputError(f"{path} is a folder, not a file of examples. Name one file in it, or use it with --sources.")
        if kind == "missing":
            raise InputError(f"There is no file {path}. Check the path, or give the name of a task in the web.")
        chosen = file_format or SUFFIXES.get(Path(path.name.removesuffix(".gz")).suffix.lower())
        if chosen is None:
            raise InputError(
                f"{path}: the format cannot be told from the name. Use one of {', '.join(SUFFIXES)}, or say "
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
                f"{origin}, line {number} is longer than {MOST_BYTES_A_LINE // 2**20} MiB. Each example stands on "
                "its own line; is this the right file?"
            )
        if b"\0" in line:
            raise InputError(
                f"{origin}, line {number} holds a zero byte, so this is not a text file. Give JSONL, CSV or Parquet."
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
            hint = " JSONL holds one object per line; this looks like one JSON list." if text.lstrip()[:1] == "[" else ""
            raise InputError(f"{origin}, line {number} is not valid JSON: {reason}.{hint} Mend or remove that line.") from None
        if not isinstance(row, dict):
            if isinstance(row, list):
                raise InputError(
                    f"{origin}, line {number} is a JSON list. JSONL holds one object per line: write each item on "
                    "a line of its own."
                )
            raise InputError(
                f"{origin}, line {number} is not a JSON object with an 'input' field but {type(row).__name__}. "
                "JSONL holds one object per line."
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
                    f"that hold '{delimiter}'."
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
        raise InputError(f"{path} is not a readable Parquet file: {_first_line(fault)}.") from None


def _first_line(fault: BaseException) -> str:
    return str(fault).splitlines()[0].rstrip(".") if str(fault) else type(fault).__name__
