"""Average linkage, and the order of leaves that puts similar ones next to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taskweb.web.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Merge:
    """Two clusters merge at a height, their mean distance. Leaves are 0 to n - 1; the k-th merge makes cluster n + k."""

    left: int
    right: int
    height: float


def average_linkage(distance: FloatArray) -> list[Merge]:
    """Merge the two closest clusters until one is left; of equal distances the first. distance: (n, n) symmetric."""
    n = len(distance)
    apart = distance.astype(float).copy()
    np.fill_diagonal(apart, np.inf)
    names, sizes, merges = list(range(n)), np.ones(n), []
    for k in range(n - 1):
        i, j = sorted(divmod(int(np.argmin(apart)), n))
        merges.append(Merge(names[i], names[j], float(apart[i, j])))
        # Merged clusters are at distance infinity, and stay there.
        joined = (sizes[i] * apart[i] + sizes[j] * apart[j]) / (sizes[i] + sizes[j])
        apart[i], apart[:, i] = joined, joined
        apart[i, i] = np.inf
        apart[j], apart[:, j] = np.inf, np.inf
        names[i], sizes[i] = n + k, sizes[i] + sizes[j]
    return merges


def optimal_order(distance: FloatArray, merges: list[Merge]) -> list[int]:
    """The order of leaves, of those that the tree allows, with the least sum of distances between neighbours.

    Source: Bar-Joseph, Gifford and Jaakkola, Bioinformatics 17 (2001). It starts with the lower of its two ends.
    """
    n = len(distance)
    if n < 2:
        return list(range(n))
    leaves: list[npt.NDArray[np.intp]] = [np.array([i]) for i in range(n)]
    # costs[v][a, b]: least cost of v's leaves with the a-th at one end and the b-th at the other.
    costs: list[FloatArray] = [np.zeros((1, 1)) for _ in range(n)]
    for merge in merges:
        left, right = leaves[merge.left], leaves[merge.right]
        across = _cheapest(_cheapest(costs[merge.left], distance[np.ix_(left, right)]), costs[merge.right])
        size = len(left) + len(right)
        cost = np.full((size, size), np.inf)
        cost[: len(left), len(left) :], cost[len(left) :, : len(left)] = across, across.T
        leaves.append(np.concatenate([left, right]))
        costs.append(cost)

    def laid_out(node: int, first: int, last: int) -> list[int]:
        """Leaves of a node, from place `first` to place `last` of its list."""
        if node < n:
            return [node]
        merge = merges[node - n]
        a, b = merge.left, merge.right
        size = len(leaves[a])
        if first >= size:
            return laid_out(node, last, first)[::-1]
        total = costs[a][first][:, None] + distance[np.ix_(leaves[a], leaves[b])] + costs[b][:, last - size][None]
        inner, outer = divmod(int(np.argmin(total)), total.shape[1])
        return laid_out(a, first, inner) + laid_out(b, outer, last - size)

    root = len(leaves) - 1
    ends = divmod(int(np.argmin(costs[root])), n)
    order = laid_out(root, *ends)
    return order if order[0] < order[-1] else order[::-1]


def _cheapest(a: FloatArray, b: FloatArray) -> FloatArray:
    """Matrix product with sums in place of products, and minima in place of sums."""
    return np.array([(row[:, None] + b).min(axis=0) for row in a])
