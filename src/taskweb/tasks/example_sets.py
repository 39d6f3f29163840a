"""Examples from files, standard input and the Hugging Face Hub.

Rows come from `taskweb.tasks.rows`; one function here turns a row into an Example, one takes the first or a seeded sample.
Any input gives examples or an InputError.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from taskweb.errors import InputError, ParameterError
from taskweb.tasks.lm_eval_tasks import LmEvalTask, is_lm_eval_task, lm_eval_examples
from taskweb.tasks.paths import kind_of_path, unreadable
from taskweb.tasks.reading.dataset_folders import is_dataset
from taskweb.tasks.reading.deciding import understood
from taskweb.tasks.reading.formats import SUFFIXES, FileFormat, format_of_name, task_name_of
from taskweb.tasks.reading.hearing import tell
from taskweb.tasks.reading.named_columns import Columns, MissingColumnError
from taskweb.tasks.reading.split_names import TO_LEARN
from taskweb.tasks.rows import Rows, name_of, rows_of
from taskweb.tasks.task import Example, ExampleSet

DEFAULT_LIMIT = 32
Item = TypeVar("Item")


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
    preferred: Sequence[str] = TO_LEARN,
) -> ExampleSet:
    """Load examples from a file or folder, `-` (standard input), or `hf:<id>[/<config>][@revision]`; see `rows_of`.

    A YAML file is a task of lm-evaluation-harness (`lm_eval_tasks`), which says itself how rows are read.

    How the columns are to be understood is decided from the rows, see `taskweb.tasks.reading`; `columns` names them instead.
    Rows with an empty input are skipped and counted. Raises InputError, with the place and what to do, for anything that
    cannot be used, and MissingDependencyError where a format or the Hub needs a package that is missing.
    """
    if is_lm_eval_task(where):
        task, examples = lm_eval_examples(where, hub_split, preferred)
        return _of_task(task, examples, name or task.name, sampling or Sampling())
    rows = rows_of(where, file_format=file_format, hub_split=hub_split, preferred=preferred)
    return examples_of_rows(rows, name or name_of(where), columns, sampling)


def example_files(folder: Path) -> dict[str, Path]:
    """The files of examples in a folder, by task name: also folders that are data sets, and the first of a file's shards.

    Raises InputError where there are none, or two of one name.
    """
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
        task = _task_in(path)
        if task is None:
            continue
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


def _task_in(path: Path) -> str | None:
    """The task that an entry of a folder contains; None for something else."""
    kind = kind_of_path(path)
    if kind == "folder":
        return path.name if not path.name.startswith(".") and is_dataset(path) else None
    return task_name_of(path) if kind == "file" and format_of_name(path.name) is not None else None


def load_folder(folder: Path, *, columns: Columns | None = None, sampling: Sampling | None = None) -> Iterator[ExampleSet]:
    """Load every file of examples in a folder, one by one, named after the file.

    A file without the named columns is read as if none were named; a folder may mix both. Raises InputError.
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


def examples_of_rows(rows: Rows, name: str, columns: Columns | None = None, sampling: Sampling | None = None) -> ExampleSet:
    """The examples of rows, as `load_examples` reads them. Raises as it does."""
    columns, sampling = columns or Columns(), sampling or Sampling()
    skipped = read = 0
    found = understood(rows, columns)
    reading = found.reading

    def usable() -> Iterator[Example]:
        nonlocal skipped, read
        assert reading is not None
        for line, row in found.rows:
            read += 1
            example = reading.example(row, line)
            if example is None:
                skipped += 1
            else:
                yield example

    chosen = [] if reading is None else taken(usable(), sampling)
    if reading is None or not chosen:
        column = columns.input[0] if reading is None else reading.shape.inputs[0]
        reason = f"all {skipped} rows have an empty '{column}'" if skipped else "it is empty"
        raise InputError(f"{rows.origin} contains no usable examples: {reason}. Give at least one row with text in '{column}'.")
    tell(reading, chosen)
    return ExampleSet(name, tuple(chosen), rows.origin, skipped, read, kind=reading.kind, reading=reading.line)


def _of_task(task: LmEvalTask, examples: Iterator[tuple[int, Example | None]], name: str, sampling: Sampling) -> ExampleSet:
    skipped = read = 0

    def usable() -> Iterator[Example]:
        nonlocal skipped, read
        for _, example in examples:
            read += 1
            if example is None:
                skipped += 1
            else:
                yield example

    chosen = taken(usable(), sampling)
    if not chosen:
        raise InputError(f"{task.origin} makes no example of the {read} rows of its data. Check its doc_to_text.")
    tell(task, chosen)
    return ExampleSet(name, tuple(chosen), task.origin, skipped, read, reading=task.line)


def empty_row(line: int, origin: str) -> InputError:
    """The error of a row without an input where none may be left out."""
    return InputError(f"{origin}, row {line}: the input is empty. Remove the row, or give it a text.")
