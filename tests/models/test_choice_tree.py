"""Choices as a tree: what they share is there once, and every node sees its own way from the root, no other."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from taskweb.models.choice_tree import choice_tree, tree_rows


def test_what_choices_share_is_there_once() -> None:
    tree = choice_tree([(5, 6, 7, 1), (5, 6, 8, 1), (5, 1), (1,)])
    assert tree.tokens.tolist() == [5, 6, 7, 8]
    assert (tree.positions.tolist(), tree.lengths) == ([0, 1, 2, 3, 3], (4, 4, 2, 1))
    assert tree.asked.tolist() == [0, 1, 2, 3, 0, 1, 2, 4, 0, 1, 0]
    assert np.flatnonzero(tree.on_way[4]).tolist() == [0, 1, 2, 4]


def test_one_token_needs_the_root_alone() -> None:
    tree = choice_tree([(3,), (4,)])
    assert (tree.nodes, tree.tokens.tolist(), tree.asked.tolist()) == (1, [], [0, 0])


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=6))
def test_the_way_to_where_a_token_is_asked_is_its_choice_up_to_there(choices: list[list[int]]) -> None:
    tree = choice_tree(choices)
    ids = [-1, *tree.tokens.tolist()]
    places = iter(zip(tree.asked.tolist(), tree.wanted.tolist(), strict=True))
    for choice in choices:
        for place, token in enumerate(choice):
            node, wanted = next(places)
            assert wanted == token
            assert [ids[other] for other in np.flatnonzero(tree.on_way[node])] == [-1, *choice[:place]]
    assert tree.nodes == len({tuple(choice[:place]) for choice in choices for place in range(len(choice))})


def test_rows_look_at_their_trunk_and_their_way_and_padding_is_not_seen() -> None:
    trees = [choice_tree([(5, 6), (7, 6)]), choice_tree([(6,)])]
    rows = tree_rows(trees, [2, 1], torch.device("cpu"))
    seen = (rows.mask[:, 0] == 0).int()
    assert seen[0].tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 1]]
    assert seen[1].tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], *([[1, 0, 0, 0, 0]] * 3)]
    assert set(rows.mask.unique().tolist()) == {0.0, -np.inf}
    assert rows.positions.tolist() == [[0, 1, 2, 3, 3], [0, 1, 0, 0, 0]]
    assert rows.places.tolist() == [2, 3, 4, 6]
