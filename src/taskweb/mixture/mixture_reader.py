"""Reading a mixture folder, checked against the hashes of its manifest."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, MissingDependencyError
from taskweb.mixture.example_places import placed
from taskweb.mixture.manifest import (
    CONTENT,
    FORMAT,
    MANIFEST,
    MANIFEST_SUM,
    PLACES_FILE,
    SPLITS,
    MixtureFile,
    files_of,
    manifest_sum,
    record_of,
    tasks_of,
)
from taskweb.mixture.mixture import MixedExample, Mixture
from taskweb.tasks import Example
from taskweb.tasks.paths import kind_of_path, unreadable

_AGAIN = "Make the mixture again with taskweb mix"


def read_mixture(path: str | Path) -> Mixture:
    """The mixture in a folder, whatever the format of its files.

    Raises InputError for a folder that does not exist, is not a mixture, is damaged (a file is missing or its hash is not that
    in the manifest) or has another format; MissingDependencyError where Parquet files need pyarrow.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    files = files_of(manifest, folder)
    train, heldout = (list(_examples_of(folder, files[split])) for split in SPLITS)
    examples = [*train, *heldout]
    if PLACES_FILE in files:
        examples = _with_places(folder, files[PLACES_FILE], examples)
    mixture = Mixture(
        tasks_of(manifest, folder), tuple(examples[: len(train)]), tuple(examples[len(train) :]), record_of(manifest)
    )
    _check(mixture, manifest, folder)
    return mixture


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a mixture folder. Raises InputError where there is none, or it has another format."""
    if (kind := kind_of_path(folder)) != "folder":
        if kind == "file":
            raise InputError(f"{folder} is a file, not the folder of a mixture. Give the folder that taskweb mix made.")
        raise InputError(f"{folder} does not exist. Make a mixture with: taskweb mix TARGET --sources DIR --to {folder}")
    path = folder / MANIFEST
    if kind_of_path(path) != "file":
        raise InputError(f"{folder} is not a mixture: it contains no {MANIFEST}. Give a folder made by taskweb mix.")
    try:
        content = path.read_bytes()
        stated = (folder / MANIFEST_SUM).read_bytes() if kind_of_path(folder / MANIFEST_SUM) != "missing" else None
        if stated not in (None, manifest_sum(content).encode()):
            raise InputError(
                f"The mixture {folder} is damaged: its {MANIFEST} is not what {MANIFEST_SUM} says. {_AGAIN}; if you changed it "
                f"on purpose, remove {MANIFEST_SUM}."
            )
        manifest = json.loads(content)
    except OSError as error:
        raise unreadable(Path(error.filename or path), error) from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not valid JSON. {_AGAIN}.") from None
    if not isinstance(manifest, dict) or manifest.get("content") != CONTENT:
        raise InputError(
            f"{folder} is not a mixture: its {MANIFEST} belongs to something else. Give a folder made by taskweb mix."
        )
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"The mixture {folder} has format {manifest.get('format')}; this taskweb reads format {FORMAT}. {_AGAIN}, "
            "or use the version that made it."
        )
    return manifest


def _content_of(folder: Path, file: MixtureFile) -> bytes:
    """The bytes of a file. Raises InputError where it is missing, or not the one that was written."""
    path = folder / file.name
    if kind_of_path(path) != "file":
        raise InputError(f"The mixture {folder} is damaged: {file.name} is missing. {_AGAIN}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise InputError(f"The mixture {folder} is damaged: {file.name} is not what the manifest says it is. {_AGAIN}.")
    return content


def _with_places(folder: Path, file: MixtureFile, examples: Sequence[MixedExample]) -> list[MixedExample]:
    lines = _content_of(folder, file).splitlines()
    try:
        return [placed(item, line) for item, line in zip(examples, lines, strict=True)]
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"The mixture {folder} is damaged: {file.name} does not say where its examples stand ({error}). {_AGAIN}."
        ) from None


def _examples_of(folder: Path, file: MixtureFile) -> Iterator[MixedExample]:
    content, path = _content_of(folder, file), folder / file.name
    rows = _rows_of_parquet(content, path) if path.suffix == ".parquet" else _rows_of_jsonl(content)
    count = 0
    try:
        for row in rows:
            yield _example_of(row)
            count += 1
    except (TypeError, ValueError, LookupError, RecursionError) as error:
        raise InputError(
            f"The mixture {folder} is damaged: row {count + 1} of {file.name} is not an example ({error}). {_AGAIN}."
        ) from None
    if count != file.rows:
        raise InputError(f"The mixture {folder} is damaged: {file.name} has {count} rows instead of {file.rows}. {_AGAIN}.")


def _rows_of_jsonl(content: bytes) -> Iterator[Mapping[str, Any]]:
    for line in content.split(b"\n"):
        if line:
            yield json.loads(line)


def _rows_of_parquet(content: bytes, path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError("pyarrow", "data", f"Reading {path}") from None
    try:
        table = pq.read_table(io.BytesIO(content))
    except pa.ArrowException as error:
        raise InputError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}. {_AGAIN}.") from None
    yield from table.to_pylist()


def _example_of(row: Mapping[str, Any]) -> MixedExample:
    task, text, output, choices = row["task"], row["input"], row["output"], row["choices"]
    if not (isinstance(task, str) and isinstance(text, str) and isinstance(output, str | None)):
        raise TypeError("task and input must be text, output text or null")
    if choices is not None and not all(isinstance(choice, str) for choice in choices):
        raise TypeError("choices must be texts or null")
    references = tuple(row.get("references") or ())
    if not all(isinstance(reference, str) for reference in references):
        raise TypeError("references must be texts")
    return MixedExample(task, Example(text, output, None if choices is None else tuple(choices), references=references))


def _check(mixture: Mixture, manifest: Mapping[str, Any], folder: Path) -> None:
    """Raise InputError where manifest and rows disagree."""
    counted = [Counter(item.task for item in split) for split in (mixture.train, mixture.heldout)]
    stated = [
        Counter({task.name: count for task in mixture.tasks if (count := getattr(task, split))})
        for split in ("train", "held_out")
    ]
    if counted != stated:
        raise InputError(
            f"The mixture {folder} is damaged: its manifest counts other examples than its files contain. {_AGAIN}."
        )
    if manifest.get("digest") != mixture.digest:
        raise InputError(f"The mixture {folder} is damaged: its manifest was changed after it was written. {_AGAIN}.")
