"""Rows of Parquet and Arrow files, with the names of classes that `datasets` writes into them. Needs pyarrow (extra `data`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, MissingDependencyError, first_line
from taskweb.tasks.reading.file_facts import FileFacts, Row

_BATCH = 256
_HUGGING_FACE = b"huggingface"


@dataclass(frozen=True, slots=True)
class InMemory:
    """The bytes of a file that is not on disk, and its name in messages."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name


File = Path | InMemory


def rows_of_parquet(paths: Sequence[File], facts: FileFacts) -> Iterator[Row]:
    """The rows of Parquet files, one after the other, numbered from 1. Raises InputError for one that cannot be read."""
    pa = _pyarrow(paths[0])
    import pyarrow.parquet as pq

    facts.form = _form("Parquet", paths)
    number = 0
    for path in paths:
        try:
            with pq.ParquetFile(pa.BufferReader(path.content) if isinstance(path, InMemory) else path) as file:
                _add_features(facts, file.schema_arrow)
                for batch in file.iter_batches(batch_size=_BATCH):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
        except (pa.ArrowException, UnicodeDecodeError, ValueError) as fault:
            raise InputError(f"{path} is not a readable Parquet file: {first_line(fault)}.") from None


def rows_of_arrow(paths: Sequence[File], facts: FileFacts) -> Iterator[Row]:
    """The rows of Arrow files, streams or Feather, as `rows_of_parquet` gives them."""
    pa = _pyarrow(paths[0])
    facts.form = _form("Arrow", paths)
    number = 0
    for path in paths:
        try:
            with _opened(pa, path) as file:
                for batch in _batches(pa, file, facts):
                    batch.validate(full=True)  # the library reads damaged offsets as they are
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
        except (pa.ArrowException, UnicodeDecodeError, ValueError) as fault:
            raise InputError(f"{path} is not a readable Arrow file: {first_line(fault)}.") from None


def _opened(pa: Any, path: File) -> Any:
    return pa.BufferReader(path.content) if isinstance(path, InMemory) else pa.OSFile(str(path), "rb")


def _batches(pa: Any, file: Any, facts: FileFacts) -> Iterator[Any]:
    try:
        reader = pa.ipc.open_stream(file)
    except pa.ArrowInvalid:
        file.seek(0)
        opened = pa.ipc.open_file(file)
        _add_features(facts, opened.schema)
        yield from (opened.get_batch(place) for place in range(opened.num_record_batches))
        return
    _add_features(facts, reader.schema)
    yield from reader


def _pyarrow(path: File) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError:
        raise MissingDependencyError("pyarrow", "data", f"Reading {path}") from None
    return pa


def _add_features(facts: FileFacts, schema: Any) -> None:
    """The features that `datasets` states in a schema. What cannot be read there only lacks names."""
    try:
        stated = json.loads((schema.metadata or {}).get(_HUGGING_FACE, b"{}"))
        facts.add_features(stated["info"]["features"] if isinstance(stated, Mapping) and stated else {})
    except (ValueError, KeyError, TypeError, RecursionError):
        return


def _form(name: str, paths: Sequence[File]) -> str:
    return name if len(paths) == 1 else f"{name}, {len(paths)} files"
