"""Communities by modularity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.web.analysis.communities import Graph, adjusted_rand, communities, modularity


def groupings(n: int) -> list[list[int]]:
    """Every way to group n things."""
    found = [[]]
    for _ in range(n):
        found = [[*g, label] for g in found for label in range(max(g, default=-1) + 2)]
    return found


def modularity_by_hand(weights: np.ndarray, labels: list[int]) -> float:
    total = weights.sum()
    return sum(
        weights[i, j] / total - weights[i].sum() * weights[:, j].sum() / total**2
        for i in range(len(weights))
        for j in range(len(weights))
        if labels[i] == labels[j]
    )


@given(st.integers(0, 1000), st.integers(3, 6))
@settings(max_examples=25, deadline=None)
def test_communities_come_near_the_best_of_all_groupings(seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    weights = draw.random((n, n)) * (draw.random((n, n)) < 0.5)
    np.fill_diagonal(weights, 0.0)
    labels = communities(Graph.of(weights))
    if not weights.any():
        assert labels.tolist() == list(range(n))
        return
    found = modularity(Graph.of(weights), labels)
    assert found == pytest.approx(modularity_by_hand(weights, labels.tolist()))
    best = max(modularity_by_hand(weights, grouping) for grouping in groupings(n))
    assert best - 0.12 <= found <= best + 1e-12


def greedy_by_hand(weights: np.ndarray) -> list[int]:
    """Merge the first best of all pairs in the matrix of all nodes, then move node after node."""
    shares = weights / weights.sum()
    gain = shares - np.outer(shares.sum(axis=1), shares.sum(axis=0))
    between, pull = gain + gain.T, gain + gain.T
    np.fill_diagonal(between, -np.inf)
    np.fill_diagonal(pull, 0.0)
    labels = np.arange(len(weights))
    while (best := between.max()) > 1e-12:
        i, j = sorted(np.argwhere(between == best)[0].tolist())
        labels[labels == j] = i
        between[i] += between[j]
        between[:, i] = between[i]
        between[i, i] = between[j] = between[:, j] = -np.inf
    moved = True
    while moved:
        moved = False
        for node in range(len(labels)):
            towards = np.bincount(labels, weights=pull[node], minlength=len(labels))
            if towards.max() > towards[labels[node]] + 1e-12:
                labels[node], moved = int(towards.argmax()), True
    names = list(dict.fromkeys(labels.tolist()))
    return [names.index(label) for label in labels.tolist()]


@given(st.integers(0, 10_000), st.sampled_from(["real", "ties", "equal"]))
@settings(max_examples=150, deadline=None)
def test_a_graph_of_few_givers_or_receivers_has_the_communities_of_its_whole_matrix(seed: int, kind: str) -> None:
    draw = np.random.default_rng(seed)
    n = int(draw.integers(3, 14))
    givers, receivers = (np.sort(draw.choice(n, draw.integers(1, n + 1), replace=False)) for _ in range(2))
    shape = len(givers), len(receivers)
    weights = {"real": draw.random(shape), "ties": draw.integers(0, 3, shape) * 1.0, "equal": np.ones(shape)}[kind]
    weights *= (draw.random(shape) < draw.random()) & (givers[:, None] != receivers)
    whole = np.zeros((n, n))
    whole[givers[:, None], receivers] = weights
    if whole.any():
        assert communities(Graph(weights, givers, receivers, n)).tolist() == greedy_by_hand(whole)


def test_two_cliques_are_two_communities() -> None:
    weights = np.kron(np.eye(2), np.ones((4, 4)))
    weights[0, 5] = 0.5
    assert communities(Graph.of(weights)).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_an_empty_graph_has_no_modularity() -> None:
    empty = Graph.of(np.zeros((3, 3)))
    assert np.isnan(modularity(empty, communities(empty)))


def test_the_rand_index_is_adjusted_for_chance() -> None:
    assert adjusted_rand([0, 0, 1, 1], [5, 5, 2, 2]) == 1.0
    assert adjusted_rand([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(-0.5)
    assert adjusted_rand([0, 0, 0], [1, 1, 1]) == 1.0
    assert np.isnan(adjusted_rand([0], [0]))
    draw = np.random.default_rng(0)
    by_chance = [adjusted_rand(draw.integers(0, 3, 30), draw.integers(0, 3, 30)) for _ in range(200)]
    assert abs(np.mean(by_chance)) < 0.02
