"""Gains and what the runs of a seed share, Gaussian for each of a grid of scales and noises, and how a run changes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from taskweb.selectors.base import FloatArray
from taskweb.selectors.gain_prior import GainPrior

_SCALES = np.linspace(-1.5, 1.5, 7)  # of the grid, in standard deviations of the prior
_RATIOS = np.linspace(-1.2, 1.2, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The gains, and what the runs of each seed share, for each scale and noise of the grid: Gaussian.

    mean: (parts, sources + seeds), the seeds behind the sources. covariance: (parts, sources + seeds, sources + seeds). noise:
    variance of a run about gain and seed, (parts,). log: how well each part explains the runs, (parts,), but for a constant.
    seeds: those used so far, in order.
    """

    mean: FloatArray = field(repr=False)
    covariance: FloatArray = field(repr=False)
    noise: FloatArray = field(repr=False)
    log: FloatArray = field(repr=False)
    seeds: tuple[int, ...] = ()

    @property
    def weights(self) -> FloatArray:
        """The probability of each part, (parts,)."""
        found = np.exp(self.log - self.log.max())
        return np.asarray(found / found.sum())

    def with_seeds(self, seeds: Iterable[int], variance: float) -> Parts:
        """With a place for each further seed, of which nothing is known but the variance of what its runs share."""
        new = [seed for seed in dict.fromkeys(seeds) if seed not in self.seeds]
        if not new:
            return self
        known, size = self.mean.shape[1], self.mean.shape[1] + len(new)
        mean, covariance = np.zeros((len(self.mean), size)), np.zeros((len(self.mean), size, size))
        mean[:, :known], covariance[:, :known, :known] = self.mean, self.covariance
        covariance[:, range(known, size), range(known, size)] = variance
        return replace(self, mean=mean, covariance=covariance, seeds=(*self.seeds, *new))

    def after(self, source: int, seed: int, gain: float) -> Parts:
        """After a run of the source at that place, with a seed that has a place."""
        shared = self.mean.shape[1] - len(self.seeds) + self.seeds.index(seed)
        reach = self.covariance[:, source] + self.covariance[:, shared]
        variance = reach[:, source] + reach[:, shared] + self.noise
        away = gain - self.mean[:, source] - self.mean[:, shared]
        return replace(
            self,
            mean=self.mean + reach * (away / variance)[:, None],
            covariance=self.covariance - reach[:, :, None] * (reach / variance[:, None])[:, None, :],
            log=self.log - 0.5 * (away**2 / variance + np.log(variance)),
        )


def parts_before_any_run(prior: GainPrior) -> Parts:
    """What a prior says."""
    x, y = np.repeat(_SCALES, len(_RATIOS)), np.tile(_RATIOS, len(_SCALES))
    scale = np.exp(prior.scale.middle + x * prior.scale.deviation)
    noise = (scale * np.exp(prior.ratio.middle + y * prior.ratio.deviation)) ** 2
    covariance = (scale**2)[:, None, None] * prior.covariance
    return Parts(scale[:, None] * prior.shape, covariance, noise, -0.5 * (x**2 + y**2))
