"""Embeddings of example sets, cached on disk by content, so that an unchanged file is encoded once.

A file of the cache contains a checksum and three arrays: the vectors, how many tokens were cut from each text, and how the
tokenizer divides their words. A damaged file counts as missing. Files of earlier versions, `<key>.npy`, have no checksum, and
lack the last array or the last two: their texts are tokenized once more to count, and a new file replaces them.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from taskweb.selectors.encoder import EncodedTexts, Readability, SentenceEncoder
from taskweb.selectors.similarity import example_text
from taskweb.tasks import ExampleSet
from taskweb.tasks.overflow import CutReport
from taskweb.tasks.sealed import sealed, unsealed
from taskweb.web import PROBE_TEXTS, EncoderStamp

Vectors = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]
_PROBES = "probes"
_TEXTS_AT_ONCE = 1024  # encoded, then saved: an interrupted command goes on from there
_SUFFIX, _OLD_SUFFIX = ".vectors", ".npy"


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Example sets by name: their vectors, what the encoder cut from their texts, and how it divides the words of inputs."""

    vectors: dict[str, Vectors]
    cut: dict[str, CutReport]
    read: dict[str, Readability]


@dataclass(frozen=True, slots=True, eq=False)
class _Cached:
    """An entry of the cache. lost, read: None where they are not known."""

    vectors: Vectors
    lost: Counts | None
    read: Readability | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is embedded of an example set. digest: of the examples. texts: as the encoder gets them; inputs: without choices."""

    digest: str
    texts: list[str]
    inputs: list[str]


@dataclass(frozen=True)
class Embedder:
    """Turns example sets into vectors with one encoder.

    cache: the folder for vectors; None saves nothing. A cache that cannot be read or written is ignored.
    """

    encoder: SentenceEncoder
    cache: Path | None = None

    def embed(self, sets: Sequence[ExampleSet], *, on_progress: Callable[[int], None] | None = None) -> Embeddings:
        """Vectors and cuts by set name; sets that are not cached are encoded and saved in groups."""
        wanted = {item.name: _wanted(item) for item in sets}
        found = {name: self._completed(entry, wanted[name]) for name, entry in self._embed(wanted, on_progress).items()}
        limit = self.encoder.limit if found else 0
        return Embeddings(
            {name: encoded.vectors for name, (encoded, _) in found.items()},
            {name: CutReport.of(encoded.lost.tolist(), limit) for name, (encoded, _) in found.items()},
            {name: read for name, (_, read) in found.items()},
        )

    def count_missing(self, sets: Sequence[ExampleSet]) -> int:
        """How many texts are not in the cache."""
        return sum(len(item) for item in sets if self._cached(self._key(item.digest)) is None)

    @cached_property
    def stamp(self) -> EncoderStamp:
        """Which encoder this is, identified by its vectors of the probe texts."""
        return EncoderStamp(
            str(self.encoder.folder),
            self.encoder.max_tokens,
            self._embed({_PROBES: _Wanted(_PROBES, list(PROBE_TEXTS), [])}, None)[_PROBES].vectors,
        )

    @property
    def public_stamp(self) -> EncoderStamp:
        """The stamp without the folders of this machine: with the encoder's id, where it is in the cache of the Hub."""
        folder = self.encoder.folder
        is_of_hub = folder.parent.name == "snapshots"
        name = folder.parent.parent.name.removeprefix("models--").replace("--", "/") if is_of_hub else folder.name
        return replace(self.stamp, name=name)

    def _embed(self, wanted: Mapping[str, _Wanted], on_progress: Callable[[int], None] | None) -> dict[str, _Cached]:
        cached = {name: self._cached(self._key(item.digest)) for name, item in wanted.items()}
        result = {name: entry for name, entry in cached.items() if entry is not None}
        for group in _groups({name: own for name, own in wanted.items() if name not in result}):
            result.update(self._encode(group, on_progress))
        return result

    def _encode(self, group: Mapping[str, _Wanted], on_progress: Callable[[int], None] | None) -> dict[str, _Cached]:
        texts = [text for own in group.values() for text in own.texts]
        if not texts:
            return dict.fromkeys(group, _Cached(np.empty((0, 0), np.float32), np.empty(0, np.int32), Readability()))
        encoded = self.encoder.encode_and_count(texts, on_progress=on_progress)
        result, start = {}, 0
        for name, own in group.items():
            part = slice(start, start + len(own.texts))
            start = part.stop
            result[name] = _Cached(encoded.vectors[part], encoded.lost[part], self.encoder.readability(own.inputs))
            self._save(own.digest, result[name])
        return result

    def _completed(self, entry: _Cached, wanted: _Wanted) -> tuple[EncodedTexts, Readability]:
        """An entry with all its counts; made, and saved, where the cache does not know them."""
        lost = self.encoder.lost_tokens(wanted.texts) if entry.lost is None else entry.lost
        read = self.encoder.readability(wanted.inputs) if entry.read is None else entry.read
        if entry.lost is None or entry.read is None:
            self._save(wanted.digest, _Cached(entry.vectors, lost, read))
        return EncodedTexts(entry.vectors, lost), read

    def _key(self, digest: str) -> str:
        return hashlib.sha256(f"{self.encoder.identity}\0{digest}".encode()).hexdigest()[:40]

    def _cached(self, key: str) -> _Cached | None:
        if self.cache is None:
            return None
        content = _content(self.cache / f"{key}{_SUFFIX}", self.cache / f"{key}{_OLD_SUFFIX}")
        if content is None:
            return None
        file = io.BytesIO(content)
        rows, lost, read = _array(file), _array(file), _array(file)
        if rows is None or rows.ndim != 2 or rows.dtype != np.float32:  # examples x dimension
            return None
        counted = lost is not None and lost.shape == rows.shape[:1] and lost.dtype == np.int32
        return _Cached(rows, lost if counted else None, _readability(read))

    def _save(self, digest: str, entry: _Cached) -> None:
        """Write an entry with all its counts, where there is a cache that can be written."""
        if self.cache is None or entry.lost is None or entry.read is None:
            return
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.cache, suffix=".tmp")
        except OSError:
            return
        content = io.BytesIO()
        for array in (entry.vectors, entry.lost, np.array(astuple(entry.read), np.int64)):
            np.save(content, array, allow_pickle=False)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(sealed(content.getvalue()))
            Path(temporary).replace(self.cache / f"{self._key(digest)}{_SUFFIX}")
            (self.cache / f"{self._key(digest)}{_OLD_SUFFIX}").unlink(missing_ok=True)
        except OSError:
            Path(temporary).unlink(missing_ok=True)


def _groups(wanted: Mapping[str, _Wanted]) -> Iterator[dict[str, _Wanted]]:
    """Sets in groups of at least _TEXTS_AT_ONCE texts, except the last."""
    group: dict[str, _Wanted] = {}
    texts = 0
    for name, own in wanted.items():
        group[name] = own
        texts += len(own.texts)
        if texts >= _TEXTS_AT_ONCE:
            yield group
            group, texts = {}, 0
    if group:
        yield group


def _wanted(examples: ExampleSet) -> _Wanted:
    rows = examples.examples
    return _Wanted(examples.digest, [example_text(row) for row in rows], [row.input for row in rows])


def _readability(counts: npt.NDArray[Any] | None) -> Readability | None:
    """The counts that an array contains; None for anything else."""
    known = counts is not None and counts.shape == (len(fields(Readability)),) and counts.dtype == np.int64
    return Readability(*counts.tolist()) if known and counts is not None else None


def _content(path: Path, old: Path) -> bytes | None:
    """What a file of the cache contains, or one of version 0.1; None where there is neither, or it is damaged."""
    try:
        return unsealed(path.read_bytes())
    except FileNotFoundError:
        with suppress(OSError):
            return old.read_bytes()
    except OSError:
        return None
    return None


def _array(file: BinaryIO) -> npt.NDArray[Any] | None:
    """The next array of an open file; None where there is none, or it is damaged."""
    try:
        found: npt.NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found
