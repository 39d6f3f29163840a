"""Writing a mixture folder, whole or not at all, also where it replaces an older one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from taskweb.errors import InputError, MissingDependencyError, ParameterError, unknown_name
from taskweb.mixture.example_places import PLACES, place_lines
from taskweb.mixture.manifest import (
    MANIFEST,
    MANIFEST_SUM,
    PLACES_FILE,
    SPLITS,
    MixtureFile,
    files_of,
    manifest_of,
    manifest_sum,
)
from taskweb.mixture.mixture import MixedExample, Mixture, rows_as_lines
from taskweb.mixture.mixture_reader import read_manifest
from taskweb.tasks.atomic import whole_folder
from taskweb.tasks.paths import kind_of_path, unreadable

FileFormat = Literal["jsonl", "parquet", "datasets"]
FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
_NAMES: Mapping[FileFormat, str] = {"jsonl": "{split}.jsonl", "parquet": "{split}.parquet", "datasets": "data/{split}.parquet"}
CARD = "README.md"
_ROWS_PER_GROUP = 10_000


def write_mixture(
    mixture: Mixture,
    path: str | Path,
    *,
    file_format: FileFormat = "jsonl",
    beside: Mapping[str, Callable[[Mixture, Path], None]] | None = None,
) -> Path:
    """Write a mixture folder, and return its path. Replaces an older mixture there, once the new one is complete.

    file_format: jsonl (`train.jsonl`, `heldout.jsonl`), parquet, or datasets (`data/*.parquet` and a card, which
    `datasets.load_dataset` opens); where the places of examples are known, `places.jsonl` too. beside: what else to write, by
    the name of its folder within the mixture's.
    Even if the process is killed, the folder is the old one or the new one. Equal mixtures give equal bytes.
    Raises NameNotFoundError for an unknown format, InputError for a path that is something else or cannot be written,
    ParameterError for a text that is not valid Unicode, MissingDependencyError where Parquet needs pyarrow.
    """
    if file_format not in FORMATS:
        raise unknown_name("format of a mixture", file_format, FORMATS)
    folder = Path(path).resolve() if Path(path).is_symlink() else Path(path)
    check_place(folder)
    extras = dict(beside or {})
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error.strerror or error}. Check the path and its permissions."
        ) from None
    with whole_folder(folder, replace=True) as new:
        files = {split: _write_split(mixture, split, new, file_format) for split in SPLITS}
        files |= _write_places(mixture, new)
        if file_format == "datasets":
            (new / CARD).write_text(_card(files), encoding="utf-8", newline="\n")
        for name, write in extras.items():
            (new / name).mkdir()
            write(mixture, new / name)
        manifest = manifest_of(mixture, files) | ({"beside": sorted(extras)} if extras else {})
        text = json.dumps(manifest, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        (new / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
        (new / MANIFEST_SUM).write_text(manifest_sum(text.encode()), encoding="utf-8", newline="\n")
    return Path(path)


def check_place(folder: Path) -> None:
    """Raise InputError where a mixture cannot be written: a file, or a folder that contains more than an older mixture."""
    kind = kind_of_path(folder)
    if kind == "missing":
        return
    if kind == "file":
        raise InputError(f"{folder} is a file. Give the name of a folder to write the mixture to.")
    try:
        present = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise unreadable(folder, error) from None
    if not present:
        return
    try:
        manifest = read_manifest(folder)
        names = [file.name for file in files_of(manifest, folder).values()]
    except InputError:
        raise InputError(f"{folder} exists and is not a mixture. Give the name of a new folder.") from None
    own = {MANIFEST, MANIFEST_SUM, CARD, *(name.partition("/")[0] for name in names), *map(str, manifest.get("beside") or ())}
    if others := sorted(present - own):
        raise InputError(
            f"{folder} contains more than the mixture that would be replaced: {', '.join(others[:5])}. Move these files "
            "away, or give the name of a new folder."
        )


def _write_split(mixture: Mixture, split: str, folder: Path, file_format: FileFormat) -> MixtureFile:
    examples = mixture.train if split == "train" else mixture.heldout
    name = _NAMES[file_format].format(split=split)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    try:
        if file_format == "jsonl":
            with path.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(rows_as_lines(examples))
        else:
            _write_parquet(examples, path)
    except UnicodeEncodeError:
        raise ParameterError(
            "An example has a text that is not valid Unicode and cannot be written. Fix or remove it."
        ) from None
    return MixtureFile(name, len(examples), hashlib.sha256(path.read_bytes()).hexdigest())


def _write_places(mixture: Mixture, folder: Path) -> dict[str, MixtureFile]:
    """The file of places by its key in the manifest; empty where no place is known."""
    content = "".join(place_lines((*mixture.train, *mixture.heldout))).encode()
    if not content:
        return {}
    (folder / PLACES).write_bytes(content)
    return {PLACES_FILE: MixtureFile(PLACES, content.count(b"\n"), hashlib.sha256(content).hexdigest())}


def _write_parquet(examples: Sequence[MixedExample], path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError("pyarrow", "data", "Writing a mixture as Parquet") from None
    text = pa.string()
    columns = [("task", text), ("input", text), ("output", text), ("choices", pa.list_(text))]
    if any(item.example.references for item in examples):
        columns.append(("references", pa.list_(text)))
    schema = pa.schema(columns)
    table = pa.Table.from_pylist([example.to_row() for example in examples], schema=schema)
    pq.write_table(table, path, row_group_size=_ROWS_PER_GROUP)


def _card(files: Mapping[str, MixtureFile]) -> str:
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split in SPLITS:
        if files[split].rows:
            lines += [f"  - split: {split}", f"    path: {files[split].name}"]
    lines += [
        "---",
        "",
        "A training mixture made by taskweb; `manifest.json` says of what, at which rates, and under which licences.",
        "",
    ]
    return "\n".join(lines)
