"""Which tasks belong together, by their transfers alone: an order for heatmaps, and communities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import ParameterError
from taskweb.web.analysis.communities import Graph, Labels, adjusted_rand, communities, modularity
from taskweb.web.analysis.estimate import Estimate, plain_result
from taskweb.web.analysis.leaf_order import Merge, average_linkage, optimal_order
from taskweb.web.analysis.nulls import NULL_MODELS, POPULARITY, SIGNIFICANT, one_sided_p
from taskweb.web.analysis.square import TaskSquare, square_of
from taskweb.web.arrays import BoolArray, FloatArray, known_mean, nan_mean
from taskweb.web.bootstrap import percentile_interval, resample_counts
from taskweb.web.transfer_web import TransferWeb

STRONG_QUANTILE = 0.75
RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class ByChance:
    """Modularity of webs of a null model: mean, 95% range, and the one-sided p-value of the observed one."""

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Community:
    """Tasks with strong gains from one another.

    held_together: how often two of them share a community when setups are resampled, in [0, 1]; NaN with one setup or task.
    """

    tasks: tuple[str, ...]
    held_together: float


@dataclass(frozen=True, slots=True)
class Structure:
    """Structure of the T averaged over setups.

    order: tasks, similar ones next to each other. merges: the tree of that order; leaves are positions in `tasks`.
    communities: groups of tasks, largest first, in the graph of transfers above `threshold`, weighted by T; `alone`: tasks
    without such a transfer. modularity: of these communities, in [-0.5, 1]. by_chance: the same in three null models (see
    `Transitivity`). stability: adjusted Rand index of the communities with those of resampled setups, mean and 95% interval.
    """

    tasks: tuple[str, ...]
    order: tuple[str, ...]
    merges: tuple[Merge, ...]
    threshold: float
    edges: int
    communities: tuple[Community, ...]
    alone: tuple[str, ...]
    modularity: float
    by_chance: dict[str, ByChance]
    stability: Estimate
    notes: tuple[str, ...] = ()

    @property
    def strictest(self) -> ByChance:
        """The null model that explains the modularity best, of those with effects of both sources and targets."""
        both = [chance for name, chance in self.by_chance.items() if name != POPULARITY]
        return max(both, key=lambda chance: (np.nan_to_num(chance.p, nan=2.0), chance.mean))

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if not np.isfinite(self.modularity):
            return "Communities are unknown: no transfer is strong and positive."
        chance = self.strictest
        figures = f"modularity {self.modularity:.2f}"
        if np.isfinite(chance.mean):
            figures += f", by chance {chance.mean:.2f} ({chance.low:.2f} to {chance.high:.2f})"
        number = f"{len(self.communities)} communit{'y' if len(self.communities) == 1 else 'ies'}"
        if np.isfinite(chance.p) and chance.p < SIGNIFICANT:
            return f"Strong transfers fall into {number}, more clearly than the strengths of single tasks explain: {figures}."
        return f"Strong transfers fall into {number}, no more clearly than by chance: {figures}."

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return plain_result(self)


def structure(
    web: TransferWeb,
    seed: int = 0,
    *,
    quantile: float = STRONG_QUANTILE,
    resamples: int = RESAMPLES,
    permutations: int = RESAMPLES,
) -> Structure:
    """Order the tasks of a web and find its communities. quantile: of all T; a transfer above it, and above 0, is strong.

    Raises ParameterError for a quantile outside [0, 1].
    """
    if not 0 <= quantile <= 1:
        raise ParameterError(f"The 'quantile' parameter must be from 0 to 1. Got {quantile} instead.")
    square = square_of(web)
    mean = square.mean
    block = _Block.of(square.t)
    graph = block.graph(mean[block.at], quantile)
    labels = communities(graph)
    observed = modularity(graph, labels)
    notes = list(square.notes)
    if not graph.has_edges:
        notes.append("no transfer is above 0 and above the threshold, so there are no communities")
    if len(square.setups) < 2:
        notes.append("stability needs two setups or more")
    by_chance = {}
    for i, (name, null) in enumerate(NULL_MODELS.items()):
        stream, draw = np.random.default_rng((seed, i)), null(block.t, block.keys)
        webs = (draw(stream) for _ in range(permutations if graph.has_edges else 0))
        drawn = np.array([_modularity_of(block.graph(block.mean(t), quantile)) for t in webs])
        low, high = percentile_interval(drawn) if len(drawn) > 1 else (np.nan, np.nan)
        by_chance[name] = ByChance(float(nan_mean(drawn, axis=0)), float(low), float(high), one_sided_p(observed, drawn))
    again = _resampled(block, quantile, seed, resamples if graph.has_edges else 0)
    order, merges = similar_tasks_adjacent(mean)
    linked = np.zeros(len(square.tasks), bool)
    linked[graph.givers[graph.weights.any(axis=1)]] = linked[graph.receivers[graph.weights.any(axis=0)]] = True
    return Structure(
        square.tasks,
        tuple(square.tasks[i] for i in order),
        tuple(merges),
        _threshold(mean, quantile),
        int((graph.weights > 0).sum()),
        _described(square, linked, labels, again),
        tuple(task for task, joined in zip(square.tasks, linked.tolist(), strict=True) if not joined),
        observed,
        by_chance,
        _stability(labels, again),
        tuple(notes),
    )


def similar_tasks_adjacent(t: FloatArray) -> tuple[list[int], list[Merge]]:
    """An order of tasks in which similar ones are neighbours, those that give more first, and the tree that it is from.

    t: (source, target), NaN where a pair was not measured.
    """
    distance = profile_distance(t)
    merges = average_linkage(distance)
    return _best_givers_first(optimal_order(distance, merges), t), merges


def profile_distance(t: FloatArray) -> FloatArray:
    """How differently two tasks give and receive: (tasks, tasks), at least 0.

    t: (source, target). T is first divided by the root mean square of its target, so that all targets have equal weight.
    The distance is the root mean square difference over the tasks that both were measured with, as sources and as targets; two
    tasks with no such task in common get the largest distance of all.
    """
    size = np.sqrt(nan_mean(t**2, axis=0))
    scaled = np.divide(t, size, out=np.where(np.isfinite(t), 0.0, np.nan), where=np.isfinite(t) & (size > 0))
    profiles = np.concatenate([scaled, scaled.T], axis=1)
    squares = np.zeros(t.shape)
    for i, one in enumerate(profiles):
        own = np.isfinite(one)  # of a task that is only a source, few
        squares[i] = nan_mean((profiles[:, own] - one[own]) ** 2, axis=1)
    distance = np.sqrt((squares + squares.T) / 2)
    np.fill_diagonal(distance, 0.0)
    furthest = distance[np.isfinite(distance)].max(initial=0.0)
    return np.where(np.isfinite(distance), distance, furthest if furthest > 0 else 1.0) * (1 - np.eye(len(t)))


def _threshold(t: FloatArray, quantile: float) -> float:
    measured = t[np.isfinite(t)]
    return max(0.0, float(np.quantile(measured, quantile))) if len(measured) else float("nan")


@dataclass(frozen=True, eq=False)
class _Block:
    """The measured part of T, without tasks that are no source or no target. t: (setups, sources, targets).

    known: where it is measured. setups: by how many, (sources, targets).
    """

    tasks: int
    sources: Labels
    targets: Labels
    t: FloatArray
    known: BoolArray
    setups: npt.NDArray[np.integer]

    @classmethod
    def of(cls, t: FloatArray) -> _Block:
        """t: (setups, source, target), of all tasks."""
        measured = np.asarray(np.isfinite(t).any(axis=0))
        sources, targets = np.flatnonzero(measured.any(axis=1)), np.flatnonzero(measured.any(axis=0))
        part = t[:, sources[:, None], targets]
        known = np.isfinite(part)
        return cls(len(measured), sources, targets, part, known, known.sum(axis=0))

    @property
    def at(self) -> tuple[Labels, Labels]:
        """Where the block stands in a matrix of all tasks."""
        return self.sources[:, None], self.targets

    def keys(self, stream: np.random.Generator) -> FloatArray:
        """The block's part of random numbers for all pairs of tasks."""
        drawn: FloatArray = stream.random((self.tasks, self.tasks))[self.at]
        return drawn

    def mean(self, t: FloatArray) -> FloatArray:
        """T of the block's shape and pattern, averaged over the setups that measured the pair."""
        return known_mean(t, self.known, self.setups)

    def graph(self, mean: FloatArray, quantile: float) -> Graph:
        """The graph of strong transfers. mean: (sources, targets)."""
        strong = np.where(mean > _threshold(mean, quantile), mean, 0.0)
        return Graph(strong, self.sources, self.targets, self.tasks)


def _modularity_of(graph: Graph) -> float:
    return modularity(graph, communities(graph))


def _resampled(block: _Block, quantile: float, seed: int, resamples: int) -> list[Labels]:
    """Communities when setups are resampled with replacement."""
    if len(block.t) < 2:  # nothing to draw from
        return []
    times = resample_counts(len(block.t), resamples=resamples, seed=seed)
    finite = block.known
    filled = np.where(finite, block.t, 0.0)
    found = []
    for weights in times:
        count, total = np.tensordot(weights, finite, 1), np.tensordot(weights, filled, 1)
        t = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        found.append(communities(block.graph(t, quantile)))
    return found


def _stability(labels: Labels, again: list[Labels]) -> Estimate:
    values = np.array([adjusted_rand(labels, other) for other in again])
    if len(values) < 2 or not np.isfinite(values).any():
        return Estimate(float("nan"))
    low, high = percentile_interval(values)
    return Estimate(float(nan_mean(values, axis=0)), float(low), float(high))


def _described(square: TaskSquare, linked: BoolArray, labels: Labels, again: list[Labels]) -> tuple[Community, ...]:
    groups = [np.flatnonzero(labels == label) for label in range(labels.max(initial=-1) + 1)]
    described = []
    for members in sorted(groups, key=lambda group: (-len(group), group[0])):
        if not linked[members].any():
            continue
        size = len(members)
        sizes = [np.bincount(other[members]) for other in again if size > 1]
        shares = [float((each * (each - 1)).sum() / (size * (size - 1))) for each in sizes]
        described.append(Community(tuple(square.tasks[i] for i in members), float(np.mean(shares)) if shares else float("nan")))
    return tuple(described)


def _best_givers_first(order: list[int], t: FloatArray) -> list[int]:
    """Reverse the order if the second half gives more as sources than the first."""
    gives = np.nan_to_num(nan_mean(t, axis=1))
    half = len(order) // 2
    return order if gives[order[:half]].sum() >= gives[order[len(order) - half :]].sum() else order[::-1]
