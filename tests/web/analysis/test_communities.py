"""Communities by modularity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.web.analysis.communities import adjusted_rand, communities, modularity


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
    labels = communities(weights)
    if not weights.any():
        assert labels.tolist() == list(range(n))
        return
    found = modularity(weights, labels)
    assert found == pytest.approx(modularity_by_hand(weights, labels.tolist()))
    best = max(modularity_by_hand(weights, grouping) for grouping in groupings(n))
    assert best - 0.12 <= found <= best + 1e-12


def test_two_cliques_are_two_communities() -> None:
    weights = np.kron(np.eye(2), np.ones((4, 4)))
    weights[0, 5] = 0.5
    assert communities(weights).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_an_empty_graph_has_no_modularity() -> None:
    assert np.isnan(modularity(np.zeros((3, 3)), communities(np.zeros((3, 3)))))


def test_the_rand_index_is_adjusted_for_chance() -> None:
    assert adjusted_rand([0, 0, 1, 1], [5, 5, 2, 2]) == 1.0
    assert adjusted_rand([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(-0.5)
    assert adjusted_rand([0, 0, 0], [1, 1, 1]) == 1.0
    assert np.isnan(adjusted_rand([0], [0]))
    draw = np.random.default_rng(0)
    by_chance = [adjusted_rand(draw.integers(0, 3, 30), draw.integers(0, 3, 30)) for _ in range(200)]
    assert abs(np.mean(by_chance)) < 0.02
