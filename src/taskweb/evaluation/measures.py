"""Metrics of one template's answers, for all examples or for many resamples at once.

A resample is a row of weights: how often each example was drawn. Weights of one give the metric as `taskweb.metrics` computes
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from taskweb.metrics import exact_match, token_f1

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Answers(Protocol):
    """The answers to one template."""

    @property
    def places(self) -> IntArray:
        """The task's row of each answer: (answers,)."""

    def metrics(self, weights: FloatArray) -> Mapping[str, FloatArray]:
        """Metrics by name, (resamples,) each, NaN where not defined. weights: (resamples, answers)."""


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Predicted and right classes, as numbers below `classes`."""

    places: IntArray
    predicted: IntArray
    expected: IntArray
    classes: int

    def confusion(self, weights: FloatArray) -> FloatArray:
        """Counts, expected by predicted: (resamples, classes, classes)."""
        cells = np.zeros((len(self.expected), self.classes**2))
        cells[np.arange(len(cells)), self.expected * self.classes + self.predicted] = 1
        return (weights @ cells).reshape(-1, self.classes, self.classes)

    def metrics(self, weights: FloatArray) -> Mapping[str, FloatArray]:
        """Accuracy, macro F1 over the classes that occur, and F1 (of class 1 where there are two, macro F1 otherwise)."""
        counts = self.confusion(weights)
        hits = np.diagonal(counts, axis1=1, axis2=2)
        either = counts.sum(axis=1) + counts.sum(axis=2)
        f1 = np.nan_to_num(_ratio(2 * hits, either))
        macro = _ratio(f1.sum(axis=1), (either > 0).sum(axis=1))
        return {
            "accuracy": _ratio(hits.sum(axis=1), counts.sum(axis=(1, 2))),
            "macro_f1": macro,
            "f1": f1[:, 1] if self.classes == 2 else macro,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Generated texts. scores: of each answer, by metric."""

    places: IntArray
    scores: Mapping[str, FloatArray]

    @classmethod
    def compared(cls, places: IntArray, predicted: Sequence[str], references: Sequence[Sequence[str]]) -> Texts:
        """Compare each text with all right answers (none: the question has no answer), as in the SQuAD evaluation."""
        scores = {
            name: np.array([function([text], [right]) for text, right in zip(predicted, references, strict=True)])
            for name, function in (("exact_match", exact_match), ("token_f1", token_f1))
        }
        return cls(places, scores)

    def metrics(self, weights: FloatArray) -> Mapping[str, FloatArray]:
        """Exact match and token F1."""
        return {name: _ratio(weights @ values, weights.sum(axis=1)) for name, values in self.scores.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Predicted and right numbers."""

    places: IntArray
    predicted: FloatArray
    expected: FloatArray

    def metrics(self, weights: FloatArray) -> Mapping[str, FloatArray]:
        """Pearson and Spearman correlation."""
        predicted, expected = _ranks(self.predicted, weights), _ranks(self.expected, weights)
        return {
            "pearson": _correlation(self.predicted[None], self.expected[None], weights),
            "spearmanr": _correlation(predicted, expected, weights),
        }


def _ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean ranks within each resample, in which an example drawn twice ties with itself: (resamples, examples)."""
    unique, group = np.unique(values, return_inverse=True)
    member = np.zeros((len(values), len(unique)))
    member[np.arange(len(values)), group] = 1
    counts = weights @ member
    ranks: FloatArray = np.cumsum(counts, axis=1) - counts + (counts + 1) / 2
    return ranks[:, group]


def _correlation(a: FloatArray, b: FloatArray, weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=1, keepdims=True)
    x = a - _ratio((weights * a).sum(axis=1, keepdims=True), total)
    y = b - _ratio((weights * b).sum(axis=1, keepdims=True), total)
    scale = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    return _ratio((weights * x * y).sum(axis=1), scale)


def _ratio(above: FloatArray, below: npt.NDArray[Any]) -> FloatArray:
    out = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out
