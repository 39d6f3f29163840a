"""Communities in a weighted directed graph, by greedy modularity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from taskweb.web.arrays import FloatArray

Labels = npt.NDArray[np.intp]
_LEAST_INCREASE = 1e-12  # of modularity


@dataclass(frozen=True, eq=False)
class Graph:
    """A weighted directed graph. weights: (givers, receivers), at least 0, of edges from one node to another.

    givers, receivers: the nodes that may have edges from them, and to them, ascending. nodes: how many there are.
    """

    weights: FloatArray
    givers: Labels
    receivers: Labels
    nodes: int

    @classmethod
    def of(cls, weights: FloatArray) -> Graph:
        """The graph of all nodes. weights: (nodes, nodes), from row to column."""
        return cls(weights, np.arange(len(weights)), np.arange(len(weights)), len(weights))

    @property
    def has_edges(self) -> bool:
        """Whether there is any edge."""
        return bool(self.weights.any())

    @cached_property
    def gains(self) -> FloatArray:
        """The part of each edge in modularity when both of its ends are in one community: (givers, receivers).

        Sums are taken over all nodes, so that rounding, and with it the choice among equal merges, is that of the whole matrix.
        """
        whole = self._whole(self.weights)
        shares = self.weights / whole.sum()
        gains: FloatArray = shares - np.outer(self._whole(shares).sum(axis=1)[self.givers], shares.sum(axis=0))
        return gains

    def _whole(self, weights: FloatArray) -> FloatArray:
        if weights.shape == (self.nodes, self.nodes):
            return weights
        whole = np.zeros((self.nodes, self.nodes))
        whole[self.givers[:, None], self.receivers] = weights
        return whole


def communities(graph: Graph) -> Labels:
    """The community of each node, numbered 0, 1, ... by first member; a node without edges is a community of its own.

    Starting from single nodes, the two communities whose union increases modularity most are merged, until none does; then
    single nodes move to where they increase it most. Deterministic: of equal choices the first is taken.
    """
    if not graph.has_edges:
        return np.arange(graph.nodes)
    pull = _Pull.of(graph)
    labels = _Merging(pull).labels()
    _move_nodes(pull, labels)
    return _numbered(labels)


def modularity(graph: Graph, labels: Labels) -> float:
    """Share of weight inside communities, minus the share expected from the nodes' in- and out-weights; NaN without edges."""
    if not graph.has_edges:
        return float("nan")
    return float(graph.gains[labels[graph.givers][:, None] == labels[graph.receivers]].sum())


def adjusted_rand(one: Sequence[int] | Labels, other: Sequence[int] | Labels) -> float:
    """Agreement of two groupings: 1 = equal, 0 = by chance; 1 where both are a single group or both are single items."""
    a, b = (np.unique(labels, return_inverse=True)[1] for labels in (one, other))
    if len(a) < 2:
        return float("nan")
    both = np.bincount(a * (b.max() + 1) + b)
    in_a, in_b, in_both = (int((sizes * (sizes - 1) // 2).sum()) for sizes in (np.bincount(a), np.bincount(b), both))
    expected = in_a * in_b / (len(a) * (len(a) - 1) // 2)
    most = (in_a + in_b) / 2
    return float((in_both - expected) / (most - expected)) if most != expected else 1.0


@dataclass(frozen=True, eq=False)
class _Pull:
    """By how much modularity grows if two nodes share a community: (hubs, nodes), 0 for a node and itself.

    hubs: the receivers, or the givers if they are fewer; two nodes that are no hubs do not pull each other. outside: the rest.
    by_node: the same numbers as (nodes, hubs).
    """

    by_hub: FloatArray
    by_node: FloatArray
    hubs: Labels
    outside: Labels
    nodes: int

    @classmethod
    def of(cls, graph: Graph) -> _Pull:
        """The pulls in a graph with edges."""
        gains, others, hubs = graph.gains, graph.givers, graph.receivers
        if len(others) < len(hubs):
            gains, others, hubs = gains.T, hubs, others
        pull = np.zeros((len(hubs), graph.nodes))
        pull[:, others] = gains.T
        _, in_others, in_hubs = np.intersect1d(others, hubs, return_indices=True)
        pull[in_hubs[:, None], hubs] += gains[in_others]
        pull[np.arange(len(hubs)), hubs] = 0.0
        return cls(pull, np.ascontiguousarray(pull.T), hubs, np.setdiff1d(np.arange(graph.nodes), hubs), graph.nodes)


class _Merging:
    """Merges of the two communities that increase modularity most, until none does.

    A community with a hub has a row of `inside`, its increase with others, and of `away`, its increase with nodes that are no
    hubs and in no such community, which are `outside`. Two of the latter never merge, and one that joins a community does not
    change `away`; so only the best place of each is looked for, and only again when two communities with hubs have merged.
    """

    def __init__(self, pull: _Pull) -> None:
        self.inside = pull.by_hub[:, pull.hubs]
        np.fill_diagonal(self.inside, -np.inf)
        self.away, self.outside = pull.by_hub[:, pull.outside], pull.outside
        self.first = pull.hubs.copy()  # the first member of each row's community
        self.row = np.full(pull.nodes, -1)
        self.row[pull.hubs] = np.arange(len(pull.hubs))
        self.mixed = bool(len(self.outside))  # rows may come out of the order of their first members
        self._rank_outside()

    def labels(self) -> Labels:
        """Merge all, and label each node by the first member of its community."""
        while self._merge():
            pass
        labels = np.arange(len(self.row))
        labels[self.row >= 0] = self.first[self.row[self.row >= 0]]
        return labels

    def _rank_outside(self) -> None:
        """The nodes outside by how much their best community gains by them."""
        self.best = self.away.max(axis=0, initial=-np.inf)
        self.queue = np.argsort(-self.best, kind="stable").tolist()
        self.ranked = self.best[self.queue].tolist()
        self.place = self.away.argmax(axis=0) if self.away.size else np.zeros(0, np.intp)
        self.several = (self.away == self.best).sum(axis=0) > 1
        self.next = 0

    def _merge(self) -> bool:
        row, column = divmod(int(self.inside.argmax()), len(self.inside))
        within = float(self.inside[row, column])
        alone = self.ranked[self.next] if self.next < len(self.ranked) else -np.inf
        most = max(within, alone)
        if not most > _LEAST_INCREASE:
            return False
        if self.mixed and self._has_ties(most, within, alone):
            row, column = self._first_of(most)
        elif alone > within:
            column = self.queue[self.next]
            row, column = int(self.place[column]), -1 - column
        self._take(row, -1 - column) if column < 0 else self._unite(row, column)
        return True

    def _has_ties(self, most: float, within: float, alone: float) -> bool:
        """Whether the best choice may not be the only one, or not the first in `inside`."""
        if within == most:
            return alone == most or bool(np.count_nonzero(self.inside == most) > 2)
        after = self.ranked[self.next + 1] if self.next + 1 < len(self.ranked) else -np.inf
        return alone == after or bool(self.several[self.queue[self.next]])

    def _first_of(self, most: float) -> tuple[int, int]:
        """Of the merges with an equal increase, the one with the first node, and then with the first other node."""
        waiting = np.array(self.queue[self.next :], np.intp)
        rows, columns = np.nonzero(self.inside == most)
        own, places = np.nonzero(self.away[:, waiting] == most)
        pairs = [*zip(self.first[rows], self.first[columns], strict=True)]
        pairs += zip(self.first[own], self.outside[waiting[places]], strict=True)
        which = [*zip(rows.tolist(), columns.tolist(), strict=True)]
        which += zip(own.tolist(), (-1 - waiting[places]).tolist(), strict=True)
        return min(zip(pairs, which, strict=True), key=lambda one: sorted(one[0]))[1]

    def _take(self, row: int, column: int) -> None:
        """A node from outside joins a community."""
        if self.queue[self.next] != column:
            at = self.queue.index(column, self.next)
            self.queue.insert(self.next, self.queue.pop(at))
        self.next += 1
        self.row[self.outside[column]] = row
        self.first[row] = min(self.first[row], self.outside[column])
        self._add(row, self.away[:, column])

    def _unite(self, row: int, column: int) -> None:
        """Two communities with hubs merge."""
        row, column = (row, column) if self.first[row] < self.first[column] else (column, row)
        self.row[self.row == column] = row
        self._add(row, self.inside[column])
        self.inside[column] = self.inside[:, column] = -np.inf
        if self.next < len(self.queue):
            left = np.sort(np.array(self.queue[self.next :], np.intp))
            self.outside, self.away = self.outside[left], self.away[:, left]
            self.away[row] += self.away[column]
            self.away[column] = -np.inf
            self._rank_outside()

    def _add(self, row: int, pull: FloatArray) -> None:
        self.inside[row] += pull
        self.inside[:, row] = self.inside[row]
        self.inside[row, row] = -np.inf


def _move_nodes(pull: _Pull, labels: Labels) -> None:
    """Move single nodes to where they increase modularity most, one after the other, until none moves."""
    everyone = np.arange(pull.nodes)
    linked = np.flatnonzero(pull.by_node.any(axis=1))
    slot = np.full(pull.nodes, -1)
    slot[pull.hubs] = np.arange(len(pull.hubs))
    towards = np.zeros((pull.nodes, pull.nodes))  # from the community of each label to each node

    def set_pull(label: int) -> None:
        members = np.flatnonzero(labels == label)
        own = slot[members]
        towards[label] = np.add.reduce(pull.by_hub[own[own >= 0]], axis=0)
        towards[label, pull.hubs] = np.add.reduce(pull.by_node[members], axis=0)

    for label in np.unique(labels[linked]).tolist():
        set_pull(label)
    start, moved = 0, False
    while True:
        used = np.bincount(labels[linked], minlength=pull.nodes) > 0
        used[int(used.argmin())] = True  # a label of no node, or of nodes without edges: a community of one's own
        places = np.flatnonzero(used)
        best = places[towards[places].argmax(axis=0)]
        wish = towards[best, everyone] > towards[labels, everyone] + _LEAST_INCREASE
        ahead = np.flatnonzero(wish[start:])
        if len(ahead):
            node = start + int(ahead[0])
            left, labels[node] = int(labels[node]), best[node]
            set_pull(left)
            set_pull(int(labels[node]))
            start, moved = node + 1, True
        elif moved:
            start, moved = 0, False
        else:
            return


def _numbered(labels: Labels) -> Labels:
    order = {label: i for i, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()], dtype=np.intp)
