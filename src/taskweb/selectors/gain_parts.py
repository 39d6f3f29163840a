"""Gains and what the runs of a seed share, Gaussian for each of a grid of scales and noises, and how a run changes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.gain_prior import GainPrior

_SCALES = np.linspace(-1.5, 1.5, 7)  # of the grid, in standard deviations of the prior
_RATIOS = np.linspace(-1.2, 1.2, 4)

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The gains, and what the runs of each seed share, for each scale and noise of the grid: Gaussian.

    mean: (parts, sources + seeds), the seeds behind the sources. prior: covariance of the gains before any run, in units of
    scale squared, (sources, sources). scale: squared, (parts,). shared: variance of what the runs of a seed share. noise:
    variance of a run about gain and seed, (parts,). log: how well each part explains the runs, (parts,), but for a constant.
    seeds: those used so far, in order. reach: of each run made, its covariance with all before it, (runs, parts, sources +
    seeds). pull: the same, divided by the variance of the run.

    The covariance after the runs is that before them less one product of vectors for each run, so it is never stored whole.
    """

    mean: FloatArray = field(repr=False)
    prior: FloatArray = field(repr=False)
    scale: FloatArray = field(repr=False)
    shared: float
    noise: FloatArray = field(repr=False)
    log: FloatArray = field(repr=False)
    reach: FloatArray = field(repr=False)
    pull: FloatArray = field(repr=False)
    seeds: tuple[int, ...] = ()

    @property
    def weights(self) -> FloatArray:
        """The probability of each part, (parts,)."""
        found = np.exp(self.log - self.log.max())
        return np.asarray(found / found.sum())

    def with_seeds(self, seeds: Iterable[int]) -> Parts:
        """With a place for each further seed, of which nothing is known but the variance of what its runs share."""
        new = [seed for seed in dict.fromkeys(seeds) if seed not in self.seeds]
        if not new:
            return self
        mean, reach, pull = (
            np.concatenate([array, np.zeros((*array.shape[:-1], len(new)))], axis=-1)
            for array in (self.mean, self.reach, self.pull)
        )
        return replace(self, mean=mean, reach=reach, pull=pull, seeds=(*self.seeds, *new))

    def after(self, source: int, seed: int, gain: float) -> Parts:
        """After a run of the source at that place, with a seed that has a place."""
        shared = len(self.prior) + self.seeds.index(seed)
        reach = self._row(source) + self._row(shared)
        variance = reach[:, source] + reach[:, shared] + self.noise
        away = gain - self.mean[:, source] - self.mean[:, shared]
        return replace(
            self,
            mean=self.mean + reach * (away / variance)[:, None],
            log=self.log - 0.5 * (away**2 / variance + np.log(variance)),
            reach=np.concatenate([self.reach, reach[None]]),
            pull=np.concatenate([self.pull, (reach / variance[:, None])[None]]),
        )

    def columns(self, places: IntArray) -> FloatArray:
        """The covariance of sources and seeds with those at some places, (parts, sources + seeds, places)."""
        count = len(self.prior)
        found = np.zeros((len(self.mean), len(places), self.mean.shape[1]))
        gains, seeds = np.flatnonzero(places < count), np.flatnonzero(places >= count)
        found[:, gains, :count] = self.scale[:, None, None] * self.prior[places[gains]]
        found[:, seeds, places[seeds]] = self.shared
        found -= self.pull[:, :, places].transpose(1, 2, 0) @ self.reach.transpose(1, 0, 2)
        return found.swapaxes(1, 2)

    def covariance(self, part: int) -> FloatArray:
        """The covariance of the gains in one part, (sources, sources)."""
        found: FloatArray = self.scale[part] * self.prior
        for reach, pull in zip(self.reach[:, part, : len(found)], self.pull[:, part, : len(found)], strict=True):
            found -= reach[:, None] * pull
        return found

    def mean_covariance(self) -> FloatArray:
        """The mean over the parts of the covariance of the gains, (sources, sources)."""
        count, weights = len(self.prior), self.weights
        reach, pull = ((self.reach * weights[:, None])[:, :, :count], self.pull[:, :, :count])
        found: FloatArray = (weights @ self.scale) * self.prior - reach.reshape(-1, count).T @ pull.reshape(-1, count)
        return found

    def _before(self, place: int) -> FloatArray:
        """The covariance with one place before any run, (parts, sources + seeds)."""
        found = np.zeros(self.mean.shape)
        if place < len(self.prior):
            found[:, : len(self.prior)] = self.scale[:, None] * self.prior[place]
        else:
            found[:, place] = self.shared
        return found

    def _row(self, place: int) -> FloatArray:
        """The covariance with one place, (parts, sources + seeds)."""
        products = self.reach[:, :, place, None] * self.pull
        return np.asarray(np.subtract.reduce(np.concatenate([self._before(place)[None], products]), axis=0))


def parts_before_any_run(prior: GainPrior) -> Parts:
    """What a prior says."""
    x, y = np.repeat(_SCALES, len(_RATIOS)), np.tile(_RATIOS, len(_SCALES))
    scale = np.exp(prior.scale.middle + x * prior.scale.deviation)
    noise = (scale * np.exp(prior.ratio.middle + y * prior.ratio.deviation)) ** 2
    mean = scale[:, None] * prior.shape
    nothing = np.zeros((2, 0, *mean.shape))
    return Parts(mean, prior.covariance, scale**2, prior.baseline_noise**2, noise, -0.5 * (x**2 + y**2), *nothing)
