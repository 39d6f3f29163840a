"""Ready sources: adapters and checkpoints that were trained on tasks elsewhere, one per task, in folders or on the Hub.

| place | tasks |
|---|---|
| a folder with `<task>/adapter_config.json` or `<task>/config.json` | one for each such folder in it |
| the folder of one adapter or model | one, named as the folder |
| `hf:<owner>/<name>[@<revision>]` | one; its name ends in that of the task: `...-r16-task1391` is `task1391` |
| `NAME=` before one of the last two | one of that name |
| a `.txt` file | all places that it lists, one a line |
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from taskweb.errors import InputError
from taskweb.tasks.paths import expanded, kind_of_path, unreadable

HUB = "hf:"
_MARKS = ("adapter_config.json", "config.json")
_CONTENT = ("adapter_config.json", "adapter_model.safetensors", "config.json", "taskweb.json", "trained.safetensors")
_MODEL = "model*.safetensors*"
_REFERENCE = re.compile(r"hf:[\w.-]+/[\w.-]+(?:@[\w./-]+)?")
_TASK_AT_THE_END = re.compile(r"-r\d+-(task\d+(?:[-_].*)?)$")  # as Lots-of-LoRAs names its adapters
_NAME = re.compile(r"(?!hf:)([^=/\\]+)=(.+)", re.DOTALL)
_MOST_LISTED = 10_000
_BLOCK = 2**20


def ready_places(given: Sequence[str]) -> dict[str, str]:
    """The places of ready sources by task, in order: folders, and `hf:` references. Nothing is fetched.

    Raises InputError for a place without ready sources, and for two of one task.
    """
    found: dict[str, str] = {}
    for text in given:
        for name, place in _places_of(text):
            if name in found and found[name] != place:
                raise InputError(
                    f"Two ready sources are of the task '{name}': {found[name]} and {place}. Name one, NAME=PLACE."
                )
            found[name] = place
    return found


def checked_place(text: str) -> str:
    """The place of one ready source, as it was given. Raises InputError where it cannot be one."""
    if text.startswith(HUB):
        if not _REFERENCE.fullmatch(text):
            raise InputError(f"'{text}' is no model on the Hub. Write hf:<owner>/<name>, or add @<revision>.")
    elif not _is_ready(Path(text)):
        raise InputError(
            f"{text} contains no adapter (adapter_config.json) and no model (config.json). Give the folder of one."
        )
    return text


def ready_folder(place: str) -> Path:
    """The folder of a ready source; of one on the Hub, it is fetched into the Hub's cache. Raises InputError."""
    if not place.startswith(HUB):
        return Path(checked_place(place))
    from taskweb.models.loading import folder_of

    identifier, _, revision = checked_place(place).removeprefix(HUB).partition("@")
    return folder_of(identifier, revision or None)[0]


def pinned(place: str) -> str:
    """The place with the commit that it is now, where it is on the Hub; fetches it. Raises InputError."""
    if not place.startswith(HUB):
        return str(Path(place).resolve())
    from taskweb.models.loading import folder_of

    identifier, _, revision = checked_place(place).removeprefix(HUB).partition("@")
    _, origin = folder_of(identifier, revision or None)
    return f"{HUB}{identifier}@{origin.revision}"


def digest_of_weights(folder: Path) -> str:
    """SHA-256 over names and contents of the files that make a model or an adapter. Raises InputError."""
    sha = hashlib.sha256()
    try:
        for path in _files_in(folder):
            sha.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    sha.update(block)
    except OSError as fault:
        raise unreadable(folder, fault) from None
    return sha.hexdigest()


def weight_files(place: str | None) -> list[Path]:
    """The files of a ready source on this machine, to see whether they changed; none of one on the Hub."""
    return [] if place is None or place.startswith(HUB) else _files_in(Path(place))


def _files_in(folder: Path) -> list[Path]:
    named = [folder / name for name in _CONTENT]
    return sorted({path for path in (*named, *folder.glob(_MODEL)) if path.is_file()})


def _places_of(text: str) -> Iterator[tuple[str, str]]:
    named = _NAME.fullmatch(text)
    name, place = (named[1].strip(), named[2]) if named is not None else ("", text)
    if place.startswith(HUB):
        yield name or _task_of_reference(checked_place(place)), place
        return
    path = expanded(place)
    kind = kind_of_path(path)
    if kind == "missing":
        raise InputError(
            f"There is no {place}. Give a folder of adapters or models, hf:<owner>/<name>, or a .txt file of these."
        )
    if kind == "file":
        yield from _listed(path)
    elif _is_ready(path):
        yield name or _task_in(path.resolve().name), str(path)
    elif name:
        raise InputError(f"{place} is a folder of several. Only one adapter or model can be given a name.")
    else:
        yield from _in_folder(path)


def _in_folder(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and _is_ready(path))
    except OSError as fault:
        raise unreadable(folder, fault) from None
    if not inner:
        raise InputError(
            f"{folder} contains no ready sources. They are folders <task> with an adapter_config.json or config.json."
        )
    yield from ((_task_in(path.name), str(path)) for path in inner)


def _listed(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix.lower() != ".txt":
        raise InputError(f"{path} is no folder of ready sources. A list of them is a .txt file with one place a line.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise unreadable(path, fault) from None
    places = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if len(places) > _MOST_LISTED or not places:
        raise InputError(f"{path} lists {len(places):,} ready sources. It must be between 1 and {_MOST_LISTED:,}.")
    for place in places:
        if place.lower().endswith(".txt"):
            raise InputError(f"{path} lists another list, {place}. Give both, or the places themselves.")
        yield from _places_of(place)


def _task_of_reference(reference: str) -> str:
    """`task1391` of `hf:Lots-of-LoRAs/Mistral-7B-Instruct-v0.2-4b-r16-task1391`; else the name of the repository."""
    name = reference.removeprefix(HUB).partition("@")[0].partition("/")[2]
    return _task_in(name)


def _task_in(name: str) -> str:
    found = _TASK_AT_THE_END.search(name)
    return found[1] if found else name


def _is_ready(folder: Path) -> bool:
    return any(kind_of_path(folder / mark) == "file" for mark in _MARKS)
