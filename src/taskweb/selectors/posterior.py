"""The gains of all sources for one target after the runs made so far, predicted and measured on one scale.

Runs condition the prior exactly: for each of a grid of scales and noises the gains are Gaussian given the runs, and the grid is
weighted by how well it explains them. Runs that share a seed share the noise of their baseline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist

import numpy as np

from taskweb.errors import ParameterError, unknown_name
from taskweb.selectors.base import FloatArray
from taskweb.selectors.gain_parts import Parts, parts_before_any_run
from taskweb.selectors.gain_prior import GainPrior

LEVEL = 0.8
_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class MeasuredGain:
    """One run on the target: its source, its seed, and its gain over the baseline of that seed, as a fraction."""

    source: str
    seed: int
    gain: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """The gains of sources, as fractions, after some runs. Raises ParameterError for a gain that is no finite number.

    known: how many of the first runs were counted before, and what is known from them; None where nothing was.
    """

    prior: GainPrior
    runs: tuple[MeasuredGain, ...] = field(default=())
    known: tuple[int, Parts] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for run in self.runs:
            if run.source not in self.prior.sources:
                raise unknown_name("source", run.source, self.prior.sources)
            if not math.isfinite(run.gain):
                raise ParameterError(f"The gain of {run.source} with seed {run.seed} must be a number. Got {run.gain} instead.")

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources, in the order of all arrays."""
        return self.prior.sources

    def after(self, *runs: MeasuredGain) -> Posterior:
        """With further runs."""
        return Posterior(self.prior, (*self.runs, *runs), (len(self.runs), self.parts))

    @cached_property
    def mean(self) -> FloatArray:
        """The expected gain of each source, (sources,)."""
        return np.asarray(self.parts.weights @ self._means)

    @cached_property
    def covariance(self) -> FloatArray:
        """(sources, sources)."""
        away = self._means - self.mean
        return np.asarray(self.parts.mean_covariance() + (self.parts.weights[:, None] * away).T @ away)

    @property
    def deviation(self) -> FloatArray:
        """The standard deviation of each gain, (sources,)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    def interval(self, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
        """Low and high ends of the central interval of each gain, (sources,) each."""
        width = NormalDist().inv_cdf((1 + level) / 2) * self.deviation
        return self.mean - width, self.mean + width

    @property
    def p_harm(self) -> FloatArray:
        """The probability that each source harms (gain below 0), (sources,)."""
        return np.asarray((self.draws < 0).mean(axis=0))

    def p_top(self, k: int) -> FloatArray:
        """The probability of each source to be among the best k, (sources,); they sum to k, or to the number of sources."""
        k = min(k, len(self.sources))
        best = np.argpartition(-self.draws, k - 1, axis=1)[:, :k]
        return np.bincount(best.ravel(), minlength=len(self.sources)) / len(self.draws)

    @cached_property
    def draws(self) -> FloatArray:
        """Gains drawn from the posterior, (draws, sources); always the same ones."""
        stream = np.random.default_rng(0)
        counts = np.round(np.cumsum(self.parts.weights) * _DRAWS).astype(int)
        found, roots = [], dict[float, FloatArray]()
        for part, wanted in enumerate(np.diff(counts, prepend=0).tolist()):
            if not wanted:
                continue
            which = float(self.parts.scale[part]) if not self.runs else part  # before any run, noise makes no difference
            if which not in roots:
                values, vectors = np.linalg.eigh(self.parts.covariance(part))
                roots[which] = vectors * np.sqrt(np.maximum(values, 0.0))
            found.append(self._means[part] + stream.standard_normal((wanted, len(self.sources))) @ roots[which].T)
        return np.concatenate(found)

    def measured(self) -> dict[str, tuple[int, float]]:
        """How often each measured source was run on the target, and the mean of its gains."""
        found: dict[str, list[float]] = {}
        for run in self.runs:
            found.setdefault(run.source, []).append(run.gain)
        return {source: (len(gains), math.fsum(gains) / len(gains)) for source, gains in found.items()}

    @cached_property
    def parts(self) -> Parts:
        """The gains for each scale and noise of the grid."""
        counted, parts = self.known or (0, parts_before_any_run(self.prior))
        runs = self.runs[counted:]
        parts = parts.with_seeds(run.seed for run in runs)
        for run in runs:
            parts = parts.after(self.sources.index(run.source), run.seed, run.gain)
        return parts

    @property
    def _means(self) -> FloatArray:
        """The expected gains in each part, (parts, sources)."""
        return self.parts.mean[:, : len(self.sources)]


def order_of(posterior: Posterior) -> list[int]:
    """The places of the sources by expected gain, best first; equal ones by name."""
    return [int(place) for place in np.lexsort((np.array(posterior.sources), -posterior.mean))]
