"""A target's own gains in other setups, such as with a smaller model, as evidence of its gains in the setup at hand.

Of target t in setup v, gains less their middle, in units of their scale, are

    slope(v) x z(v, s) + rest(v, s),   cov(rest(u, s), rest(v, s)) = M(u, v)

with z the selector's score of source s. M is learned from targets of the web that were left out: what a selector leaves open in
one setup is partly the same in another. Measured gains of a row are rest and noise, so they condition the prior of the rest in
setup u as Gaussian evidence. The level and the scale of a row say nothing here: neither made predictions better on targets left
out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from taskweb.selectors.base import FloatArray, SelectionProblem, Selector
from taskweb.selectors.gain_prior import UNKNOWN_SLOPE, GainPrior, LeftOutRests, left_out_rests, standardised

KEPT = 0.7  # of covariances between setups, which are known from few targets
FEWEST_SOURCES = 3  # measured in a row, to have a middle and a scale
UNKNOWN_SHARED, UNKNOWN_OWN = 0.2, 0.4  # covariance of two setups and variance of one: about those of the published web
_ANY_LEVEL = 100.0  # variance of a row's middle, in units
_LEAST_SHARE = 0.25  # of the variance of a row's gains that is not noise
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredRow:
    """The gains of a target's sources in one setup, as fractions.

    gains: mean over runs, (sources,) in the order of the prior, NaN where not measured. errors: their standard errors, NaN
    where unknown, as of single runs.
    """

    setup: str
    gains: FloatArray = field(repr=False)
    errors: FloatArray = field(repr=False)

    @property
    def is_usable(self) -> bool:
        """Whether it orders some sources."""
        known = self.gains[np.isfinite(self.gains)]
        return len(known) >= FEWEST_SOURCES and bool(np.ptp(known) > 0)


def with_rows(prior: GainPrior, problem: SelectionProblem, selector: Selector, rows: Sequence[MeasuredRow]) -> GainPrior:
    """The prior with what the target's rows in other setups say; rows with fewer than three different sources say nothing.

    prior, problem, selector: as of `gain_prior`, of the same candidates.
    """
    rows = [row for row in rows if row.is_usable]
    if not rows:
        return prior
    learned = left_out_rests(problem, selector)
    between = _between_setups(learned, [problem.setup, *(row.setup for row in rows)])
    sources, owners, rests, noises = _stacked(prior, problem, selector, rows, learned)
    seen = between[np.ix_(owners, owners)] * (sources[:, None] == sources[None, :])
    seen += np.diag(noises) + _ANY_LEVEL * (owners[:, None] == owners[None, :])
    reach = between[0, owners] * (np.arange(len(prior.sources))[:, None] == sources[None, :])
    weights = np.linalg.solve(seen, reach.T).T
    covariance = prior.covariance - weights @ reach.T
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    covariance = (vectors * np.maximum(values, _LEAST_VARIANCE)) @ vectors.T
    return replace(prior, shape=prior.shape + weights @ rests, covariance=covariance)


def _stacked(
    prior: GainPrior, problem: SelectionProblem, selector: Selector, rows: Sequence[MeasuredRow], learned: LeftOutRests | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """All measured gains of all rows: places of their sources, their row from 1, what the scores leave open, its noise."""
    found: list[tuple[Any, ...]] = []
    for place, row in enumerate(rows, start=1):
        at = np.flatnonzero(np.isfinite(row.gains))
        gains, errors = row.gains[at], row.errors[at]
        scale, noise = _scale_and_noise(gains, errors, math.exp(2 * prior.ratio.middle))
        known = row.setup in problem.web.setups
        scores = standardised(selector.score(problem.in_setup(row.setup) if known else problem))[at]
        rests = (gains - gains.mean()) / scale - _slope(learned, row.setup) * scores
        found.append((at, np.full(len(at), place), rests, noise))
    first, second, third, fourth = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second, third, fourth


def _scale_and_noise(gains: FloatArray, errors: FloatArray, ratio: float) -> tuple[float, FloatArray]:
    """The standard deviation of true gains, and the variance of each measured one in units of it.

    ratio: of the variance of a single run to that of gains, for those whose error is not known.
    """
    total, known = float(gains.var()), np.isfinite(errors)
    noise = np.where(known, errors**2, total * ratio / (1 + ratio))
    variance = max(total - float(noise.mean()), _LEAST_SHARE * total)
    return math.sqrt(variance), np.where(known, noise / variance, ratio)


def _slope(learned: LeftOutRests | None, setup: str) -> float:
    if learned is None:
        return UNKNOWN_SLOPE
    if setup in learned.setups:
        return learned.slopes[learned.setups.index(setup)]
    return float(np.mean(learned.slopes))


def _between_setups(learned: LeftOutRests | None, setups: Sequence[str]) -> FloatArray:
    """M of these setups; one that the web does not have is like the mean of those it has. Positive definite."""
    products = None if learned is None else _products(learned)
    known = () if learned is None else learned.setups
    places = [[known.index(name)] if name in known else list(range(len(known))) for name in setups]
    found = np.empty((len(setups), len(setups)))
    for i, own in enumerate(places):
        for j, other in enumerate(places):
            same = i == j or (setups[i] == setups[j] and setups[i] in known)
            pairs = [(a, b) for a in own for b in other if (a == b) == same]
            learnt = [] if products is None else [products[pair] for pair in pairs if np.isfinite(products[pair])]
            unknown = UNKNOWN_OWN if same else UNKNOWN_SHARED
            found[i, j] = (1.0 if same else KEPT) * (float(np.mean(learnt)) if learnt else unknown)
    values, vectors = np.linalg.eigh(found)
    return np.asarray((vectors * np.maximum(values, _LEAST_VARIANCE)) @ vectors.T)


def _products(learned: LeftOutRests) -> FloatArray:
    """Mean products of the rests of two setups over targets and sources, (setups, setups); of one, less its noise."""
    rests = np.moveaxis(learned.rests, 1, 0).reshape(len(learned.setups), -1)
    known = np.isfinite(rests)
    filled = np.where(known, rests, 0.0)
    counts = known.astype(float) @ known.T
    found: FloatArray = np.divide(filled @ filled.T, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    noise = np.moveaxis(learned.errors, 1, 0).reshape(len(learned.setups), -1) ** 2
    for place, own in enumerate(noise):
        if np.isfinite(own).any():
            found[place, place] = max(found[place, place] - float(np.nanmean(own)), _LEAST_SHARE * found[place, place])
    return found
