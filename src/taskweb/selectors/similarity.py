"""How alike two tasks are, seen from their examples' embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from taskweb.tasks import Example
from taskweb.web import ExampleBank

FloatArray = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]


def example_text(example: Example) -> str:
    """The text that is embedded for an example: its choices as Python prints a list (None where free), `</s>`, its input."""
    choices = None if example.choices is None else list(example.choices)
    return f"{choices}</s>{example.input}"


def retrieval_of_experts(target: Vectors, bank: ExampleBank, sources: Sequence[str]) -> FloatArray:
    """RoE: for each source, the mean over the target's examples of the largest dot product with an example of the source.

    target: (examples, dimension) unit vectors. Result: (len(sources),) in [-1, 1]. Cost and memory grow linearly with the
    bank's examples; a mapped bank is read in pieces. Source: Jang et al., 2023, as used in arXiv:2305.13256.
    """
    scores = np.empty(len(sources))
    position = 0
    transposed = np.ascontiguousarray(target.T, dtype=np.float32)
    for names, vectors, starts in bank.chunks(sources):
        best = np.maximum.reduceat(vectors @ transposed, starts, axis=0)
        scores[position : position + len(names)] = best.mean(axis=1, dtype=np.float64)
        position += len(names)
    return scores


def coverage(target: Vectors, bank: ExampleBank, sources: Sequence[str]) -> FloatArray:
    """RoE the other way round: for each source, the mean over its examples of the largest dot product with a target's."""
    scores = np.empty(len(sources))
    position = 0
    transposed = np.ascontiguousarray(target.T, dtype=np.float32)
    for names, vectors, starts in bank.chunks(sources):
        best = (vectors @ transposed).max(axis=1).astype(np.float64)
        counts = np.diff(np.append(starts, len(vectors)))
        scores[position : position + len(names)] = np.add.reduceat(best, starts) / counts
        position += len(names)
    return scores


def mean_embedding_cosine(target: Vectors, bank: ExampleBank, sources: Sequence[str]) -> FloatArray:
    """Cosine between the mean embedding of the target and that of each source (TextEmb; Vu et al., 2020, arXiv:2005.00770)."""
    scores = np.empty(len(sources))
    position = 0
    centre = target.mean(axis=0, dtype=np.float64)
    centre /= max(float(np.linalg.norm(centre)), 1e-12)
    for names, vectors, starts in bank.chunks(sources):
        totals = np.add.reduceat(vectors, starts, axis=0).astype(np.float64)  # the sum points where the mean does
        norms = np.maximum(np.linalg.norm(totals, axis=1), 1e-12)
        scores[position : position + len(names)] = totals @ centre / norms
        position += len(names)
    return scores
