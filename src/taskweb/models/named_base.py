"""The base that an adapter names, beside the model that it is used with.

A name is all that PEFT's layout says of a base. The same weights may have another name on another machine, so a name that does
not fit is said, and the adapter is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import InputError
from taskweb.models.bundle_record import Record
from taskweb.models.fingerprints import fingerprint_of_folder
from taskweb.models.loading import ADAPTER_CONFIG, RECORD
from taskweb.models.ready_weights import adapter_config
from taskweb.tasks.paths import kind_of_path

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")  # as the Hub's cache calls the folder of a model
_MOST_NAMED, _LONGEST = 3, 200


@dataclass(frozen=True, slots=True)
class OtherBase:
    """An adapter that names another base than the model that it is used with. adapter: what it is called here."""

    adapter: str
    base: str
    model: str


def other_base(adapter: str, folder: Path, model: str) -> OtherBase | None:
    """What an adapter's folder names in place of a model (Hub id or folder), None where both may well be the same.

    They are where the ids, the last parts of paths, or the weights of two folders are equal. An adapter of taskweb has a
    fingerprint of its base, which is compared where it is opened. Raises InputError for a configuration that cannot be read.
    """
    if not (folder / ADAPTER_CONFIG).is_file():
        return None
    record = Record.read(folder / RECORD) if (folder / RECORD).is_file() else None
    if record is not None and record.base is not None and record.base.fingerprint is not None:
        return None
    named = adapter_config(folder).get("base_model_name_or_path")
    if not isinstance(named, str) or not named or _called_alike(named, model) or _same_weights(named, model):
        return None
    return OtherBase(adapter, named if len(named) <= _LONGEST else f"{named[:_LONGEST]}...", model)


def other_bases_note(found: Iterable[OtherBase]) -> str | None:
    """One sentence about adapters that name another base, each once, and what it means; None where there is none."""
    each = list({own.adapter: own for own in found}.values())
    if not each:
        return None
    first, bases, models = each[0], {own.base for own in each}, {own.model for own in each}
    if len(bases) == len(models) == 1:
        who = f"The adapter {first.adapter} names" if len(each) == 1 else f"{len(each)} adapters ({_first_of(each)}) name"
        said = f"{who} the base {first.base}, used here with {first.model}"
    elif len(models) == 1:
        said = f"{len(each)} adapters name another base than {first.model}: {_first_of(each, '{0.adapter} ({0.base})')}"
    else:
        names = _first_of(each, "{0.adapter} ({0.base}, used with {0.model})")
        said = f"{len(each)} adapters name another base than the model that they are used with: {names}"
    return f"{said}. Unless both have the same weights, results say nothing about what was learned"


def _first_of(each: Sequence[OtherBase], form: str = "{0.adapter}") -> str:
    more = f" and {len(each) - _MOST_NAMED} more" if len(each) > _MOST_NAMED else ""
    return ", ".join(form.format(own) for own in each[:_MOST_NAMED]) + more


def _called_alike(named: str, model: str) -> bool:
    """Whether two names may stand for one model: the same id, or paths (or an id and a path) that end alike."""
    first, second = (_plain(name) for name in (named, model))
    if all(_HUB_ID.fullmatch(name) and not _is_folder(name) for name in (first, second)):
        return first == second
    return _last(first) == _last(second)


def _plain(name: str) -> str:
    """A name without regard to case; of a folder in the Hub's cache, the id of its model."""
    cached = _CACHED.search(name)
    return (name if cached is None else f"{cached[1]}/{cached[2]}").casefold()


def _last(name: str) -> str:
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    return Path(name).resolve().name if last in ("", ".", "..") else last


def _same_weights(named: str, model: str) -> bool:
    """Whether both are folders on this machine whose weights have the same fingerprint."""
    if not all(_is_folder(name) and any(Path(name).glob("model*.safetensors")) for name in (named, model)):
        return False
    try:
        return fingerprint_of_folder(Path(named)) == fingerprint_of_folder(Path(model))
    except InputError:  # a damaged model is an error where it is opened
        return False


def _is_folder(name: str) -> bool:
    try:
        return kind_of_path(Path(name)) == "folder"
    except InputError:  # others may have written anything there
        return False
