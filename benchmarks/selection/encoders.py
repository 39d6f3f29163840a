"""Encoders to compare with all-MiniLM-L6-v2: counts of words, and a fixed vector for each word.

Each embeds texts as unit vectors, as `SentenceEncoder.encode` does; its `identity` names everything that vectors depend on.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from taskweb.selectors.encoder.weights import map_safetensors

Vectors = npt.NDArray[np.float32]
_WORD = re.compile(r"\w+")


class Encoder(Protocol):
    """Anything that embeds texts."""

    @property
    def identity(self) -> str:
        """Changes whenever its vectors would."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(len(texts), dimension) float32 rows of length 1."""


@dataclass(frozen=True)
class WordCounts:
    """TF-IDF of lower-case words, hashed to `dimension` places: the weak baseline, which ignores meaning.

    Rare words weigh more, log(texts / texts with the word) + 1, over the texts that are embedded at once; no label is used.
    """

    dimension: int = 4096

    @property
    def identity(self) -> str:
        """The number of places."""
        return f"word counts {self.dimension}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Counts enter by 1 + log."""
        counts = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(counts, texts, strict=True):
            for word, count in Counter(_WORD.findall(text.lower())).items():
                row[zlib.crc32(word.encode()) % self.dimension] += 1 + np.log(count)
        rarity = np.log(len(texts) / np.maximum(1, (counts > 0).sum(axis=0))) + 1
        return unit_rows(counts * rarity)


@dataclass(frozen=True)
class StaticWords:
    """The mean of fixed vectors of tokens: WordLlama, from the PyPI package `wordllama`.

    folder: the package, unpacked.
    """

    folder: Path

    @property
    def identity(self) -> str:
        """The file of weights."""
        return f"static words {self._weights}"

    @property
    def _weights(self) -> Path:
        return next(self.folder.glob("weights/*.safetensors"))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts are not cut."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(next(self.folder.glob("tokenizers/*.json"))))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        table = np.asarray(map_safetensors(self._weights)["embedding.weight"], np.float32)
        encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return unit_rows(np.stack([table[item.ids].mean(axis=0) for item in encoded]))


def unit_rows(rows: npt.NDArray[Any]) -> Vectors:
    """Each row scaled to length 1."""
    unit: Vectors = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return unit
