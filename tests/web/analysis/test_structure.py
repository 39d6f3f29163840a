"""Order of tasks and communities."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from taskweb.errors import ParameterError
from taskweb.web import TransferWeb
from taskweb.web.analysis import structure
from taskweb.web.analysis.structure import profile_distance
from taskweb.web.published import published_web
from tests.web.analysis.planted import blocks_web, sensitivity_web, strengths_web, web_of


def block_of(task: str, blocks: int = 4) -> int:
    return int(task.removeprefix("task")) % blocks


def test_planted_blocks_are_the_communities_and_adjacent() -> None:
    result = structure(blocks_web(), permutations=50)
    assert {frozenset(c.tasks) for c in result.communities} == {
        frozenset(f"task{i:02}" for i in range(20) if i % 4 == block) for block in range(4)
    }
    assert sum(block_of(a) != block_of(b) for a, b in pairwise(result.order)) == 3
    assert all(chance.p < 0.05 for chance in result.by_chance.values())
    assert result.stability.value > 0.9
    assert all(c.held_together > 0.9 for c in result.communities)
    assert "more clearly than the strengths" in result.verdict


@pytest.mark.parametrize("planted", [strengths_web, sensitivity_web])
def test_strengths_alone_are_no_communities(planted: Callable[..., TransferWeb]) -> None:
    found = [structure(planted(seed, setups=2, tasks=14), resamples=2, permutations=40) for seed in range(20)]
    assert sum("more clearly than the strengths" in result.verdict for result in found) <= 3


def test_the_published_communities() -> None:
    result = structure(published_web())
    found = [set(c.tasks) for c in result.communities]
    assert {"imdb", "rotten_tomatoes"} in found
    assert any({"cosmosqa", "socialiqa", "piqa", "hellaswag", "copa"} <= c for c in found)
    assert any({"mrpc", "qqp", "stsb"} <= c for c in found)
    assert any({"anli_r3", "cb", "rte", "snli"} <= c for c in found)
    assert result.alone == ("wsc",)
    assert result.modularity == pytest.approx(0.2427, abs=1e-4)
    assert all(chance.high < result.modularity for chance in result.by_chance.values())
    assert result.strictest.p < 0.01
    assert sorted(result.order) == sorted(published_web().tasks)
    t = published_web().transfer()
    strong = t > np.nanquantile(t, 0.75)
    assert result.edges == strong.sum()
    position = {task: i for i, task in enumerate(result.order)}
    assert abs(position["imdb"] - position["rotten_tomatoes"]) == 1


def test_one_setup_has_no_stability_and_says_so() -> None:
    result = structure(blocks_web(setups=1), permutations=5)
    assert math.isnan(result.stability.value)
    assert any("stability" in note for note in result.notes)


def test_a_web_with_only_harm_has_an_order_but_no_communities() -> None:
    result = structure(web_of(-np.ones((5, 5))))
    assert result.communities == ()
    assert len(result.alone) == len(result.order) == 5
    assert "are unknown" in result.verdict
    with pytest.raises(ParameterError, match="'quantile'"):
        structure(web_of(-np.ones((5, 5))), quantile=2)


def test_tasks_without_common_partners_have_the_largest_distance() -> None:
    t = np.full((5, 5), np.nan)
    t[0, 2], t[1, 2], t[3, 4] = 1.0, -1.0, 1.0
    distance = profile_distance(t)
    assert np.isfinite(distance).all()
    assert (distance == distance.T).all()
    assert distance[0, 3] == distance.max() == distance[0, 1]
