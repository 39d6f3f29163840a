"""Communities in a weighted directed graph, by greedy modularity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from taskweb.web.arrays import FloatArray

Labels = npt.NDArray[np.intp]
_LEAST_INCREASE = 1e-12  # of modularity


def communities(weights: FloatArray) -> Labels:
    """The community of each node, numbered 0, 1, ... by first member; a node without edges is a community of its own.

    weights: (nodes, nodes) from row to column, at least 0. Starting from single nodes, the two communities whose union
    increases modularity most are merged, until none does; then single nodes move to where they increase it most.
    Deterministic: of equal choices the first is taken.
    """
    n = len(weights)
    labels = np.arange(n)
    if weights.sum() <= 0:
        return labels
    gain = _gains(weights)
    between = gain + gain.T
    np.fill_diagonal(between, -np.inf)
    while n > 1:
        i, j = sorted(divmod(int(np.argmax(between)), n))
        if not between[i, j] > _LEAST_INCREASE:
            break
        labels[labels == j] = i
        between[i] += between[j]
        between[:, i] = between[i]
        between[i, i] = -np.inf
        between[j], between[:, j] = -np.inf, -np.inf
    _move_nodes(gain, labels)
    return _numbered(labels)


def modularity(weights: FloatArray, labels: Labels) -> float:
    """Share of weight inside communities, minus the share expected from the nodes' in- and out-weights; NaN without edges."""
    if weights.sum() <= 0:
        return float("nan")
    return float(_gains(weights)[labels[:, None] == labels[None, :]].sum())


def adjusted_rand(one: Sequence[int] | Labels, other: Sequence[int] | Labels) -> float:
    """Agreement of two groupings: 1 = equal, 0 = by chance; 1 where both are a single group or both are single items."""
    a, b = np.asarray(one), np.asarray(other)
    same_a, same_b = a[:, None] == a[None, :], b[:, None] == b[None, :]
    upper = np.triu_indices(len(a), 1)
    in_a, in_b = same_a[upper], same_b[upper]
    if not len(in_a):
        return float("nan")
    expected = in_a.sum() * in_b.sum() / len(in_a)
    most = (in_a.sum() + in_b.sum()) / 2
    return float(((in_a & in_b).sum() - expected) / (most - expected)) if most != expected else 1.0


def _gains(weights: FloatArray) -> FloatArray:
    """The part of each edge in modularity when both of its ends are in one community: (nodes, nodes)."""
    shares = weights / weights.sum()
    gains: FloatArray = shares - np.outer(shares.sum(axis=1), shares.sum(axis=0))
    return gains


def _move_nodes(gain: FloatArray, labels: Labels) -> None:
    pull = gain + gain.T
    np.fill_diagonal(pull, 0.0)
    moved = True
    while moved:
        moved = False
        for node in range(len(labels)):
            by_community = np.bincount(labels, weights=pull[node], minlength=len(labels))
            best = int(np.argmax(by_community))
            if by_community[best] > by_community[labels[node]] + _LEAST_INCREASE:
                labels[node], moved = best, True


def _numbered(labels: Labels) -> Labels:
    order = {label: i for i, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()], dtype=np.intp)
