"""Where the examples of candidate sources are: folders, files and data sets of the Hub, by task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from taskweb.errors import InputError
from taskweb.tasks import Columns, ExampleSet, Sampling, example_files, load_examples
from taskweb.tasks.hub import parse_hub_reference
from taskweb.tasks.paths import expanded, kind_of_path
from taskweb.tasks.reading.dataset_folders import is_dataset
from taskweb.tasks.reading.formats import task_name_of
from taskweb.tasks.reading.named_columns import MissingColumnError
from taskweb.tasks.task_tables import load_task_table, tasks_of_table

HUB = "hf:"


@dataclass(frozen=True, slots=True)
class TaskTable:
    """One table with the rows of many tasks. column: says which task a row belongs to."""

    path: Path
    column: str

    def __str__(self) -> str:
        return f"{self.path} (tasks in the column {self.column})"

    def load(self, columns: Columns, sampling: Sampling) -> list[ExampleSet]:
        """The examples of each task; the table is read once while it stays as it is. Raises InputError."""
        with suppress(OSError):
            changed = self.path.stat()
            return list(_loaded(self, columns, sampling, (changed.st_mtime_ns, changed.st_size)))
        return load_task_table(self.path, self.column, columns=columns, sampling=sampling)


Place = str | Path | TaskTable


class _InTable(str):
    """The path of a table, as the place of one of its tasks."""

    table: TaskTable


@lru_cache(maxsize=2)
def _loaded(table: TaskTable, columns: Columns, sampling: Sampling, _as_of: tuple[int, int]) -> tuple[ExampleSet, ...]:
    return tuple(load_task_table(table.path, table.column, columns=columns, sampling=sampling))


def with_table(sources: Sequence[str | Path], task_column: str | None) -> tuple[Place, ...]:
    """Sources as `find_sources` takes them. task_column: they are one table, whose column names the task of each row.

    Raises InputError where a column is named and the sources are not one file.
    """
    if task_column is None:
        return tuple(sources)
    paths = [expanded(str(place)) for place in sources]
    if len(paths) != 1 or kind_of_path(paths[0]) == "folder":
        raise InputError("The option --task-column is for one table of candidates: give it with --sources FILE.")
    return (TaskTable(paths[0], task_column),)


def find_sources(where: Iterable[Place], role: str = "source") -> dict[str, str]:
    """The places of candidate sources, by task: a file, a folder that is a data set, or `hf:<id>[/<config>][@<revision>]`.

    where: folders with one file per task, files, data sets, and Hub references; `<task>=` before one of the last three names
    the task, otherwise it has the name of the file. Or tables of many tasks. role: what they are called in messages.
    Raises InputError for a place that does not exist, and for two places of one task.
    """
    found: dict[str, str] = {}
    for given in where:
        for task, place in _in_table(given) if isinstance(given, TaskTable) else _places(str(given), role):
            if task in found:
                raise InputError(
                    f"There are two {role}s for task '{task}': {found[task]} and {place}. Remove or rename one: NAME={place}."
                )
            found[task] = place
    if not found:
        raise InputError("There are no sources. Give --sources DIR with one <task>.jsonl (or .csv, .parquet) per task.")
    return found


def load_source(task: str, place: str, columns: Columns, sampling: Sampling) -> ExampleSet:
    """The examples of a source. A file without the named columns is read as if none were named: sources may mix both."""
    try:
        return _read(task, place, columns, sampling)
    except MissingColumnError:
        if columns == Columns():
            raise
        return _read(task, place, Columns(), sampling)


def _read(task: str, place: str, columns: Columns, sampling: Sampling) -> ExampleSet:
    if isinstance(place, _InTable):
        return next(own for own in place.table.load(columns, sampling) if own.name == task)
    return load_examples(place, columns=columns, sampling=sampling, name=task)


def size_of(place: str) -> int:
    """The size of a file in kB, at least 1, for showing progress."""
    if place.startswith(HUB):
        return 1
    with suppress(OSError):
        return 1 + Path(place).stat().st_size // 1000
    return 1


def _places(given: str, role: str) -> list[tuple[str, str]]:
    name, place = _named(given)
    if place.startswith(HUB):
        identifier, config, _ = parse_hub_reference(place)
        return [(name or "_".join(part.replace("/", "_") for part in (identifier, config) if part), place)]
    path = expanded(place)
    kind = kind_of_path(path)
    if kind == "missing":
        raise InputError(f"There is no {role} {place}. Give a folder with one <task>.jsonl per task, a file, or hf:<id>.")
    if kind == "file" or is_dataset(path):
        return [(name or task_name_of(path), str(path))]
    if name is not None:
        raise InputError(f"'{given}' is a folder. Only a file or hf:<id> can be given a name.")
    return [(task, str(file)) for task, file in example_files(path).items()]


def _in_table(table: TaskTable) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for task in tasks_of_table(table.path, table.column):
        place = _InTable(table.path)
        place.table = table
        found.append((task, place))
    return found


def _named(given: str) -> tuple[str | None, str]:
    """Split `<task>=<place>`; a path that contains an equals sign itself is not split."""
    name, separator, place = given.partition("=")
    plain = not separator or not name or not place or "/" in name or name.startswith(HUB)
    if plain or kind_of_path(expanded(given)) != "missing":
        return None, given
    return name, place
