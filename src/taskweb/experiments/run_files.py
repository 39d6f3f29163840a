"""Outcomes of runs as files, one JSON record with a checksum each: for those that have no store at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.sealed import CHECKSUM, is_intact, with_checksum
from taskweb.web.records.run import Run
from taskweb.web.records.run_json import json_text, run_of_json, run_to_json


def write_run(folder: Path, run: Run) -> Path:
    """Write an outcome, whole or not at all, and return the file, named by the run's key. Raises InputError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{run.key}.json"
    write_record(place, json.loads(json_text(run_to_json(run))))
    return place


def read_run(path: Path) -> Run | None:
    """The outcome in a file; None where there is none, or where it is damaged."""
    record = read_record(path)
    with suppress(InputError, ValueError):
        return None if record is None else run_of_json(record)
    return None


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a JSON record with its checksum, whole or not at all. Raises InputError."""
    with whole_file(path) as part:
        part.write_text(json.dumps(with_checksum(record)), encoding="utf-8")


def write_lightly(path: Path, record: Mapping[str, Any]) -> None:
    """As `write_record`, but much faster: a power cut may lose the file. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(with_checksum(record)), encoding="utf-8")
    part.replace(path)


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON record in a file without its checksum; None where there is none, or where it is damaged."""
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and is_intact(found):
            return {name: value for name, value in found.items() if name != CHECKSUM}
    return None
