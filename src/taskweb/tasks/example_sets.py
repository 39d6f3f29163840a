"""Examples from files, standard input and the Hugging Face Hub.

Rows come from `taskweb.tasks.rows`; one function here turns a row into an Example, one takes the first or a seeded sample.
Any input gives examples or an InputError.
"""

from __future__ import annotations

import ast
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from taskweb.errors import InputError, ParameterError
from taskweb.tasks.paths import kind_of_path, unreadable
from taskweb.tasks.rows import SUFFIXES, FileFormat, Row, name_of, origin_of, rows_of, task_name_of
from taskweb.tasks.task import Example, ExampleSet

DEFAULT_LIMIT = 32
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of columns. Several input columns are joined by a newline.

    required: optional columns (output, choices) that must exist, because the user named them.
    group: columns that identify the underlying example of a row.
    """

    input: tuple[str, ...] = ("input",)
    output: str = "output"
    choices: str = "choices"
    required: frozenset[str] = frozenset()
    group: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """The number of examples to take, and which: the first ones, or a sample without replacement drawn with `seed`.

    limit: None takes all.
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

    Rows with an empty input are skipped and counted. Raises InputError, with the place and what to do, for anything that
    cannot be used, and MissingDependencyError where Parquet or the Hub need a package that is missing.
    """
    columns = columns or Columns()
    sampling = sampling or Sampling()
    rows = rows_of(where, file_format=file_format, hub_split=hub_split)
    return _collect(rows, name or name_of(where), origin_of(where), columns, sampling)


def example_files(folder: Path) -> dict[str, Path]:
    """The files of examples in a folder, by task name. Raises InputError where there are none, or two of one name."""
    if (kind := kind_of_path(folder)) != "folder":
        what = "is a file, not a folder" if kind == "file" else "does not exist"
        raise InputError(
            f"The examples folder {folder} {what}. Give a folder with one <task>.jsonl (or .csv, .parquet) per task."
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
                f"The folder {folder} contains two files for task '{task}': {found[task].name} and {path.name}. Keep one."
            )
        found[task] = path
    if not found:
        raise InputError(
            f"The folder {folder} contains no example files. taskweb looks for <task>{', <task>'.join(SUFFIXES)} (or .gz)."
        )
    return found


def load_folder(folder: Path, *, columns: Columns | None = None, sampling: Sampling | None = None) -> Iterator[ExampleSet]:
    """Load every file of examples in a folder, one by one, named after the file.

    A file without the mapped columns is read with the default ones; a folder may mix both. Raises InputError.
    """
    for task, path in example_files(folder).items():
        try:
            yield load_examples(path, columns=columns, sampling=sampling, name=task)
        except MissingColumnError:
            if columns in (None, Columns()):
                raise
            yield load_examples(path, sampling=sampling, name=task)


def taken(items: Iterable[Item], sampling: Sampling) -> list[Item]:
    """The first items, or a sample in which every item is equally likely; reading stops early where possible."""
    chosen: list[Item] = []
    draw = random.Random(sampling.seed)  # noqa: S311 - sampling, not security
    for count, item in enumerate(items, 1):
        if sampling.limit is None or len(chosen) < sampling.limit:
            chosen.append(item)
        elif (slot := draw.randrange(count)) < sampling.limit:  # reservoir
            chosen[slot] = item
        if sampling.seed is None and len(chosen) == sampling.limit:
            break
    return chosen


def _collect(rows: Iterable[Row], name: str, origin: str, columns: Columns, sampling: Sampling) -> ExampleSet:
    skipped = read = 0

    def usable() -> Iterator[Example]:
        nonlocal skipped, read
        for line, row in rows:
            read += 1
            example = example_of(row, line, origin, columns)
            if example is None:
                skipped += 1
            else:
                yield example

    chosen = taken(usable(), sampling)
    if not chosen:
        reason = f"all {skipped} rows have an empty '{columns.input[0]}'" if skipped else "it is empty"
        raise InputError(
            f"{origin} contains no usable examples: {reason}. Give at least one row with text in '{columns.input[0]}'."
        )
    return ExampleSet(name, tuple(chosen), origin, skipped, read)


class MissingColumnError(InputError):
    """A requested column that does not exist."""


def _require(column: str, option: str, row: Mapping[str, Any], line: int, origin: str) -> None:
    if column not in row:
        found = ", ".join(str(key) for key in list(row)[:12]) or "none"
        raise MissingColumnError(
            f"{origin}, row {line}: there is no column '{column}'. Columns found: {_clean(found)}. Name the right "
            f"one with {option}."
        )


def example_of(row: Mapping[str, Any], line: int, origin: str, columns: Columns) -> Example | None:
    """The example of a row, None for an empty input. line, origin: the place of the row, for messages. Raises InputError."""
    for column in columns.input:
        _require(column, "--input-column", row, line, origin)
    for column, option in ((columns.output, "--output-column"), (columns.choices, "--choices-column")):
        if column in columns.required:
            _require(column, option, row, line, origin)
    parts: list[str] = []
    for column in columns.input:  # those without a text are left out
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
    choices = _choices_of(row.get(columns.choices), line, origin, columns)
    return Example(text, output, choices, columns=_spans_of(parts), row=line)


def empty_row(line: int, origin: str) -> InputError:
    """The error of a row without an input where none may be left out."""
    return InputError(f"{origin}, row {line}: the input is empty. Remove the row, or give it a text.")


def _spans_of(parts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Where each of several texts that are joined by a newline stands; () for a single one."""
    ends = list(accumulate(len(part) + 1 for part in parts))
    return tuple((end - 1 - len(part), end - 1) for end, part in zip(ends, parts, strict=True)) if len(parts) > 1 else ()


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
