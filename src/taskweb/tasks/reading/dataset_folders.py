"""Folders that are one data set: of `datasets.save_to_disk`, with one file or several shards, alone or one per split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.paths import kind_of_path, unreadable
from taskweb.tasks.reading.file_facts import FileFacts
from taskweb.tasks.reading.formats import format_of_name
from taskweb.tasks.reading.split_names import SPLIT_NAMES, chosen_split, shard_name
from taskweb.tasks.reading.unpacking import without_packing

STATE, INFO, DICT = "state.json", "dataset_info.json", "dataset_dict.json"
_DATA = "data"  # where repositories of the Hub keep their files
_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """The files of one split of a data set. saved: whether `save_to_disk` wrote them. splits: all that the folder has."""

    files: tuple[Path, ...]
    saved: bool = False
    split: str | None = None
    splits: tuple[str, ...] = ()


def dataset_of(folder: Path, split: str | None, preferred: Sequence[str], facts: FileFacts) -> DatasetFolder | None:
    """The data set that a folder is; None for another folder, such as one with a file per task.

    Raises InputError for a data set that lacks files, NameNotFoundError for a split that it does not have.
    """
    if kind_of_path(folder / DICT) == "file":
        return _of_dict(folder, split, preferred, facts)
    if kind_of_path(folder / STATE) == "file":
        return _saved(folder, facts)
    by_split = _files_by_split(folder)
    if not by_split:
        return None
    name = chosen_split(by_split, split, preferred, str(folder)) if set(by_split) != {""} else ""
    return DatasetFolder(tuple(by_split[name]), split=name or None, splits=tuple(filter(None, by_split)))


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a data set. Raises InputError where it cannot be read."""
    saved = any(kind_of_path(folder / name) == "file" for name in (DICT, STATE))
    return saved or bool(_files_by_split(folder))


def _of_dict(folder: Path, split: str | None, preferred: Sequence[str], facts: FileFacts) -> DatasetFolder:
    names = _json_of(folder / DICT).get("splits")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and _is_plain(name) for name in names):
        raise InputError(f"{folder / DICT} names no splits. Save the data set again with save_to_disk.")
    name = chosen_split(names, split, preferred, str(folder))
    found = _saved(folder / name, facts)
    return DatasetFolder(found.files, saved=True, split=name, splits=tuple(names))


def _saved(folder: Path, facts: FileFacts) -> DatasetFolder:
    state = _json_of(folder / STATE)
    entries = state.get("_data_files")
    listed = [entry.get("filename") for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    names = [name for name in listed if isinstance(name, str) and _is_plain(name)]
    if not names or len(names) < len(listed):
        raise InputError(f"{folder / STATE} names no files of this folder. Save the data set again with save_to_disk.")
    if state.get("_indices_data_files"):
        raise InputError(f"{folder} contains a selection of rows. Save it again after flatten_indices().")
    if kind_of_path(folder / INFO) == "file":
        facts.add_features(_json_of(folder / INFO).get("features"))
    return DatasetFolder(tuple(folder / name for name in names), saved=True)


def _files_by_split(folder: Path) -> dict[str, list[Path]]:
    """The files of a folder by split; one split without a name for shards of one set; nothing where files differ otherwise."""
    files = _files_of(folder) or (_files_of(folder / _DATA) if kind_of_path(folder / _DATA) == "folder" else [])
    found: dict[str, list[Path]] = {}
    for path in files:
        stem = Path(without_packing(path.name)).stem
        shard = shard_name(stem)
        if shard is None and stem.lower() not in SPLIT_NAMES:
            return {}
        found.setdefault(shard or stem, []).append(path)
    if len({format_of_name(path.name) for path in files}) > 1:
        return {}
    if len(found) == 1 and next(iter(found)).lower() not in SPLIT_NAMES:
        return {"": next(iter(found.values()))}
    return found if all(name.lower() in SPLIT_NAMES for name in found) else {}


def _files_of(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as fault:
        raise unreadable(folder, fault) from None
    return [path for path in paths if format_of_name(path.name) is not None and kind_of_path(path) == "file"]


def _is_plain(name: str) -> bool:
    """Whether a name is one of a file in the same folder."""
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\\0")


def _json_of(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
    except OSError as fault:
        raise unreadable(path, fault) from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not valid JSON. Save the data set again with save_to_disk.") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path} is not a JSON object. Save the data set again with save_to_disk.")
    return content
