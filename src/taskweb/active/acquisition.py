"""Which source to run next on the target: by how much a run is expected to improve the decision.

The decision is which k sources to train on, best first. Its value is the weighted mean of their gains, the r-th with weight
1/r, as the first sources count most. A run of a source is worth what the decision is expected to gain from its result (the
knowledge gradient): from the posterior's covariance follows how the means of all sources would move. Runs of the same seed are
compared with the same baseline, so a seed is used for all sources before another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError
from taskweb.selectors.base import FloatArray
from taskweb.selectors.posterior import Posterior

DEFAULT_K = 5
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_OPTIMISM = 2.0  # standard deviations above the mean, of the policy `ucb`
BoolArray = npt.NDArray[np.bool_]


def decision_weights(k: int, sources: int) -> FloatArray:
    """How much each of the best k sources counts, (min(k, sources),); they sum to 1."""
    if k < 1:
        raise ParameterError(f"The number of sources to decide on must be 1 or more. Got {k} instead.")
    weights: FloatArray = 1.0 / np.arange(1, min(k, sources) + 1)
    weights /= weights.sum()
    return weights


def improvements(posterior: Posterior, k: int = DEFAULT_K) -> FloatArray:
    """By how much one further run of each source is expected to improve the decision: (sources,), fractions of the score."""
    means, covariance = posterior.mean, posterior.covariance
    weights = decision_weights(k, len(means))
    spread = np.sqrt(np.maximum(np.diag(covariance) + posterior.noise_variance, 1e-18))
    moved = means[:, None, None] + (covariance / spread)[:, :, None] * _POINTS  # sources x run of a source x result
    best = -np.sort(-moved, axis=0)[: len(weights)]
    value: FloatArray = np.tensordot(weights, best, axes=1) @ _WEIGHTS
    return np.maximum(value - weights @ -np.sort(-means)[: len(weights)], 0.0)


def left_to_gain(posterior: Posterior, k: int = DEFAULT_K) -> float:
    """What the decision would gain on average if all gains were known exactly, as a fraction of the target's score."""
    weights = decision_weights(k, len(posterior.mean))
    best = -np.sort(-posterior.draws, axis=1)[:, : len(weights)]
    chosen = posterior.draws[:, np.argsort(-posterior.mean)[: len(weights)]]
    return max(0.0, float(((best - chosen) @ weights).mean()))


@dataclass(frozen=True, slots=True)
class Choosing:
    """What a policy knows when it chooses. may_run: sources that have a run left. counts: runs made of each source."""

    posterior: Posterior
    may_run: BoolArray
    counts: npt.NDArray[np.int64]
    k: int
    draw: np.random.Generator
    seconds: FloatArray | None = None


Policy = Callable[[Choosing], int]


def knowledge_gradient(known: Choosing) -> int:
    """The source whose run improves the decision most, per second where that is known."""
    worth = improvements(known.posterior, known.k)
    return _best(worth if known.seconds is None else worth / known.seconds, known)


def upper_bound(known: Choosing) -> int:
    """The source with the highest mean plus two standard deviations."""
    return _best(known.posterior.mean + _OPTIMISM * known.posterior.deviation, known)


def uniform(known: Choosing) -> int:
    """The source with the fewest runs, best first among these."""
    fewest = known.counts == known.counts[known.may_run].min()
    return _best(np.where(fewest, known.posterior.mean, -np.inf), known)


def at_random(known: Choosing) -> int:
    """Any source."""
    return int(known.draw.choice(np.flatnonzero(known.may_run)))


POLICIES: Mapping[str, Policy] = {"kg": knowledge_gradient, "ucb": upper_bound, "uniform": uniform, "random": at_random}
DEFAULT_POLICY = "kg"


def _best(values: FloatArray, known: Choosing) -> int:
    """The first source with the highest value among those that may be run; equal values go to the higher mean."""
    usable = np.where(known.may_run, values, -np.inf)
    equal = usable >= usable.max() - 1e-15
    return int(np.argmax(np.where(equal, known.posterior.mean, -np.inf)))
