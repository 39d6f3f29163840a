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
from taskweb.selectors.gain_prior import GainPrior

LEVEL = 0.8
_SCALES = np.linspace(-1.5, 1.5, 7)  # of the grid, in standard deviations of the prior
_RATIOS = np.linspace(-1.2, 1.2, 4)
_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class MeasuredGain:
    """One run on the target: its source, its seed, and its gain over the baseline of that seed, as a fraction."""

    source: str
    seed: int
    gain: float


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The gains for one scale and noise: mean, covariance, noise of a run, and the weight of this part."""

    mean: FloatArray
    covariance: FloatArray
    noise: float
    weight: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """The gains of sources, as fractions, after some runs. Raises ParameterError for a gain that is no finite number."""

    prior: GainPrior
    runs: tuple[MeasuredGain, ...] = field(default=())

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
        return Posterior(self.prior, (*self.runs, *runs))

    @cached_property
    def mean(self) -> FloatArray:
        """The expected gain of each source, (sources,)."""
        return np.asarray(sum(part.weight * part.mean for part in self._parts))

    @cached_property
    def covariance(self) -> FloatArray:
        """(sources, sources)."""
        within = sum(part.weight * part.covariance for part in self._parts)
        between = sum(part.weight * np.outer(part.mean - self.mean, part.mean - self.mean) for part in self._parts)
        return np.asarray(within + between)

    @property
    def deviation(self) -> FloatArray:
        """The standard deviation of each gain, (sources,)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    @cached_property
    def noise_variance(self) -> float:
        """The variance of a further run about its source's gain, where its seed was used before."""
        return sum(part.weight * part.noise for part in self._parts)

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
        counts = np.round(np.cumsum([part.weight for part in self._parts]) * _DRAWS).astype(int)
        found = []
        for part, count in zip(self._parts, np.diff(counts, prepend=0).tolist(), strict=True):
            if count:
                values, vectors = np.linalg.eigh(part.covariance)
                root = vectors * np.sqrt(np.maximum(values, 0.0))
                found.append(part.mean + stream.standard_normal((count, len(values))) @ root.T)
        return np.concatenate(found)

    def measured(self) -> dict[str, tuple[int, float]]:
        """How often each measured source was run on the target, and the mean of its gains."""
        found: dict[str, list[float]] = {}
        for run in self.runs:
            found.setdefault(run.source, []).append(run.gain)
        return {source: (len(gains), math.fsum(gains) / len(gains)) for source, gains in found.items()}

    @cached_property
    def _parts(self) -> list[_Part]:
        prior, found, logs = self.prior, [], []
        place = {name: i for i, name in enumerate(self.sources)}
        at = np.array([place[run.source] for run in self.runs], dtype=int)
        gains = np.array([run.gain for run in self.runs])
        seeds = np.array([run.seed for run in self.runs])
        shared = prior.baseline_noise**2 * (seeds[:, None] == seeds[None, :])
        for x in _SCALES.tolist():
            for y in _RATIOS.tolist():
                scale = math.exp(prior.scale.middle + x * prior.scale.deviation)
                noise = (scale * math.exp(prior.ratio.middle + y * prior.ratio.deviation)) ** 2
                mean, covariance, log = _conditioned(scale * prior.shape, scale**2 * prior.covariance, at, gains, shared, noise)
                found.append((mean, covariance, noise))
                logs.append(log - 0.5 * (x * x + y * y))
        weights = np.exp(np.array(logs) - max(logs))
        weights /= weights.sum()
        return [_Part(*part, float(weight)) for part, weight in zip(found, weights, strict=True)]


def _conditioned(
    mean: FloatArray, covariance: FloatArray, at: FloatArray, gains: FloatArray, shared: FloatArray, noise: float
) -> tuple[FloatArray, FloatArray, float]:
    """Mean and covariance given runs of the sources `at`, and the log-likelihood of the runs but for a constant."""
    if not len(gains):
        return mean, covariance, 0.0
    root = np.linalg.cholesky(covariance[np.ix_(at, at)] + shared + noise * np.eye(len(gains)))
    away = np.linalg.solve(root, gains - mean[at])
    reach = np.linalg.solve(root, covariance[at])
    likelihood = -0.5 * float(away @ away) - float(np.log(np.diag(root)).sum())
    return mean + reach.T @ away, covariance - reach.T @ reach, likelihood


def order_of(posterior: Posterior) -> list[int]:
    """The places of the sources by expected gain, best first; equal ones by name."""
    return [int(place) for place in np.lexsort((np.array(posterior.sources), -posterior.mean))]
