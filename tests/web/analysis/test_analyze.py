"""All analyses together: names, plain values, odd webs, and invariances."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.errors import NameNotFoundError
from taskweb.web import TransferWeb
from taskweb.web.analysis import ANALYSES, agreement, analyze, commutativity, shares, structure, transitivity
from tests.conftest import made_up_web
from tests.web.analysis.planted import web_of

EMPTY = np.zeros((0, 0))


def quick(web: TransferWeb, seed: int = 0) -> dict[str, object]:
    return {
        "shares": shares(web, seed, resamples=20).to_dict(),
        "commutativity": commutativity(web, seed, resamples=20, permutations=20).to_dict(),
        "transitivity": transitivity(web, seed, resamples=10, permutations=10).to_dict(),
        "agreement": agreement(web, seed, resamples=20).to_dict(),
        "structure": structure(web, seed, resamples=10, permutations=10).to_dict(),
    }


def holed(seed: int, n_targets: int = 5, n_sources: int = 7, missing: float = 0.2) -> TransferWeb:
    web = made_up_web(n_targets, n_sources, ("t5b/finetune", "t5s/finetune", "x/lora"), seed)
    draw = np.random.default_rng(seed)
    gone = draw.random(web.t.shape) < missing
    t = np.where(gone, np.nan, web.t)
    return dataclasses.replace(web, t=t, pc=t, reliability=draw.uniform(-0.2, 1.0, t.shape[:2]))


@given(st.integers(0, 10_000), st.floats(0, 1), st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_the_order_of_tasks_and_setups_does_not_matter(seed: int, missing: float, shuffle: object) -> None:
    web = holed(seed, missing=missing)
    names = [list(web.setups), list(web.targets), list(web.sources)]
    for listed in names:
        shuffle.shuffle(listed)  # type: ignore[attr-defined]
    assert quick(web) == quick(web.restrict(setups=names[0], targets=names[1], sources=names[2]))


def test_the_same_seed_gives_the_same_and_another_one_other_intervals() -> None:
    web = holed(1)
    assert quick(web) == quick(web)
    assert quick(web) != quick(web, seed=1)


def test_the_transfer_of_a_task_to_itself_does_not_count() -> None:
    web = holed(2)
    t = web.t.copy()
    for task in web.targets:
        t[:, web.target_index(task), web.source_index(task)] = 9.0
    assert quick(dataclasses.replace(web, t=t, pc=t)) == quick(web)


ODD = {
    "one task": web_of(np.ones((1, 1))),
    "two tasks": web_of(np.array([[0.0, 1.0], [-1.0, 0.0]])),
    "three tasks": web_of(np.arange(9.0).reshape(3, 3)),
    "constant": web_of(np.ones((2, 5, 5))),
    "zero": web_of(np.zeros((2, 5, 5))),
    "infinite": web_of(np.where(np.eye(5) > 0, 0.0, np.inf)),
    "nothing measured": web_of(np.full((2, 4, 4), np.nan)),
    "one pair": web_of(np.array([[np.nan, 1.0, np.nan], [np.nan] * 3, [np.nan] * 3])),
    "one setup": made_up_web(setups=("a/finetune",)),
    "setups that share nothing": web_of(
        np.stack(
            [
                np.where(np.arange(6)[None] < 3, 1.0, np.nan) + np.zeros((6, 1)),
                np.where(np.arange(6)[None] < 3, np.nan, 1.0) + np.zeros((6, 1)),
            ]
        )
    ),
    "sources that are never targets": TransferWeb(
        "apart", ("a/x", "b/x"), ("p", "q"), ("r", "s", "u"), np.random.default_rng(0).normal(size=(2, 2, 3))
    ),
    "no targets": TransferWeb("none", ("a/x",), (), ("r", "s"), np.zeros((1, 0, 2))),
    "no tasks": TransferWeb("none", ("a/x",), (), (), np.zeros((1, 0, 0))),
    "no setups": TransferWeb("none", (), ("p",), ("r", "s"), np.zeros((0, 1, 2))),
    "z-scores": web_of(np.random.default_rng(0).normal(size=(2, 6, 6)), scale="zscore"),
    "no PC anywhere": web_of(np.ones((4, 4)), pc=np.full((1, 4, 4), np.nan)),
    "all estimated": web_of(np.ones((4, 4)), estimated_sources=frozenset(f"task{i:02}" for i in range(4))),
    "names without a method": dataclasses.replace(made_up_web(), setups=("one", "two")),
    "half missing": holed(0, missing=0.5),
    "nearly all missing": holed(0, missing=0.95),
    "tiny": web_of(1e-300 * np.random.default_rng(0).normal(size=(2, 5, 5))),
    "huge": web_of(1e100 * np.random.default_rng(0).normal(size=(2, 5, 5))),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_webs_give_plain_values_and_a_sentence(name: str) -> None:
    found = quick(ODD[name])
    text = json.dumps(found, allow_nan=False)
    assert "nan" not in text.replace("finetune", "")
    for result in found.values():
        assert result["verdict"].endswith(".")  # type: ignore[index]


@pytest.mark.parametrize("name", ["one task", "nothing measured", "no tasks", "no setups", "no targets", "all estimated"])
def test_a_missing_figure_has_a_reason(name: str) -> None:
    for analysis, result in quick(ODD[name]).items():
        assert result["notes"], analysis  # type: ignore[index]


@given(st.integers(0, 10_000), st.integers(0, 5), st.integers(0, 6), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_any_web_is_analysed_and_shares_lie_between_0_and_1(seed: int, targets: int, sources: int, missing: float) -> None:
    web = holed(seed, min(targets, sources), sources, missing)
    found = quick(web)
    json.dumps(found, allow_nan=False)
    for row in found["shares"]["by_setup"]:  # type: ignore[index]
        value = row["positive_t"]["value"]
        assert value is None or 0 <= value <= 1
    for curve in found["transitivity"]["curves"]:  # type: ignore[index]
        for share in curve["positive"]:
            assert share["value"] is None or 0 <= share["value"] <= 1


def test_analyses_are_chosen_by_name() -> None:
    web = made_up_web()
    some = analyze(web, analyses=["agreement", "shares", "agreement"], seed=4)
    assert list(some.results) == ["agreement", "shares"]
    plain = some.to_dict()
    assert list(plain["analyses"]) == ["agreement", "shares"]
    assert (plain["web"], plain["seed"], plain["setups"]) == ("made-up", 4, list(web.setups))
    assert list(analyze(web).results) == list(ANALYSES)
    with pytest.raises(NameNotFoundError, match=r"no analysis named 'transitvity'.*'transitivity'"):
        analyze(web, analyses=["transitvity"])
