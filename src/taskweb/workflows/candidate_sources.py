"""Where the examples of candidate sources are: folders, files and data sets of the Hub, by task."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from taskweb.errors import InputError
from taskweb.tasks import Columns, ExampleSet, Sampling, example_files, load_examples
from taskweb.tasks.hub import parse_hub_reference
from taskweb.tasks.paths import expanded, kind_of_path
from taskweb.tasks.reading.dataset_folders import is_dataset
from taskweb.tasks.reading.formats import task_name_of
from taskweb.tasks.reading.named_columns import MissingColumnError

HUB = "hf:"


def find_sources(where: Iterable[str | Path], role: str = "source") -> dict[str, str]:
    """The places of candidate sources, by task: a file, a folder that is a data set, or `hf:<id>[/<config>][@<revision>]`.

    where: folders with one file per task, files, data sets, and Hub references; `<task>=` before one of the last three names
    the task, otherwise it has the name of the file. role: what they are called in messages.
    Raises InputError for a place that does not exist, and for two places of one task.
    """
    found: dict[str, str] = {}
    for given in where:
        for task, place in _places(str(given), role):
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
        return load_examples(place, columns=columns, sampling=sampling, name=task)
    except MissingColumnError:
        if columns == Columns():
            raise
        return load_examples(place, sampling=sampling, name=task)


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


def _named(given: str) -> tuple[str | None, str]:
    """Split `<task>=<place>`; a path that contains an equals sign itself is not split."""
    name, separator, place = given.partition("=")
    plain = not separator or not name or not place or "/" in name or name.startswith(HUB)
    if plain or kind_of_path(expanded(given)) != "missing":
        return None, given
    return name, place
