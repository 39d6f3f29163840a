"""The manifest of a mixture folder: what is in it, where it came from, and the hashes by which it is checked.

`format` is 1, `content` "taskweb mixture". `tasks` has an entry per task: name, kind, metrics, rate requested and realised,
counts of available, training, held-out and dropped examples, origin, licence and citation. `files` has an entry for `train` and
`heldout`: name, rows and SHA-256; and one for `places`, where any is known (see `example_places`). `beside`, if any, lists the
folders written for other tools. `digest` is that of tasks and examples, whatever the format of the files. The other keys record
how the mixture was made: `ranking` (null if the tasks were named), `rates` (how they were set), `seed`, `arguments` as given
and as resolved, `written` (format and exports), `versions` of packages, `notes`, and `read_by` where a model was named: how it
reads, and what it would cut. There is no time and no path: the same command gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taskweb.errors import InputError, TaskWebError
from taskweb.metrics import METRICS
from taskweb.mixture.mixture import Mixture, MixtureTask
from taskweb.tasks.task import TASK_KINDS

FORMAT = 1
CONTENT = "taskweb mixture"
MANIFEST = "manifest.json"
MANIFEST_SUM = "manifest.sha256"
"""The SHA-256 of the manifest, as `sha256sum --check` reads it. A folder without it was made by version 0.1, or by hand."""
SPLITS = ("train", "heldout")
PLACES_FILE = "places"
_OWN_KEYS = frozenset({"format", "content", "digest", "tasks", "files", "beside"})


@dataclass(frozen=True, slots=True)
class MixtureFile:
    """One file of a mixture folder: its name within the folder, its number of rows, and its SHA-256."""

    name: str
    rows: int
    sha256: str


def manifest_of(mixture: Mixture, files: Mapping[str, MixtureFile]) -> dict[str, Any]:
    """The manifest of a mixture that was written to these files, as plain JSON values."""
    realised = mixture.realised
    return {
        "format": FORMAT,
        "content": CONTENT,
        "digest": mixture.digest,
        **{key: value for key, value in mixture.record.items() if key not in _OWN_KEYS},
        "tasks": [
            {
                "name": task.name,
                "kind": task.kind,
                "metrics": list(task.metrics),
                "rate": task.rate,
                "realised": realised[task.name],
                "available": task.available,
                "train": task.train,
                "held_out": task.held_out,
                "dropped": dict(task.dropped),
                "origin": task.origin,
                "source_digest": task.source_digest,
                "licence": task.licence,
                "citation": task.citation,
            }
            for task in mixture.tasks
        ],
        "files": {key: {"name": file.name, "rows": file.rows, "sha256": file.sha256} for key, file in files.items()},
    }


def manifest_sum(content: bytes) -> str:
    """What the file beside a manifest says of it."""
    return f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n"


def tasks_of(manifest: Mapping[str, Any], where: object) -> tuple[MixtureTask, ...]:
    """The tasks in a manifest. Raises InputError for an entry that is not a task."""
    try:
        tasks = tuple(_task_of(entry) for entry in manifest["tasks"])
    except (TypeError, ValueError, LookupError, AttributeError, TaskWebError) as error:
        raise InputError(
            f"The manifest of {where} does not describe its tasks ({type(error).__name__}: {error}). Make the mixture again."
        ) from None
    if not tasks or len({task.name for task in tasks}) < len(tasks):
        raise InputError(f"The manifest of {where} has no tasks, or one twice. Make the mixture again.")
    return tasks


def files_of(manifest: Mapping[str, Any], where: object) -> dict[str, MixtureFile]:
    """The files in a manifest, by split, and that of places if there is one.

    Raises InputError for a wrong entry, or a path outside the folder.
    """
    try:
        stated = manifest["files"]
        keys = (*SPLITS, *([PLACES_FILE] if PLACES_FILE in stated else []))
        files = {
            key: MixtureFile(str(stated[key]["name"]), int(stated[key]["rows"]), str(stated[key]["sha256"])) for key in keys
        }
    except (TypeError, ValueError, LookupError) as error:
        raise InputError(
            f"The manifest of {where} does not name its files ({type(error).__name__}: {error}). Make the mixture again."
        ) from None
    for file in files.values():
        if file.name.startswith(("/", "\\")) or ".." in file.name.replace("\\", "/").split("/"):
            raise InputError(f"The manifest of {where} names a file outside the folder: {file.name}. Make the mixture again.")
    return files


def record_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """How the mixture was made: what a manifest contains besides tasks, files and digest."""
    return {key: value for key, value in manifest.items() if key not in _OWN_KEYS}


def _task_of(entry: Mapping[str, Any]) -> MixtureTask:
    task = MixtureTask(
        name=str(entry["name"]),
        kind=entry["kind"],
        metrics=tuple(str(metric) for metric in entry["metrics"]),
        rate=float(entry["rate"]),
        available=int(entry["available"]),
        train=int(entry["train"]),
        held_out=int(entry["held_out"]),
        dropped={str(reason): int(count) for reason, count in entry["dropped"].items()},
        origin=str(entry["origin"]),
        source_digest=str(entry["source_digest"]),
        licence=str(entry["licence"]),
        citation=str(entry["citation"]),
    )
    if task.kind not in TASK_KINDS:
        raise ValueError(f"'{task.kind}' is not a kind of task")
    for metric in task.metrics:
        if metric not in METRICS:
            raise ValueError(f"'{metric}' is not a metric")
    return task
