"""Average linkage and the order of leaves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.web.analysis.leaf_order import Merge, average_linkage, optimal_order


def distances(n: int, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(n, 2))
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))


def orders_of(node: int, n: int, merges: list[Merge]) -> list[list[int]]:
    """Every order that the tree allows."""
    if node < n:
        return [[node]]
    left, right = (orders_of(child, n, merges) for child in (merges[node - n].left, merges[node - n].right))
    return [order for a in left for b in right for order in (a + b, b + a)]


@given(st.integers(2, 7), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_order_is_the_best_that_the_tree_allows(n: int, seed: int) -> None:
    apart = distances(n, seed)
    merges = average_linkage(apart)

    def length(order: list[int]) -> float:
        return sum(apart[a, b] for a, b in pairwise(order))

    allowed = orders_of(2 * n - 2, n, merges)
    order = optimal_order(apart, merges)
    assert order in allowed
    assert length(order) == pytest.approx(min(map(length, allowed)))


@given(st.integers(2, 8), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_heights_are_mean_distances_and_grow(n: int, seed: int) -> None:
    apart = distances(n, seed)
    merges = average_linkage(apart)
    leaves = [[i] for i in range(n)]
    for merge in merges:
        assert merge.height == pytest.approx(apart[np.ix_(leaves[merge.left], leaves[merge.right])].mean())
        leaves.append(leaves[merge.left] + leaves[merge.right])
    assert sorted(leaves[-1]) == list(range(n))
    assert [m.height for m in merges] == sorted(m.height for m in merges)


def test_points_on_a_line_come_out_in_order() -> None:
    places = np.array([3.0, 0.0, 7.1, 1.2, 12.0, 5.0])
    apart = np.abs(places[:, None] - places[None])
    order = optimal_order(apart, average_linkage(apart))
    assert places[order].tolist() in (sorted(places), sorted(places, reverse=True))


def test_none_and_one_are_in_order_already() -> None:
    assert optimal_order(np.zeros((0, 0)), average_linkage(np.zeros((0, 0)))) == []
    assert optimal_order(np.zeros((1, 1)), average_linkage(np.zeros((1, 1)))) == [0]
