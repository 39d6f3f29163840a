"""Which runs of a whole web to make next: those that say most about rankings for targets that no run has been made of.

The gain of source s on target t, in units of how much the target's gains differ, is taken to be

    level(t) + popularity(s) + interaction(s, t) + rest(s, t),   a run of it = gain + noise

The interaction varies smoothly over texts: its covariance is the product of the similarity of the sources and that of the
targets. All parts are Gaussian with fixed variances, so what a run is worth follows from linear algebra and not from results. A
target that is unseen has the text of one of the web's tasks, and no runs: its sources are ranked by popularity and interaction,
without level and rest. A run is worth the variance that it removes from the differences of sources for such targets, per second
(an I-optimal design, greedy). A second run of a pair says nothing of its rest, which differs from pair to pair. So every pair
is run once before any is repeated; then a target is repeated with all its sources, whose runs share a baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError
from taskweb.selectors.base import FloatArray

BoolArray = npt.NDArray[np.bool_]
Criterion = Literal["unseen", "information"]

# Of the published web, medians over setups, in units of the variance of a target's gains over sources.
POPULARITY, INTERACTION, REST, LEVEL = 0.25, 0.35, 0.35, 1.0
NOISE = 0.6
_NOISE_WEIGHT = 10.0  # repeated runs that the noise above counts as, beside a target's own
_MOST_FEATURES = 64  # of the interaction
_PAIRS_AT_ONCE = 1000  # one pair is chosen at a time for each so many pairs of the web


@dataclass(frozen=True, slots=True, eq=False)
class WebTasks:
    """What is known of a web before any run.

    possible: which pairs may be run, (targets, sources). source_similarity, target_similarity: covariances with 1 on the
    diagonal, (sources, sources) and (targets, targets); `text_kernel` makes them, the identity says that nothing is known.
    """

    possible: BoolArray = field(repr=False)
    source_similarity: FloatArray = field(repr=False)
    target_similarity: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        targets, sources = self.possible.shape
        shapes = (self.target_similarity.shape, self.source_similarity.shape)
        if shapes != ((targets, targets), (sources, sources)):
            needed = f"{(targets, targets)} and {(sources, sources)}"
            raise ParameterError(f"Similarities must have the shapes {needed}. Got {shapes[0]} and {shapes[1]}.")


@dataclass(frozen=True, slots=True, eq=False)
class RunCosts:
    """Seconds. run: of a target, (targets,); baseline: of one, (targets,); source: to train one, (sources,)."""

    run: FloatArray
    baseline: FloatArray
    source: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class WebProgress:
    """What was done so far. runs: (targets, sources, seeds); baselines: (targets, seeds); trained: (sources, seeds)."""

    runs: BoolArray
    baselines: BoolArray
    trained: BoolArray

    @classmethod
    def none(cls, possible: BoolArray, seeds: int) -> WebProgress:
        """Before the first run."""
        shapes = ((*possible.shape, seeds), (possible.shape[0], seeds), (possible.shape[1], seeds))
        return cls(*(np.zeros(shape, dtype=bool) for shape in shapes))


@dataclass(frozen=True, slots=True)
class ChosenRun:
    """A run to make, by its places among targets, sources and seeds. cost: seconds, baseline and source training included."""

    target: int
    source: int
    seed: int
    cost: float


def text_kernel(means: FloatArray) -> FloatArray:
    """The similarity of tasks by the mean vectors of their texts, (tasks, dimension) -> (tasks, tasks), 1 on the diagonal.

    A Gaussian kernel of the distance of their directions from the mean of all tasks, as wide as the median distance.
    """
    centred = means - means.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(length > 0, length, 1.0)
    squares = (unit**2).sum(axis=1)
    distance = np.maximum(0.0, squares[:, None] + squares - 2.0 * unit @ unit.T)
    np.fill_diagonal(distance, 0.0)
    others = distance[~np.eye(len(means), dtype=bool)]
    middle = float(np.median(others)) if others.size else 0.0
    return np.asarray(np.exp(-distance / middle)) if middle > 0 else np.ones(distance.shape)


def noise_of_runs(gains: FloatArray) -> FloatArray:
    """The variance of a run over seeds in units of the variance of its target's gains, (targets,), from runs made so far.

    gains: (targets, sources, seeds), NaN where there is no run. What runs of a seed share is left out: they share a baseline.
    The fewer repeated runs a target has, the nearer its noise is to that of the published web.
    """
    known = np.isfinite(gains)
    count = known.sum(axis=2)
    values = np.where(known, gains, 0.0)
    middle = values.sum(axis=2) / np.maximum(count, 1)
    away = np.where(known & (count > 1)[..., None], gains - middle[..., None], 0.0)
    repeated = (known & (count > 1)[..., None]).sum(axis=1)
    away -= np.where(known & (count > 1)[..., None], (away.sum(axis=1) / np.maximum(repeated, 1))[:, None], 0.0)
    free = np.maximum(0, (count - 1).clip(0).sum(axis=1) - (repeated > 0).sum(axis=1) + 1) * (count > 1).any(axis=1)
    within = (away**2).sum(axis=(1, 2)) / np.maximum(free, 1)
    pairs = (count > 0).sum(axis=1)
    mean = np.where(count > 0, middle, 0.0).sum(axis=1) / np.maximum(pairs, 1)
    spread = np.where(count > 0, (middle - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(pairs - 1, 1)
    ratio = np.divide(within, spread, out=np.full(len(spread), NOISE), where=spread > 0)
    return np.asarray((free * ratio + _NOISE_WEIGHT * NOISE) / (free + _NOISE_WEIGHT))


def chosen_runs(
    tasks: WebTasks,
    costs: RunCosts,
    progress: WebProgress,
    noise: FloatArray | None = None,
    *,
    criterion: Criterion = "unseen",
) -> Iterator[ChosenRun]:
    """The runs to make, the most valuable per second first, until none is left; take as many as the budget allows.

    noise: variance of a run of each target (`noise_of_runs`), (targets,); that of the published web if None. criterion: what
    `unseen` is stands above; `information` about all parts together is a D-optimal design, which repeats where it likes, to
    compare with.
    """
    state = _Design(tasks, costs, progress, np.full(len(tasks.possible), NOISE) if noise is None else noise, criterion)
    while (units := state.next_units()) is not None:
        yield from state.take(units)


class _Design:
    """Parts of gains as a linear model: features of pairs, and the covariance of their weights after the runs so far.

    reach: features x covariance, (pairs, features); seen: the same x the Gram matrix of unseen targets.
    """

    def __init__(
        self, tasks: WebTasks, costs: RunCosts, progress: WebProgress, noise: FloatArray, criterion: Criterion
    ) -> None:
        self._targets, self._sources = tasks.possible.shape
        self._costs, self._criterion = costs, criterion
        self._possible = tasks.possible.ravel()
        self._target, self._source = (part.ravel() for part in np.indices(tasks.possible.shape))
        features, lost, levels = _features(tasks)
        self._gram = _gram_of_unseen(features, levels)
        self._features = features.reshape(-1, features.shape[-1])
        self._rest, self._noise = REST + lost.ravel(), noise[self._target]
        self._runs = progress.runs.reshape(len(self._target), -1).copy()
        self._baselines, self._trained = progress.baselines.copy(), progress.trained.copy()
        self._reach = self._features.copy()
        self._seen = self._reach @ self._gram
        self._at_once = 1 + int(self._possible.sum()) // _PAIRS_AT_ONCE
        weight = self._precision(self._count)
        done = np.flatnonzero(weight > 0)
        for pairs in np.array_split(done, max(1, len(done) // 64)):
            self._condition(pairs, weight[pairs])

    @property
    def _count(self) -> npt.NDArray[np.int64]:
        return np.asarray(self._runs.sum(axis=1))

    def next_units(self) -> list[npt.NDArray[np.int64]] | None:
        """The pairs to run next, in units that are taken together; None where all was done."""
        left = self._possible & ~self._runs.all(axis=1)
        if not left.any():
            return None
        count = self._count
        value = np.where(left, self._value(count), 0.0)
        if self._criterion == "unseen" and not (left & (count == 0)).any():
            return [self._best_target(value, left, count)]
        usable = left & (count == 0) if self._criterion == "unseen" else left
        return self._best_pairs(np.where(usable, value / self._cost_of_all(), -np.inf), int(usable.sum()))

    def take(self, units: list[npt.NDArray[np.int64]]) -> Iterator[ChosenRun]:
        """Note the runs of these pairs, each with its lowest seed that is left."""
        pairs = np.concatenate(units)
        before = self._precision(self._count[pairs], pairs)
        for pair in pairs.tolist():
            yield self._made(pair)
        self._condition(pairs, self._precision(self._count[pairs], pairs) - before)

    def _best_pairs(self, value: FloatArray, most: int) -> list[npt.NDArray[np.int64]]:
        """The best pairs, no two of them of one source or target."""
        found: list[int] = []
        order = np.argsort(-value, kind="stable")[: min(most, 1 if self._at_once == 1 else len(value))]
        targets, sources = set[int](), set[int]()
        for pair in order.tolist():
            target, source = int(self._target[pair]), int(self._source[pair])
            if target not in targets and source not in sources:
                found.append(pair)
                targets.add(target)
                sources.add(source)
            if len(found) == self._at_once:
                break
        return [np.array(found)]

    def _best_target(self, value: FloatArray, left: BoolArray, count: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The pairs of the best target that have the fewest runs."""
        best, chosen = -np.inf, np.empty(0, dtype=np.int64)
        cost = self._cost_of_all()
        for target in range(self._targets):
            pairs = np.flatnonzero(left & (self._target == target))
            if len(pairs):
                pairs = pairs[count[pairs] == count[pairs].min()]
                worth = float(value[pairs].sum() / cost[pairs].sum())
                if worth > best:
                    best, chosen = worth, pairs
        return chosen

    def _precision(self, count: npt.NDArray[np.int64], pairs: npt.NDArray[np.int64] | slice = slice(None)) -> FloatArray:
        """Of what is known of pairs from so many runs: 1 / variance about popularity, interaction and level; 0 without any."""
        variance = self._rest[pairs] + self._noise[pairs] / np.maximum(count, 1)
        return np.asarray(np.where(count > 0, 1.0 / variance, 0.0))

    def _value(self, count: npt.NDArray[np.int64]) -> FloatArray:
        """What one more run of each pair is worth."""
        more = self._precision(count + 1) - self._precision(count)
        own = more * np.einsum("pf,pf->p", self._reach, self._features)
        if self._criterion == "information":
            return np.asarray(np.log1p(own))
        return np.asarray(more * np.einsum("pf,pf->p", self._seen, self._reach) / (1.0 + own))

    def _cost_of_all(self) -> FloatArray:
        """Seconds of the next run of each pair, with its share of a baseline and of training a source where these are new."""
        seed = np.argmin(self._runs, axis=1)
        new_baseline = ~self._baselines[self._target, seed] / self._sources
        new_source = ~self._trained[self._source, seed] / self._targets
        return np.asarray(
            self._costs.run[self._target]
            + new_baseline * self._costs.baseline[self._target]
            + new_source * self._costs.source[self._source]
        )

    def _made(self, pair: int) -> ChosenRun:
        target, source, seed = int(self._target[pair]), int(self._source[pair]), int(np.argmin(self._runs[pair]))
        cost = float(self._costs.run[target])
        cost += float(self._costs.baseline[target]) * (not self._baselines[target, seed])
        cost += float(self._costs.source[source]) * (not self._trained[source, seed])
        self._runs[pair, seed] = self._baselines[target, seed] = self._trained[source, seed] = True
        return ChosenRun(target, source, seed, cost)

    def _condition(self, pairs: npt.NDArray[np.int64], precision: FloatArray) -> None:
        """Condition the weights of features on so much more precision about pairs."""
        reach = self._reach[pairs]
        inner = np.diag(1.0 / precision) + reach @ self._features[pairs].T
        moved = np.linalg.solve(inner, reach)
        towards = self._features @ reach.T
        self._reach -= towards @ moved
        self._seen -= towards @ (moved @ self._gram)


def _features(tasks: WebTasks) -> tuple[FloatArray, FloatArray, int]:
    """Features whose weights are standard normal: (targets, sources, features); what of the interaction they leave out; and
    how many at the end are of levels.
    """
    targets, sources = tasks.possible.shape
    of_source, of_target = (np.linalg.eigh(found) for found in (tasks.source_similarity, tasks.target_similarity))
    sizes = np.maximum(of_target.eigenvalues, 0.0)[:, None] * np.maximum(of_source.eigenvalues, 0.0)
    places = np.argsort(-sizes.ravel(), kind="stable")[:_MOST_FEATURES]
    row, column = np.unravel_index(places, sizes.shape)
    interaction = np.einsum("tf,sf->tsf", of_target.eigenvectors[:, row], of_source.eigenvectors[:, column])
    interaction = interaction * np.sqrt(INTERACTION * sizes.ravel()[places])
    lost = np.maximum(0.0, INTERACTION - (interaction**2).sum(axis=-1))
    popularity = np.broadcast_to(np.sqrt(POPULARITY) * np.eye(sources), (targets, sources, sources))
    level = np.broadcast_to(np.sqrt(LEVEL) * np.eye(targets)[:, None], (targets, sources, targets))
    return np.concatenate([interaction, popularity, level], axis=-1), lost, targets


def _gram_of_unseen(features: FloatArray, levels: int) -> FloatArray:
    """How much the covariance of two features counts in the differences of sources for unseen targets: (features, features)."""
    found = features.copy()
    found[..., found.shape[-1] - levels :] = 0.0
    found -= found.mean(axis=1, keepdims=True)
    flat = found.reshape(-1, found.shape[-1])
    return np.asarray(flat.T @ flat / len(flat))
