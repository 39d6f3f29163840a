"""Metrics in plain numpy: task metrics, and the two ranking metrics of the field, NDCG and Regret@k.

A task metric maps (predictions, references) to one number. `METRICS` is the only table of them.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError

FloatArray = npt.NDArray[np.float64]
_LONGEST_EXACT_GAIN = 1000  # 2**n must stay a finite float64


# --- task metrics -----------------------------------------------------------------------------------------------------


def accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """Share of predictions equal to their reference, in [0, 1]; NaN where there are none."""
    _same_length(predictions, references)
    return float(np.mean([p == r for p, r in zip(predictions, references, strict=True)])) if len(references) else float("nan")


def f1(predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """F1 of the positive class (label 1) for two labels in {0, 1}, macro F1 otherwise; in [0, 1]."""
    _same_length(predictions, references)
    labels = set(references) | set(predictions)
    return _f1_of(predictions, references, 1) if labels and labels <= {0, 1} else macro_f1(predictions, references)


def macro_f1(predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """Unweighted mean over labels of the F1 of each label, in [0, 1]; NaN where there are no examples."""
    _same_length(predictions, references)
    labels = list(dict.fromkeys([*references, *predictions]))
    return float(np.mean([_f1_of(predictions, references, label) for label in labels])) if labels else float("nan")


def pearson(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Pearson correlation in [-1, 1]; NaN where either side does not vary."""
    _same_length(predictions, references)
    return correlation(np.asarray(predictions, float), np.asarray(references, float))


def spearman(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Spearman rank correlation in [-1, 1], ties at their mean rank; NaN where either side does not vary."""
    _same_length(predictions, references)
    return rank_correlation(np.asarray(predictions, float), np.asarray(references, float))


def exact_match(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """SQuAD exact match: share of answers equal to any reference after normalisation, in [0, 1].

    Each reference is a list of accepted answers; an empty list means that there is no answer.
    """
    return _best_of(predictions, references, lambda p, r: float(normalise_answer(p) == normalise_answer(r)))


def token_f1(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """SQuAD F1: overlap in words with the closest accepted answer after normalisation, in [0, 1]."""
    return _best_of(predictions, references, _word_overlap)


def normalise_answer(text: str) -> str:
    """Lower-case, without punctuation, articles and surplus space, as in the SQuAD evaluation."""
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


@dataclass(frozen=True, slots=True)
class Metric:
    """A task metric. higher_is_better: the direction of a gain. function: None where only measured values are read.

    bounds: the smallest and the largest value as a fraction (a share, a correlation); None where there are no such bounds.
    """

    name: str
    function: Callable[..., float] | None = None
    higher_is_better: bool = True
    bounds: tuple[float, float] | None = None


_SHARE = (0.0, 1.0)
_CORRELATION = (-1.0, 1.0)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, bounds=_SHARE),
        Metric("f1", f1, bounds=_SHARE),
        Metric("macro_f1", macro_f1, bounds=_SHARE),
        Metric("pearson", pearson, bounds=_CORRELATION),
        Metric("spearmanr", spearman, bounds=_CORRELATION),
        Metric("exact_match", exact_match, bounds=_SHARE),
        Metric("token_f1", token_f1, bounds=_SHARE),
        *(
            Metric(name, higher_is_better=False)
            for name in ("loss", "perplexity", "error", "error_rate", "mse", "rmse", "mae", "wer", "cer")
        ),
    )
}


_STAGES = frozenset({"train", "eval", "val", "valid", "validation", "dev", "test", "predict"})


def higher_is_better(metric: str) -> bool:
    """Whether a larger value of the metric is better; True for a metric that is not in the table."""
    name = canonical_metric(metric)
    known = METRICS.get(name) or METRICS.get(name.rsplit("_", 1)[-1])
    return known is None or known.higher_is_better


def canonical_metric(metric: str) -> str:
    """The plain name of a metric: lower case, without a trainer's prefix (`eval_`, `test_`, ...)."""
    name = metric.strip().lower()
    prefix, _, rest = name.partition("_")
    return rest if prefix in _STAGES and rest else name


# --- correlations -----------------------------------------------------------------------------------------------------


def correlation(a: FloatArray, b: FloatArray) -> float:
    """Pearson correlation over the places where both are finite; NaN with fewer than two, or without variation."""
    finite = np.isfinite(a) & np.isfinite(b)
    a, b = a[finite], b[finite]
    if not a.size or np.ptp(a) == 0 or np.ptp(b) == 0:  # rounding may leave equal values less their mean above zero
        return float("nan")
    x, y = a - np.mean(a), b - np.mean(b)
    scale = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
    return float(np.clip(np.sum(x * y) / scale, -1.0, 1.0)) if scale > 0 else float("nan")


def mean_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1 in ascending order; tied values share the mean of their ranks."""
    unique, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + 1 + last) / 2.0)[inverse] if len(unique) else np.zeros(0)


def rank_correlation(a: FloatArray, b: FloatArray) -> float:
    """Spearman rank correlation over the places where both are finite; NaN with fewer than two, or without variation."""
    finite = np.isfinite(a) & np.isfinite(b)
    return correlation(mean_ranks(a[finite]), mean_ranks(b[finite]))


# --- ranking metrics --------------------------------------------------------------------------------------------------


def ndcg(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Normalised discounted cumulative gain of a predicted order, in (0, 1].

    truth, predicted: one finite score per candidate, higher = better. With n candidates ordered by truth, gain is
    2^(n - rank) - 1 with rank counted from 0; the discount at position i, from 1, is log2(i + 1). Where candidates tie, in
    truth or in prediction, the result is the mean over all orders of the tied. Source: arXiv:2305.13256, section 4.
    Raises ParameterError for lengths that differ, no candidates, or values that are not finite.
    """
    t, p = _ranking_inputs(truth, predicted)
    n = len(t)
    # Gains are scaled by 2^-n, so that any number of candidates stays within float64.
    by_rank = np.exp2(-np.arange(n, dtype=float)) - (2.0**-n if n <= _LONGEST_EXACT_GAIN else 0.0)
    discount = 1.0 / np.log2(np.arange(n, dtype=float) + 2.0)
    gain = _mean_over_ties(t, by_rank)
    received = _mean_over_ties(p, discount)
    return float(gain @ received / (by_rank @ discount))


def regret_at_k(truth: npt.ArrayLike, performance: npt.ArrayLike, predicted: npt.ArrayLike, k: int = 5) -> float:
    """The share of raw performance lost by taking the k predicted best instead of the k truly best candidates.

    truth: transfer scores that define the best k; performance: mean raw scores of the target after each source;
    predicted: the selector's scores. Result: (mean performance of the best k - mean of the predicted k) / the former. Ties
    count as the mean over all orders of the tied. NaN where the best k perform at 0. Source: arXiv:2305.13256, section 4.
    Raises ParameterError for lengths that differ, no candidates, values that are not finite, or k < 1.
    """
    t, p = _ranking_inputs(truth, predicted)
    raw = np.asarray(performance, float)
    if raw.shape != t.shape or not np.isfinite(raw).all():
        raise ParameterError("The 'performance' parameter must be one finite number per candidate.")
    if k < 1:
        raise ParameterError(f"The 'k' parameter must be at least 1. Got {k} instead.")
    taken = (np.arange(len(t)) < k).astype(float) / min(k, len(t))
    best = float(_mean_over_ties(t, taken) @ raw)
    return float((best - _mean_over_ties(p, taken) @ raw) / best) if best != 0 else float("nan")


def _mean_over_ties(scores: FloatArray, by_position: FloatArray) -> FloatArray:
    """Give each candidate the value of its position in descending order of score; the tied share the mean of theirs."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(np.append(starts, len(scores)))
    out = np.empty(len(scores))
    out[order] = np.repeat(np.add.reduceat(by_position, starts) / counts, counts)
    return out


def _ranking_inputs(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    t, p = np.asarray(truth, float), np.asarray(predicted, float)
    if t.ndim != 1 or t.shape != p.shape or len(t) == 0:
        raise ParameterError(
            f"Truth and prediction must be two vectors of one length, not empty. Got shapes {t.shape} and {p.shape} instead."
        )
    if not (np.isfinite(t).all() and np.isfinite(p).all()):
        raise ParameterError("Truth and prediction must be finite. Leave out candidates without a score first.")
    return t, p


def _same_length(predictions: Sequence[Any], references: Sequence[Any]) -> None:
    if len(predictions) != len(references):
        raise ParameterError(
            f"There must be one prediction per reference. Got {len(predictions)} and {len(references)} instead."
        )


def _f1_of(predictions: Sequence[Any], references: Sequence[Any], label: Any) -> float:
    pairs = list(zip(predictions, references, strict=True))
    hit = sum(p == label and r == label for p, r in pairs)
    either = sum((p == label) + (r == label) for p, r in pairs)
    return 2 * hit / either if either else 0.0


def _word_overlap(prediction: str, reference: str) -> float:
    p, r = normalise_answer(prediction).split(), normalise_answer(reference).split()
    if not p or not r:
        return float(p == r)
    common = sum((Counter(p) & Counter(r)).values())
    return 2 * common / (len(p) + len(r)) if common else 0.0


def _best_of(predictions: Sequence[str], references: Sequence[Sequence[str]], score: Callable[[str, str], float]) -> float:
    _same_length(predictions, references)
    if not len(references):
        return float("nan")
    return float(
        np.mean([max(score(p, r) for r in (accepted or [""])) for p, accepted in zip(predictions, references, strict=True)])
    )
