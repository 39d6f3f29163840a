"""How similar two tasks are, by the embeddings of their examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from taskweb.tasks import Example
from taskweb.web import ExampleBank

FloatArray = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
_MOST_REFERENCES = 50
_ROWS = 512  # tasks less their centre are computed in blocks of this size, to save memory


def example_text(example: Example) -> str:
    """The text that is embedded for an example: its choices as Python prints a list (None without), `</s>`, its input."""
    choices = None if example.choices is None else list(example.choices)
    return f"{choices}</s>{example.input}"


def retrieval_of_experts(target: Vectors, bank: ExampleBank, sources: Sequence[str]) -> FloatArray:
    """RoE: for each source, the mean over the target's examples of the largest dot product with an example of the source.

    target: (examples, dimension) unit vectors. Result: (len(sources),) in [-1, 1]. Cost and memory grow linearly with the
    bank's examples; a mapped bank is read in pieces. Source: Jang et al., 2023, as used in arXiv:2305.13256.
    """
    transposed = np.ascontiguousarray(target.T, dtype=np.float32)

    def score(vectors: Vectors, starts: npt.NDArray[np.intp]) -> FloatArray:
        best: FloatArray = np.maximum.reduceat(vectors @ transposed, starts, axis=0).mean(axis=1, dtype=np.float64)
        return best

    return _per_source(bank, sources, score)


def retrieval_both_ways(targets: Sequence[Vectors], bank: ExampleBank, sources: Sequence[str]) -> FloatArray:
    """The mean of RoE and coverage for several targets, (targets, sources); the bank is read once.

    Coverage is RoE reversed: the mean over a source's examples of the largest dot product with an example of the target.
    """
    transposed = [np.ascontiguousarray(target.T, dtype=np.float32) for target in targets]
    scores = np.empty((len(targets), len(sources)))
    position = 0
    for names, vectors, starts in bank.chunks(sources):
        at = slice(position, position + len(names))
        for i, columns in enumerate(transposed):
            cosines = vectors @ columns
            best = np.maximum.reduceat(cosines, starts, axis=0).mean(axis=1, dtype=np.float64)
            scores[i, at] = (best + _covered(cosines, starts)) / 2
        position += len(names)
    return scores


def mean_embedding_cosine(target: Vectors, bank: ExampleBank, sources: Sequence[str]) -> FloatArray:
    """Cosine between the mean embedding of the target and that of each source (TextEmb; Vu et al., 2020, arXiv:2005.00770)."""
    centre = target.mean(axis=0, dtype=np.float64)
    centre /= max(float(np.linalg.norm(centre)), 1e-12)

    def score(vectors: Vectors, starts: npt.NDArray[np.intp]) -> FloatArray:
        totals = sums_of_sources(vectors, starts)
        cosine: FloatArray = totals @ centre / np.maximum(np.linalg.norm(totals, axis=1), 1e-12)
        return cosine

    return _per_source(bank, sources, score)


def centred_cosine(queries: FloatArray, tasks: FloatArray | Vectors) -> FloatArray:
    """Cosines between mean embeddings less the mean of all tasks: (queries, tasks).

    queries, tasks: mean embeddings, (., dimension). What all texts have in common does not show which are similar.
    """
    centre = tasks.mean(axis=0, dtype=np.float64)
    queries = queries - centre
    sizes = np.linalg.norm(queries, axis=1)[:, None]
    cosines = np.empty((len(queries), len(tasks)))
    for start in range(0, len(tasks), _ROWS):
        rows = tasks[start : start + _ROWS] - centre
        cosines[:, start : start + _ROWS] = (queries @ rows.T) / np.maximum(sizes * np.linalg.norm(rows, axis=1), 1e-12)
    return cosines


def four_similarities(target: Vectors, bank: ExampleBank, sources: Sequence[str]) -> FloatArray:
    """RoE, coverage (RoE reversed), `mean_embedding_cosine` and `centred_cosine` in one pass: (4, sources)."""
    transposed = np.ascontiguousarray(target.T, dtype=np.float32)
    mean = target.mean(axis=0, dtype=np.float64)
    centre = mean / max(float(np.linalg.norm(mean)), 1e-12)
    scores = np.empty((4, len(sources)))
    means = np.empty((len(sources), len(mean)), np.float32)
    position = 0
    for names, vectors, starts in bank.chunks(sources):
        at = slice(position, position + len(names))
        cosines = vectors @ transposed
        scores[0, at] = np.maximum.reduceat(cosines, starts, axis=0).mean(axis=1, dtype=np.float64)
        scores[1, at] = _covered(cosines, starts)
        totals = sums_of_sources(vectors, starts)
        scores[2, at] = totals @ centre / np.maximum(np.linalg.norm(totals, axis=1), 1e-12)
        means[at] = totals
        position += len(names)
    means /= np.array([len(bank.vectors[source]) for source in sources], np.float32)[:, None]
    scores[3] = centred_cosine(mean[None], means)[0]
    return scores


def _covered(cosines: Vectors, starts: npt.NDArray[np.intp]) -> FloatArray:
    """For each source, the mean over its rows of their largest cosine."""
    best = np.ascontiguousarray(cosines.T).max(axis=0)  # several times faster than along short rows
    mean: FloatArray = np.add.reduceat(best, starts, dtype=np.float64) / np.diff(np.append(starts, len(cosines)))
    return mean


def sums_of_sources(vectors: Vectors, starts: npt.NDArray[np.intp]) -> FloatArray:
    """The sum of each source's stacked vectors, which has the direction of their mean."""
    sizes = np.diff(np.append(starts, len(vectors)))
    if (sizes == sizes[0]).all():  # several times faster than reduceat
        return np.asarray(vectors.reshape(len(starts), int(sizes[0]), -1).sum(axis=1), np.float64)
    return np.asarray(np.add.reduceat(vectors, starts, axis=0), np.float64)


def retrieval_on_one_scale(
    target: Vectors, bank: ExampleBank, sources: Sequence[str], scores: FloatArray | None = None
) -> FloatArray:
    """RoE with sources of few examples put on the scale of the others.

    The largest of several dot products grows with their number, so a source with few examples would look less similar than it
    is. The score of a source with n examples, fewer than the median N, is raised by the mean increase of larger sources from n
    to N examples, an exact expectation. Without such sources this is `retrieval_of_experts`. scores: the latter, where it is
    known already.
    """
    scores = retrieval_of_experts(target, bank, sources) if scores is None else scores
    counts = np.array([len(bank.vectors[source]) for source in sources])
    usual = int(np.median(counts)) if len(counts) else 0
    short = sorted({int(count) for count in counts if count < usual})
    if not short:
        return scores
    larger = [source for source, count in zip(sources, counts, strict=True) if count >= usual]
    references = larger[:: max(1, len(larger) // _MOST_REFERENCES)][:_MOST_REFERENCES]
    sizes = [*short, usual]
    expected = np.zeros(len(sizes))
    for source in references:
        descending = -np.sort(-(bank.of(source) @ target.T), axis=0)
        expected += [(_weights_of_largest(len(descending), size) @ descending).mean() for size in sizes]
    gain = dict(zip(sizes, (expected[-1] - expected) / len(references), strict=True))
    raised: FloatArray = scores + np.array([gain.get(int(count), 0.0) for count in counts])
    return raised


def _weights_of_largest(n: int, size: int) -> FloatArray:
    """How often each of n values in descending order is the largest of `size` values drawn without replacement."""
    weights = np.zeros(n)
    weights[0] = size / n
    for i in range(n - size):
        weights[i + 1] = weights[i] * (n - size - i) / (n - 1 - i)
    return weights


def _per_source(
    bank: ExampleBank, sources: Sequence[str], score: Callable[[Vectors, npt.NDArray[np.intp]], FloatArray]
) -> FloatArray:
    """Apply `score` to the bank piece by piece: (stacked vectors, where each source starts) -> one value per source."""
    scores = np.empty(len(sources))
    position = 0
    for names, vectors, starts in bank.chunks(sources):
        scores[position : position + len(names)] = score(vectors, starts)
        position += len(names)
    return scores
