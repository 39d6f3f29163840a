"""How far the blend can be trusted: predicted gains with their intervals, and the probability to be the best source.

No distribution of gains is assumed. The predicted gain of a source comes from pairs of the web that had a similar gain score
while their target was left out: the gains measured for them contain the noise of seeds, pivots and examples together. The
probability to be the best source follows a logit model of the ranking scores, with one parameter, fitted to which source was
best for each target left out.

Few targets show too little of the differences between targets, so intervals are widened as those of Student's t are, for that
number of targets.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from taskweb.selectors.assessment import PredictedGain
from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.validation import FEWEST_SOURCES, Validation
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.bootstrap import student_quantile
from taskweb.web.transfer_web import without_self

LEVEL = 0.8
FEWEST_PAIRS = 20
_BANDWIDTH = 0.5  # of gain scores
_MOST_COMPUTED, _STEPS = 256, 32
_SHARPEST = 6.0
_SHARPNESS_SPREAD = 3.0  # standard deviation of the prior of the sharpness


def predicted_gains(web: TransferWeb, setup: str, validation: Validation, scores: FloatArray) -> list[PredictedGain] | None:
    """The predicted gain of each source from its gain score, (sources,); None with fewer than 20 pairs of known gain.

    Gains are PC in the setup (`all`: the mean over setups). With more than 256 sources, gain scores are rounded to 1/32, and
    sources with the same rounded score share their predicted gain.
    """
    found = _outcomes(web, setup, validation)
    if found is None:
        return None
    if len(scores) > _MOST_COMPUTED:
        shared, place = np.unique(np.round(scores * _STEPS) / _STEPS, return_inverse=True)
        at_steps = _from_similar_pairs(*found, shared)
        return [at_steps[i] for i in place.tolist()]
    return _from_similar_pairs(*found, scores)


def widening(targets: int) -> float:
    """How much wider than the normal one the 80% interval for a new target is, given this many targets (at least 2).

    The quantile of Student's t as a multiple of the normal one, times sqrt(1 + 1 / targets).
    """
    return student_quantile(LEVEL, targets - 1) / NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(1 + 1 / targets)


def _from_similar_pairs(known: FloatArray, gained: FloatArray, targets: int, scores: FloatArray) -> list[PredictedGain]:
    """The predicted gain of each score, from the scores `known` of pairs, their gains, and the number of their targets."""
    order = np.argsort(gained)
    known, gained = known[order], gained[order]
    distance = (scores[:, None] - known[None, :]) / _BANDWIDTH
    nearest = np.abs(distance).min(axis=1, keepdims=True)
    weights = np.exp(-0.5 * (distance**2 - nearest**2))
    share = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    tail = (1 - LEVEL) / 2

    def quantile(level: float) -> FloatArray:
        return np.asarray(gained[np.minimum((share < level).sum(axis=1), len(gained) - 1)])

    harm = (weights * (gained < 0)).sum(axis=1) / weights.sum(axis=1)
    middle, wider = quantile(0.5), widening(targets)
    low, high = (middle + wider * (quantile(level) - middle) for level in (tail, 1 - tail))
    columns = [column.tolist() for column in (middle, low, high, harm)]
    return [PredictedGain(*row) for row in zip(*columns, strict=True)]


def probabilities_of_best(web: TransferWeb, validation: Validation, scores: FloatArray) -> FloatArray:
    """The probability of each source to be the best for the target: softmax(sharpness x score)."""
    logits = sharpness(web, validation) * scores
    exponentials = np.exp(logits - logits.max())
    total: FloatArray = exponentials / exponentials.sum()
    return total


def sharpness(web: TransferWeb, validation: Validation) -> float:
    """How much the ranking scores say about which source is best, 0 = nothing; fitted to the targets left out."""
    best, rows = [], []
    setups = [setup for setup in validation.setups if setup != ALL_SETUPS]
    for i, setup in enumerate(setups):
        for j, row in enumerate(_matrix(web.t, web, setup, validation)):
            if np.isfinite(row).sum() >= FEWEST_SOURCES and np.ptp(row[np.isfinite(row)]) > 0:
                rows.append(np.where(np.isfinite(row), validation.scores[j, i], -np.inf))
                best.append(int(np.nanargmax(row)))
    if not rows:
        return 0.0
    grid = np.linspace(0.0, _SHARPEST, 121)
    table = np.array(rows)
    finite = np.isfinite(table)
    logits = grid[:, None, None] * np.where(finite, table, 0.0)
    normaliser = np.log((np.exp(logits) * finite).sum(axis=-1))
    likelihood = (logits[:, np.arange(len(best)), best] - normaliser).sum(axis=1) / len(setups)
    return float(grid[int(np.argmax(likelihood - 0.5 * (grid / _SHARPNESS_SPREAD) ** 2))])


def _outcomes(web: TransferWeb, setup: str, validation: Validation) -> tuple[FloatArray, FloatArray, int] | None:
    """Gain scores and PC of all pairs whose target was left out, and the number of targets; None for too few pairs.

    For a setup that was not learned from, the scores are those of `all`.
    """
    if web.pc is None:
        return None
    gained = _matrix(web.pc, web, setup, validation)
    known = validation.gain_scores[:, validation.setups.index(setup) if setup in validation.setups else -1]
    measured = np.isfinite(gained)
    targets = int(measured.any(axis=1).sum())
    if measured.sum() < FEWEST_PAIRS or targets < 2:
        return None
    return known[measured], gained[measured], targets


def _matrix(array: FloatArray, web: TransferWeb, setup: str, validation: Validation) -> FloatArray:
    """A quantity of the web as (targets, sources) of the validation, NaN for a task and itself."""
    rows = [web.target_index(name) for name in validation.targets]
    columns = [web.source_index(name) for name in validation.sources]
    matrix = nan_mean(array, axis=0) if setup == ALL_SETUPS else array[web.setup_index(setup)]
    return without_self(matrix[np.ix_(rows, columns)], validation.targets, validation.sources)
