"""What is believed of the gains of all sources for a target before any of its runs: mean, covariance, scale and noise.

A gain is PC. For target t and source s, with z the selector's score of s standardised over the sources:

    gain(s) = scale x (middle + slope x z(s) + rest(s)),   rest ~ N(0, covariance)
    one run of seed k = gain(s) + baseline(k) + noise,     noise ~ N(0, (ratio x scale)^2)

How large gains are differs from target to target, and so does their noise: `scale` and `ratio` are not known, only how they are
spread. All of it is learned from the web by leaving its targets out: slope, middle and covariance from gains in units of their
target's scale, against the selector's scores of targets that it had not seen. Sources that help the same targets are
correlated, so a run of one says something of others. `baseline(k)` is what runs of one seed share, as they are compared with
one baseline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np

from taskweb.selectors.base import FloatArray, SelectionProblem, Selector
from taskweb.web.arrays import nan_mean
from taskweb.web.transfer_web import without_self

SHARE_OF_BASELINE = 1 / 3  # of the variance of a run over seeds; on the published web about a quarter to a half
_SHRINKAGE = 0.5  # of correlations towards none
_FEWEST_TARGETS = 4  # with gains, to learn from a web; fewer say too little
_LEAST_SPREADS = (0.3, 0.2)  # of log scale and log ratio
_LEAST_SCALE = 1e-4
_LEAST_VARIANCE = 0.01  # in any direction, as a share of the mean variance
_LEAST_OFFSET = 1.0  # standard deviation of what all sources share, in units of scale


@dataclass(frozen=True, slots=True)
class Spread:
    """A positive quantity that is not known: the logarithm of it has this middle and standard deviation."""

    middle: float
    deviation: float

    @classmethod
    def of(cls, values: FloatArray, least: float) -> Spread:
        """That of values above 0."""
        logs = np.log(values)
        return cls(float(np.median(logs)), max(least, float(logs.std())))


# Of the seven setups of the published web: medians of their targets' medians, and wide.
UNKNOWN_SCALE = Spread(math.log(0.035), 1.0)
UNKNOWN_RATIO = Spread(math.log(0.8), 0.5)
UNKNOWN_SLOPE = 0.4


@dataclass(frozen=True, eq=False)
class GainPrior:
    """What is believed before any run of the target.

    sources: their names. shape: (sources,) mean of gains in units of scale. covariance: (sources, sources) about it, in units
    of scale squared. scale: of gains, as fractions. ratio: of a run's own noise to the scale. baseline_noise: standard
    deviation of what runs of a seed share, as a fraction. learned_from: how many targets of a web it was learned from.
    """

    sources: tuple[str, ...]
    shape: FloatArray = field(repr=False)
    covariance: FloatArray = field(repr=False)
    scale: Spread = UNKNOWN_SCALE
    ratio: Spread = UNKNOWN_RATIO
    baseline_noise: float = 0.02
    learned_from: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LeftOutScores:
    """A selector's scores for targets that it had not seen.

    scores: (targets, setups, sources); what a target and itself have does not count.
    """

    targets: tuple[str, ...]
    setups: tuple[str, ...]
    sources: tuple[str, ...]
    scores: FloatArray = field(repr=False)


@runtime_checkable
class LeavesTargetsOut(Protocol):
    """A selector that knows how it scores targets of the problem's web that are left out."""

    def left_out(self, problem: SelectionProblem) -> LeftOutScores | None:
        """The scores, None where the web is too small."""


def gain_prior(problem: SelectionProblem, selector: Selector, scores: FloatArray) -> GainPrior:
    """The prior for a problem's candidates, from a selector's scores of them.

    Where the selector cannot say how well it does on targets left out, or few targets have gains, the slope is that of a
    mediocre selector, and scale and noise are as wide as those of all published setups.
    """
    standard = standardised(scores)
    known = selector.left_out(problem) if isinstance(selector, LeavesTargetsOut) else None
    gains = None if known is None else _known_gains(problem, known)
    if known is None or gains is None:
        return ignorant_prior(problem.candidates, standard)
    return _learned(problem, known, gains, standard)


def ignorant_prior(sources: Sequence[str], standard: FloatArray | None = None) -> GainPrior:
    """The prior without a web. standard: scores of the sources, standardised; None without any."""
    count = len(sources)
    shape = np.zeros(count) if standard is None else UNKNOWN_SLOPE * standard
    covariance = (1 - UNKNOWN_SLOPE**2) * np.eye(count) + _LEAST_OFFSET**2
    return GainPrior(tuple(sources), shape, covariance)


@dataclass(frozen=True, slots=True, eq=False)
class _Gains:
    """Gains of the targets left out: pc, (targets, setups, sources), NaN where unknown; and where the problem's setup is.

    noise, errors: standard deviation of a single run over seeds, and of the mean, of the same shape.
    """

    pc: FloatArray
    noise: FloatArray
    errors: FloatArray
    setups: tuple[str, ...]
    setup: int | None


def _known_gains(problem: SelectionProblem, known: LeftOutScores) -> _Gains | None:
    web = problem.web
    if web.pc is None:
        return None
    setups = [name for name in known.setups if name in web.setups]
    rows = [web.target_index(name) for name in known.targets]
    columns = [web.source_index(name) for name in known.sources]
    at = np.ix_([web.setup_index(name) for name in setups], rows, columns)

    def laid(array: FloatArray) -> FloatArray:
        return np.moveaxis(without_self(array[at], known.targets, known.sources), 0, 1)

    seeds = None if web.n_seeds is None or web.pc_se is None else web.pc_se * np.sqrt(web.n_seeds)
    pc = laid(web.pc)
    noise = np.full(pc.shape, np.nan) if seeds is None else laid(seeds)
    errors = np.full(pc.shape, np.nan) if web.pc_se is None else laid(web.pc_se)
    if int((np.isfinite(pc).sum(axis=-1) >= 3).any(axis=1).sum()) < _FEWEST_TARGETS:
        return None
    return _Gains(pc, noise, errors, tuple(setups), setups.index(problem.setup) if problem.setup in setups else None)


@dataclass(frozen=True, slots=True, eq=False)
class LeftOutRests:
    """What a selector's scores left open of the gains of targets left out, in units of each target's scale.

    rests, errors: (targets, setups, sources), NaN where unknown; errors: standard errors of the gains over seeds. slopes: of
    the gains on the scores, by setup.
    """

    setups: tuple[str, ...]
    slopes: tuple[float, ...]
    rests: FloatArray = field(repr=False)
    errors: FloatArray = field(repr=False)


def left_out_rests(problem: SelectionProblem, selector: Selector) -> LeftOutRests | None:
    """What is left open on targets of the problem's web; None where too few are known."""
    known = selector.left_out(problem) if isinstance(selector, LeavesTargetsOut) else None
    gains = None if known is None else _known_gains(problem, known)
    if known is None or gains is None:
        return None
    units, scale, _, scores = _in_units(known, gains)
    slopes = tuple(_slope(scores, units, place) for place in range(len(gains.setups)))
    return LeftOutRests(gains.setups, slopes, units - np.array(slopes)[:, None] * scores, gains.errors / scale)


def _in_units(known: LeftOutScores, gains: _Gains) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Gains less their middle in units of their target's scale, that scale and the middle, and the scores, standardised."""
    middle = nan_mean(gains.pc, axis=-1)[..., None]
    scale = np.sqrt(nan_mean((gains.pc - middle) ** 2, axis=-1))[..., None]
    scale = np.where(scale > _LEAST_SCALE, scale, np.nan)
    scores = standardised(known.scores[:, : gains.pc.shape[1]], where=np.isfinite(gains.pc))
    return (gains.pc - middle) / scale, scale, middle, scores


def _learned(problem: SelectionProblem, known: LeftOutScores, gains: _Gains, standard: FloatArray) -> GainPrior:
    units, scale, middle, scores = _in_units(known, gains)
    offsets = (middle / scale)[..., 0]
    slope = _slope(scores, units, gains.setup)
    rest = units - slope * scores
    places = {name: place for place, name in enumerate(known.sources)}
    own = offsets if gains.setup is None or not np.isfinite(offsets[:, gains.setup]).any() else offsets[:, gains.setup]
    own = own[np.isfinite(own)]
    covariance = _covariance(rest, [places.get(name) for name in problem.candidates])
    covariance += max(_LEAST_OFFSET, float(own.std())) ** 2 if own.size else _LEAST_OFFSET**2
    shape = (float(own.mean()) if own.size else 0.0) + slope * standard
    return _with_scales(GainPrior(problem.candidates, shape, covariance, learned_from=len(known.targets)), scale[..., 0], gains)


def standardised(scores: FloatArray, where: FloatArray | None = None) -> FloatArray:
    """Scores over their last axis with mean 0 and standard deviation 1; where: which of them count, others become NaN."""
    counted = scores if where is None else np.where(where, scores, np.nan)
    about = counted - nan_mean(counted, axis=-1)[..., None]
    spread = np.sqrt(nan_mean(about**2, axis=-1))[..., None]
    found: FloatArray = about / np.where(spread > 0, spread, 1.0)
    return found


def _slope(scores: FloatArray, units: FloatArray, setup: int | None) -> float:
    """How much of the gains the scores foretell: the mean of the setup's own regression and that over all setups."""

    def regression(x: FloatArray, y: FloatArray) -> float:
        both = np.isfinite(x) & np.isfinite(y)
        total = float((x[both] ** 2).sum())
        return float((x[both] * y[both]).sum()) / total if total > 0 else 0.0

    overall = regression(scores, units)
    return overall if setup is None else 0.5 * (overall + regression(scores[:, setup], units[:, setup]))


def _covariance(rest: FloatArray, places: Sequence[int | None]) -> FloatArray:
    """The covariance of what scores leave open, over targets and setups; correlations shrunk, none for unknown sources."""
    flat = rest.reshape(-1, rest.shape[-1])
    known = np.isfinite(flat)
    filled = np.where(known, flat, 0.0)
    counts = known.T.astype(float) @ known
    empirical = (filled.T @ filled) / np.maximum(counts, 1.0)
    variance = float((filled**2).sum() / max(1.0, float(known.sum())))
    found = variance * np.eye(len(places))
    at = [place for place, source in enumerate(places) if source is not None]
    columns = [source for source in places if source is not None]
    found[np.ix_(at, at)] *= 1 - _SHRINKAGE
    found[np.ix_(at, at)] += _SHRINKAGE * empirical[np.ix_(columns, columns)]
    return _positive(found)


def _positive(covariance: FloatArray) -> FloatArray:
    """The covariance without directions of next to no variance, or less than none, as there are where pairs are missing."""
    values, vectors = np.linalg.eigh(covariance)
    least = _LEAST_VARIANCE * float(np.trace(covariance)) / len(covariance)
    if values[0] >= least:
        return covariance
    found: FloatArray = (vectors * np.maximum(values, least)) @ vectors.T
    return found


def _with_scales(prior: GainPrior, scale: FloatArray, gains: _Gains) -> GainPrior:
    """The prior with scale of gains, ratio of noise to it, and noise of baselines from the web; scale: (targets, setups)."""
    own = slice(None) if gains.setup is None else slice(gains.setup, gains.setup + 1)
    scales, noise = scale[:, own], np.sqrt(nan_mean(gains.noise[:, own] ** 2, axis=-1))
    if (usable := scales[np.isfinite(scales)]).size >= _FEWEST_TARGETS:
        prior = replace(prior, scale=Spread.of(usable, _LEAST_SPREADS[0]))
    both = np.isfinite(scales) & np.isfinite(noise) & (noise > 0)
    if both.sum() >= _FEWEST_TARGETS:
        total = Spread.of(noise[both] / scales[both], _LEAST_SPREADS[1])
        ratio = Spread(total.middle + 0.5 * math.log(1 - SHARE_OF_BASELINE), total.deviation)
        shared = float(np.median(noise[both])) * math.sqrt(SHARE_OF_BASELINE)
        prior = replace(prior, ratio=ratio, baseline_noise=shared)
    return prior
