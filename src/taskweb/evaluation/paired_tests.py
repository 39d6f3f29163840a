"""Whether two models differ on the same examples: exact McNemar tests, and paired bootstraps over rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from taskweb.errors import ParameterError
from taskweb.evaluation.intervals import LEVEL, RESAMPLES
from taskweb.evaluation.measures import Answers, FloatArray, IntArray
from taskweb.evaluation.results import TaskResult, TemplateResult

_RESAMPLES_AT_ONCE = 50
PairedTest = Literal["mcnemar", "bootstrap"]


@dataclass(frozen=True, slots=True)
class McNemar:
    """Rows that one model alone answers right, and the two-sided p-value of the exact McNemar test."""

    only_first: int
    only_second: int

    @property
    def p(self) -> float:
        """In (0, 1]; 1 where both models are right on the same rows."""
        return mcnemar_p(self.only_first, self.only_second)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"only_base": self.only_first, "only_adapter": self.only_second, "p": self.p}


@dataclass(frozen=True, slots=True)
class Difference:
    """The second model's metric less the first one's, its 95% interval, and the p-value of no difference, by which test."""

    value: float
    low: float
    high: float
    p: float
    test: PairedTest

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, null for NaN."""
        numbers = {name: getattr(self, name) for name in ("value", "low", "high", "p")}
        return {**{name: value if math.isfinite(value) else None for name, value in numbers.items()}, "test": self.test}


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two models on the rows of a task that both answered.

    differences: by metric, of the means over templates. templates: the exact test of each template of a task with choices.
    """

    task: str
    rows: int
    differences: Mapping[str, Difference]
    templates: Mapping[str, McNemar]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "task": self.task,
            "rows": self.rows,
            "differences": {name: found.to_dict() for name, found in self.differences.items()},
            "templates": [{"template": name, "mcnemar": found.to_dict()} for name, found in self.templates.items()],
        }


def mcnemar_p(only_first: int, only_second: int) -> float:
    """The two-sided p-value of the exact McNemar test: twice the smaller tail of Binomial(n, 1/2), at most 1."""
    count, ways, tail = only_first + only_second, 1, 0
    for k in range(min(only_first, only_second) + 1):
        tail += ways
        ways = ways * (count - k) // (k + 1)
    return min(1.0, float(2 * tail / 2**count))


def compare(first: TaskResult, second: TaskResult, *, seed: int = 0) -> PairedComparison:
    """Compare two models' results on a task, on the rows that both answered under a template.

    The bootstrap draws rows, the same ones for both models and under every template. The p-value of accuracy is McNemar's where
    there is one template, otherwise the bootstrap's. Raises ParameterError for results on different tasks or templates.
    """
    pairs = [_Pair.of(one, other) for one, other in zip(first.templates, second.templates, strict=False)]
    if first.task != second.task or [t.name for t in first.templates] != [t.name for t in second.templates]:
        raise ParameterError("Only results on the same task and templates can be compared.")
    rows = sorted({row for pair in pairs for row in pair.rows})
    index_of = {row: index for index, row in enumerate(rows)}
    names = [name for name in first.summary if name in second.summary]
    points = next(_differences(pairs, index_of, names, iter([np.ones((1, len(rows)))])))
    drawn = _differences(pairs, index_of, names, _draws(len(rows), seed)) if len(rows) > 1 else iter(())
    draws = np.concatenate(list(drawn), axis=1) if len(rows) > 1 else np.zeros((len(names), 0))
    tests = {pair.name: pair.mcnemar() for pair in pairs} if first.confusion else {}
    found = {name: _difference(float(points[i, 0]), draws[i]) for i, name in enumerate(names)}
    if len(tests) == 1 and "accuracy" in found:
        (test,) = tests.values()
        own = found["accuracy"]
        found["accuracy"] = Difference(own.value, own.low, own.high, test.p, "mcnemar")
    return PairedComparison(first.task, len(rows), found, tests)


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Two models' answers under one template. rows: those that both answered."""

    name: str
    first: TemplateResult
    second: TemplateResult
    rows: frozenset[int]

    @classmethod
    def of(cls, first: TemplateResult, second: TemplateResult) -> _Pair:
        rows = {p.row for p in first.predictions} & {p.row for p in second.predictions}
        return cls(first.name, first, second, frozenset(rows))

    def mcnemar(self) -> McNemar:
        right = [{p.row: p.correct == 1 for p in own.predictions} for own in (self.first, self.second)]
        only = [sum(one[row] and not other[row] for row in self.rows) for one, other in (right, right[::-1])]
        return McNemar(*only)


def _draws(rows: int, seed: int) -> Iterator[FloatArray]:
    """How often each row is drawn in each resample: (resamples, rows), some at a time."""
    draw = np.random.default_rng(seed)
    for _ in range(RESAMPLES // _RESAMPLES_AT_ONCE):
        yield draw.multinomial(rows, np.full(rows, 1 / rows), size=_RESAMPLES_AT_ONCE).astype(np.float64)


def _differences(
    pairs: list[_Pair], index_of: Mapping[int, int], names: list[str], weights: Iterator[FloatArray]
) -> Iterator[FloatArray]:
    """Differences of the means over templates: (metrics, resamples), some resamples at a time."""
    sides = [[(_answers(own), _places(own, pair, index_of)) for own in (pair.first, pair.second)] for pair in pairs]
    for part in weights:
        padded = np.concatenate([part, np.zeros((len(part), 1))], axis=1)  # the last column: rows that are left out
        metrics = [[answers.metrics(padded[:, places]) for answers, places in pair] for pair in sides]
        yield np.stack([np.mean([after[name] - before[name] for before, after in metrics], axis=0) for name in names])


def _answers(result: TemplateResult) -> Answers:
    assert result.answers is not None  # every evaluation has them
    return result.answers


def _places(result: TemplateResult, pair: _Pair, index_of: Mapping[int, int]) -> IntArray:
    """Where each answer's row stands; -1 for one that the other model did not answer."""
    return np.array([index_of[p.row] if p.row in pair.rows else -1 for p in result.predictions])


def _difference(value: float, draws: FloatArray) -> Difference:
    finite = draws[np.isfinite(draws)]
    if len(finite) < 2:
        return Difference(value, math.nan, math.nan, math.nan, "bootstrap")
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = 1 + min(np.count_nonzero(finite <= 0), np.count_nonzero(finite >= 0))
    return Difference(value, float(low), float(high), min(1.0, 2 * tail / (1 + len(finite))), "bootstrap")
