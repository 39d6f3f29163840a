"""Which source to run next on the target: by how much a run is expected to improve the decision.

The decision is which k sources to train on, and which of them comes first: its value is the mean over the gains of the best k,
where the first counts twice. A run of a source is worth what the decision is expected to gain from its result (the knowledge
gradient), per cost. What results there may be, and how the means of all sources would move, follows exactly from the posterior:
from its covariance, its scales and noises, and the baseline that the run is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError
from taskweb.selectors.base import FloatArray
from taskweb.selectors.gain_parts import Parts
from taskweb.selectors.posterior import Posterior

DEFAULT_K = 5
FIRST_COUNTS = 2.0
_RESULTS = np.linspace(-4.0, 4.0, 21)  # of a run that are looked at, in standard deviations about what is expected
_AT_ONCE = 64  # sources whose results are looked at together, to bound memory
_OPTIMISM = 2.0  # standard deviations above the mean, of the policy `ucb`
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


def decision_weights(k: int, sources: int, first: float = FIRST_COUNTS) -> FloatArray:
    """How much each of the best k sources counts, (min(k, sources),): the first `first` times, others once; they sum to 1."""
    if k < 1:
        raise ParameterError(f"The number of sources to decide on must be 1 or more. Got {k} instead.")
    weights: FloatArray = np.ones(min(k, sources))
    weights[0] = first
    weights /= weights.sum()
    return weights


def improvements(posterior: Posterior, seeds: Sequence[int], weights: FloatArray) -> FloatArray:
    """By how much one further run of each source is expected to improve the decision: (sources,), fractions of the score.

    seeds: the seed that the run of each source would have. weights: as `decision_weights`.
    """
    parts = posterior.parts.with_seeds(seeds)
    first = len(posterior.sources)
    shared = np.array([first + parts.seeds.index(seed) for seed in seeds], dtype=int)
    found = [
        _improvements(parts, np.arange(start, min(start + _AT_ONCE, first)), shared[start : start + _AT_ONCE], weights, first)
        for start in range(0, first, _AT_ONCE)
    ]
    return np.concatenate(found)


def _improvements(parts: Parts, run: IntArray, shared: IntArray, weights: FloatArray, sources: int) -> FloatArray:
    """For runs of the sources `run`, whose seeds have the places `shared`."""
    each = np.arange(len(run))
    seeds, which = np.unique(shared, return_inverse=True)
    reach = parts.columns(run) + parts.columns(seeds)[:, :, which]
    variance = reach[:, run, each] + reach[:, shared, each] + parts.noise[:, None]
    expected = parts.mean[:, run] + parts.mean[:, shared]
    middle = parts.weights @ expected
    spread = np.sqrt(parts.weights @ (variance + (expected - middle) ** 2))
    away = (middle[:, None] + spread[:, None] * _RESULTS) - expected[:, :, None]  # parts x runs x results
    chance = (parts.weights[:, None] / np.sqrt(variance))[:, :, None] * np.exp(-0.5 * away**2 / variance[:, :, None])
    result, chance = chance.sum(axis=0), chance / np.maximum(chance.sum(axis=0), 1e-300)
    result /= result.sum(axis=1, keepdims=True)
    means = np.einsum("prz,ps->srz", chance, parts.mean[:, :sources], optimize=True)
    means += np.einsum("prz,psr->srz", chance * away / variance[:, :, None], reach[:, :sources], optimize=True)
    decided, before = _decided(means, weights), _decided((means * result).sum(axis=-1), weights)
    return np.asarray(np.maximum((decided * result).sum(axis=-1) - before, 0.0))


def _decided(means: FloatArray, weights: FloatArray) -> FloatArray:
    """The value of the best decision for expected gains whose first axis is sources."""
    k = len(weights)
    best = -np.sort(np.partition(-means, k - 1, axis=0)[:k], axis=0)
    found: FloatArray = np.tensordot(weights, best, axes=1)
    return found


def left_to_gain(posterior: Posterior, k: int = DEFAULT_K) -> float:
    """What the decision would gain on average if all gains were known exactly, as a fraction of the target's score."""
    weights = decision_weights(k, len(posterior.mean))
    best = -np.sort(-posterior.draws, axis=1)[:, : len(weights)]
    chosen = posterior.draws[:, np.argsort(-posterior.mean)[: len(weights)]]
    return max(0.0, float(((best - chosen) @ weights).mean()))


@dataclass(frozen=True, slots=True)
class Choosing:
    """What a policy knows when it chooses. may_run: sources that have a run left. counts: runs made of each source.

    seeds: the seed that the next run of each source would have. costs: of that run, in any unit.
    """

    posterior: Posterior
    may_run: BoolArray
    counts: IntArray
    seeds: Sequence[int]
    costs: FloatArray
    k: int
    draw: np.random.Generator


Policy = Callable[[Choosing], int]


def knowledge_gradient(known: Choosing, first: float = FIRST_COUNTS) -> int:
    """The source whose run improves the decision most per cost. first: as in `decision_weights`."""
    weights = decision_weights(known.k, len(known.counts), first)
    return _best(improvements(known.posterior, known.seeds, weights) / known.costs, known)


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
