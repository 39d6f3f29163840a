"""Embeddings of example sets, cached on disk by content, so that an unchanged file is encoded once.

A file of the cache contains two arrays: the vectors, and how many tokens were cut from each text. Files of version 0.1 contain
the vectors alone: their texts are tokenized once more to count, and the file is completed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from taskweb.selectors.encoder import EncodedTexts, SentenceEncoder
from taskweb.selectors.similarity import example_text
from taskweb.tasks import ExampleSet
from taskweb.tasks.overflow import CutReport
from taskweb.web import PROBE_TEXTS, EncoderStamp

Vectors = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]
_PROBES = "probes"


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Example sets as vectors, and what the encoder cut from their texts, by the names of the sets."""

    vectors: dict[str, Vectors]
    cut: dict[str, CutReport]


@dataclass(frozen=True, slots=True, eq=False)
class _Cached:
    """An entry of the cache. lost: None where only the vectors are known."""

    vectors: Vectors
    lost: Counts | None


@dataclass(frozen=True)
class Embedder:
    """Turns example sets into vectors with one encoder.

    cache: the folder for vectors; None saves nothing. A cache that cannot be read or written is ignored.
    """

    encoder: SentenceEncoder
    cache: Path | None = None

    def embed(self, sets: Sequence[ExampleSet], *, on_progress: Callable[[int], None] | None = None) -> Embeddings:
        """Vectors and cuts by set name; texts of all sets that are not cached are encoded together."""
        wanted = {item.name: (item.digest, [example_text(example) for example in item.examples]) for item in sets}
        found = self._embed(wanted, on_progress)
        lost = {name: self._lost(entry, *wanted[name]) for name, entry in found.items()}
        limit = self.encoder.limit if found else 0
        cut = {name: CutReport.of(counts.tolist(), limit) for name, counts in lost.items()}
        return Embeddings({name: entry.vectors for name, entry in found.items()}, cut)

    def count_missing(self, sets: Sequence[ExampleSet]) -> int:
        """How many texts are not in the cache."""
        return sum(len(item) for item in sets if self._cached(self._key(item.digest)) is None)

    @cached_property
    def stamp(self) -> EncoderStamp:
        """Which encoder this is, identified by its vectors of the probe texts."""
        return EncoderStamp(
            str(self.encoder.folder),
            self.encoder.max_tokens,
            self._embed({_PROBES: (_PROBES, list(PROBE_TEXTS))}, None)[_PROBES].vectors,
        )

    def _embed(
        self, wanted: Mapping[str, tuple[str, list[str]]], on_progress: Callable[[int], None] | None
    ) -> dict[str, _Cached]:
        cached = {name: self._cached(self._key(digest)) for name, (digest, _) in wanted.items()}
        result = {name: entry for name, entry in cached.items() if entry is not None}
        missing = [name for name in wanted if name not in result]
        texts = [text for name in missing for text in wanted[name][1]]
        if not texts:
            nothing = _Cached(np.empty((0, 0), np.float32), np.empty(0, np.int32))
            return {**result, **dict.fromkeys(missing, nothing)}
        encoded = self.encoder.encode_and_count(texts, on_progress=on_progress)
        start = 0
        for name in missing:
            digest, own = wanted[name]
            part = slice(start, start + len(own))
            start = part.stop
            result[name] = self._saved(digest, EncodedTexts(encoded.vectors[part], encoded.lost[part]))
        return result

    def _lost(self, entry: _Cached, digest: str, texts: list[str]) -> Counts:
        """Tokens cut from each text; counted, and saved, where the cache does not know them."""
        if entry.lost is not None:
            return entry.lost
        lost = self.encoder.lost_tokens(texts)
        self._saved(digest, EncodedTexts(entry.vectors, lost))
        return lost

    def _key(self, digest: str) -> str:
        return hashlib.sha256(f"{self.encoder.identity}\0{digest}".encode()).hexdigest()[:40]

    def _cached(self, key: str) -> _Cached | None:
        if self.cache is None:
            return None
        try:
            with (self.cache / f"{key}.npy").open("rb") as file:
                rows, lost = _array(file), _array(file)
        except OSError:
            return None
        if rows is None or rows.ndim != 2 or rows.dtype != np.float32:  # examples x dimension
            return None
        counted = lost is not None and lost.shape == rows.shape[:1] and lost.dtype == np.int32
        return _Cached(rows, lost if counted else None)

    def _saved(self, digest: str, encoded: EncodedTexts) -> _Cached:
        """Write an entry, where there is a cache that can be written."""
        entry = _Cached(encoded.vectors, encoded.lost)
        if self.cache is None:
            return entry
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.cache, suffix=".tmp")
        except OSError:
            return entry
        try:
            with os.fdopen(handle, "wb") as file:
                np.save(file, encoded.vectors, allow_pickle=False)
                np.save(file, encoded.lost, allow_pickle=False)
            Path(temporary).replace(self.cache / f"{self._key(digest)}.npy")
        except OSError:
            Path(temporary).unlink(missing_ok=True)
        return entry


def _array(file: BinaryIO) -> npt.NDArray[Any] | None:
    """The next array of an open file; None where there is none, or it is damaged."""
    try:
        found: npt.NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found
