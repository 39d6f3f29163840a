"""Embeddings of example sets, cached on disk by content, so that an unchanged file is encoded once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from taskweb.selectors.encoder import SentenceEncoder
from taskweb.selectors.similarity import example_text
from taskweb.tasks import ExampleSet
from taskweb.web import PROBE_TEXTS, EncoderStamp

Vectors = npt.NDArray[np.float32]
_PROBES = "probes"


@dataclass(frozen=True)
class Embedder:
    """Turns example sets into vectors with one encoder.

    cache: the folder for vectors; None saves nothing. A cache that cannot be read or written is ignored.
    """

    encoder: SentenceEncoder
    cache: Path | None = None

    def embed(self, sets: Sequence[ExampleSet], *, on_progress: Callable[[int], None] | None = None) -> dict[str, Vectors]:
        """Vectors by set name; texts of all sets that are not cached are encoded together."""
        wanted = {item.name: (item.digest, [example_text(example) for example in item.examples]) for item in sets}
        return self._embed(wanted, on_progress)

    def count_missing(self, sets: Sequence[ExampleSet]) -> int:
        """How many texts are not in the cache."""
        return sum(len(item) for item in sets if self._cached(self._key(item.digest)) is None)

    @cached_property
    def stamp(self) -> EncoderStamp:
        """Which encoder this is, identified by its vectors of the probe texts."""
        return EncoderStamp(
            str(self.encoder.folder),
            self.encoder.max_tokens,
            self._embed({_PROBES: (_PROBES, list(PROBE_TEXTS))}, None)[_PROBES],
        )

    def _embed(self, wanted: dict[str, tuple[str, list[str]]], on_progress: Callable[[int], None] | None) -> dict[str, Vectors]:
        found = {name: self._cached(self._key(digest)) for name, (digest, _) in wanted.items()}
        missing = [name for name, rows in found.items() if rows is None]
        texts = [text for name in missing for text in wanted[name][1]]
        vectors = self.encoder.encode(texts, on_progress=on_progress) if texts else np.empty((0, 0), np.float32)
        result: dict[str, Vectors] = {name: rows for name, rows in found.items() if rows is not None}
        start = 0
        for name in missing:
            digest, own = wanted[name]
            result[name] = vectors[start : start + len(own)]
            start += len(own)
            self._save(self._key(digest), result[name])
        return result

    def _key(self, digest: str) -> str:
        return hashlib.sha256(f"{self.encoder.identity}\0{digest}".encode()).hexdigest()[:40]

    def _cached(self, key: str) -> Vectors | None:
        if self.cache is None:
            return None
        try:
            rows = np.load(self.cache / f"{key}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return rows if rows.ndim == 2 and rows.dtype == np.float32 else None  # examples x dimension

    def _save(self, key: str, rows: Vectors) -> None:
        if self.cache is None:
            return
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.cache, suffix=".tmp")
        except OSError:
            return
        try:
            with os.fdopen(handle, "wb") as file:
                np.save(file, rows, allow_pickle=False)
            Path(temporary).replace(self.cache / f"{key}.npy")
        except OSError:
            Path(temporary).unlink(missing_ok=True)
