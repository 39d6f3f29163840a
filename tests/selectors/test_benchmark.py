from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import ParameterError, WebError
from taskweb.metrics import ndcg
from taskweb.selectors import (
    BlendSelector,
    PairScores,
    PopularitySelector,
    RandomSelector,
    RoeSelector,
    SelectionProblem,
    Selector,
    TaskShopSelector,
    read_pair_scores,
)
from taskweb.selectors.benchmark import MEAN, BenchmarkRow, DrawSettings, ScoredTarget, benchmark
from taskweb.web.published import published_bank, published_web
from tests.conftest import made_up_bank, made_up_web

FEW = DrawSettings(draws=2, target_examples=6, source_examples=8)


def row_of(rows: list[BenchmarkRow], selector: str, setup: str) -> BenchmarkRow:
    return next(row for row in rows if (row.selector, row.setup) == (selector, setup))


def test_published_predictions_get_the_published_figures(published_data: Path) -> None:
    tables = read_pair_scores(published_data / "published_predictions.csv")
    rows = benchmark(published_web(), {}, predictions=tables, setup="t5l/finetune")
    for name, figures in {
        "llm": (56.69, 3.67),
        "roe": (64.52, 4.11),
        "taskshop_llm": (59.69, 2.73),
        "taskshop_roe": (71.54, 2.66),
    }.items():
        row = row_of(rows, name, "t5l/finetune")
        assert (row.figure(0), row.figure(1)) == pytest.approx(figures, abs=0.02)
        assert len(row.per_target()) == 20


def test_references_get_the_known_figures() -> None:
    rows = benchmark(
        published_web(),
        {"random": RandomSelector(), "popularity": PopularitySelector()},
        setup="t5l/finetune",
        settings=DrawSettings(draws=1),
    )
    random, popularity = (row_of(rows, name, "t5l/finetune") for name in ("random", "popularity"))
    assert (random.figure(0), random.figure(1)) == pytest.approx((44.94, 5.16), abs=0.01)
    assert (popularity.figure(0), popularity.figure(1)) == pytest.approx((56.1, 2.66), abs=0.05)


def test_random_is_the_mean_over_random_orders() -> None:
    web = made_up_web()
    figure = row_of(benchmark(web, {"random": RandomSelector()}, setup="a/finetune"), "random", "a/finetune").figure(0)
    draw = np.random.default_rng(0)
    sampled = [ndcg(np.delete(web.t[0, j], j), draw.random(7)) for j in range(6) for _ in range(400)]
    assert figure == pytest.approx(100 * np.mean(sampled), abs=1.0)


class Spy:
    """A selector that records the problems it gets."""

    name, meaning = "spy", "nothing"

    def __init__(self) -> None:
        self.seen: list[SelectionProblem] = []

    def parameters(self) -> dict[str, object]:
        return {}

    def score(self, problem: SelectionProblem) -> np.ndarray:
        self.seen.append(problem)
        return np.zeros(len(problem.candidates))


def test_selectors_see_nothing_of_the_target() -> None:
    spy = Spy()
    benchmark(made_up_web(), {"spy": spy}, pool=made_up_bank(made_up_web().tasks), settings=FEW)
    assert len(spy.seen) == 6 * 2 * 2
    for problem in spy.seen:
        assert problem.target not in problem.web.tasks
        assert problem.target not in problem.bank.tasks
        assert problem.target not in problem.candidates
        assert len(problem.vectors) == 6


@pytest.mark.parametrize(
    "selector", [BlendSelector(), TaskShopSelector(), PopularitySelector(), RoeSelector()], ids=lambda s: s.name
)
def test_corrupting_row_and_column_of_a_target_changes_nothing_that_is_predicted_for_it(selector: Selector) -> None:
    web, bank, target = published_web(), published_bank(), "rte"
    corrupted = dataclasses.replace(web, t=web.t.copy(), pc=web.pc.copy(), pm=web.pm.copy())
    for array in (corrupted.t, corrupted.pc, corrupted.pm):
        array[:, web.target_index(target), :] = 1e6
        array[:, :, web.source_index(target)] = -1e6

    def predicted(of: object) -> np.ndarray:
        known = of.without(target)  # type: ignore[attr-defined]
        return selector.score(
            SelectionProblem(target, known, known.sources, "t5l/finetune", bank.without(target), bank.of(target)[:32])
        )

    assert np.array_equal(predicted(web), predicted(corrupted))
    unrelated = dataclasses.replace(web, t=web.t.copy())
    unrelated.t[:, web.target_index("snli"), :3] += 1.0
    assert selector.name == "roe" or not np.array_equal(predicted(web), predicted(unrelated))


def test_the_mean_row_is_the_mean_of_the_setups() -> None:
    web = made_up_web()
    rows = benchmark(
        web, {"popularity": PopularitySelector(), "taskshop": TaskShopSelector()}, pool=made_up_bank(web.tasks), settings=FEW
    )
    for name in ("popularity", "taskshop"):
        parts = [row_of(rows, name, setup).figure(0) for setup in web.setups]
        assert row_of(rows, name, MEAN).figure(0) == pytest.approx(np.mean(parts))
    result = row_of(rows, "taskshop", MEAN).to_dict({"popularity": row_of(rows, "popularity", MEAN)})
    gap = row_of(rows, "taskshop", MEAN).figure(0) - row_of(rows, "popularity", MEAN).figure(0)
    assert result["vs_popularity"]["ndcg"]["difference"] == pytest.approx(gap)
    low, high = result["vs_popularity"]["ndcg"]["interval"]
    assert low < gap < high
    assert result["n_targets"] == 6
    assert set(result["per_category"]) == {"other"}
    assert row_of(rows, "taskshop", MEAN).draw_spread(0) > 0 == row_of(rows, "popularity", MEAN).draw_spread(0)


def test_the_same_seed_gives_the_same_figures_whatever_the_targets() -> None:
    web, bank = made_up_web(), made_up_bank(made_up_web().tasks)
    everything = benchmark(web, {"roe": RoeSelector()}, pool=bank, settings=FEW)
    one = benchmark(web, {"roe": RoeSelector()}, pool=bank, settings=FEW, targets=["task4"])
    assert row_of(one, "roe", MEAN).per_target()["task4"] == row_of(everything, "roe", MEAN).per_target()["task4"]


def test_what_cannot_be_judged_is_left_out_and_reported() -> None:
    web = made_up_web()
    web.t[0, 1, :] = 0.5
    web.t[1, 2, 3:] = np.nan
    web.t[1, 2, 0] = np.nan
    bank = made_up_bank(tuple(task for task in web.tasks if task != "task5"))
    rows = benchmark(web, {"roe": RoeSelector()}, pool=bank, settings=FEW)
    first, second = (row_of(rows, "roe", setup) for setup in web.setups)
    assert first.left_out == {
        "task1": "all its sources scored the same, so there is no order to find",
        "task5": "there are no examples of it",
    }
    assert second.left_out["task2"] == "fewer than two of its sources were measured"
    assert set(first.per_target()) == {"task0", "task2", "task3", "task4"}
    assert "task1 (a/finetune)" in row_of(rows, "roe", MEAN).left_out


def test_a_selector_that_lacks_what_it_needs_for_a_target_is_left_out_and_reported() -> None:
    """Only one task has texts, so that TaskShop has no pivot for it; popularity needs none."""
    web = made_up_web()
    bank = made_up_bank(web.tasks[:1])
    selectors = {"popularity": PopularitySelector(), "taskshop": TaskShopSelector()}
    rows = benchmark(web, selectors, pool=bank, settings=FEW)
    assert {row.selector for row in rows} == {"popularity"}
    assert set(row_of(rows, "popularity", MEAN).per_target()) == {"task0"}
    with pytest.raises(WebError, match="'taskshop' could not be evaluated on any target"):
        benchmark(web, {"taskshop": TaskShopSelector()}, pool=bank, settings=FEW)


def test_incomplete_predictions_are_left_out_and_reported() -> None:
    web = made_up_web(setups=("a/finetune",))
    full = {(t, s): 1.0 + j for t in web.targets for j, s in enumerate(web.sources) if s != t}
    partial = {pair: score for pair, score in full.items() if pair != ("task0", "task3")}
    rows = benchmark(web, {}, predictions={"mine": PairScores("mine", partial)})
    assert row_of(rows, "mine", MEAN).left_out == {"task0 (a/finetune)": "no prediction for 1 of its 7 sources"}
    with pytest.raises(WebError, match="'mine' could not be evaluated on any target: no prediction for 7"):
        benchmark(web, {}, predictions={"mine": PairScores("mine", {("x", "y"): 1.0})})


def test_without_raw_scores_there_is_no_regret() -> None:
    web = dataclasses.replace(made_up_web(), score=None)
    row = row_of(benchmark(web, {"popularity": PopularitySelector()}), "popularity", MEAN)
    assert np.isfinite(row.figure(0))
    assert row.to_dict({})["regret_at_5"] is None


def test_settings_are_checked() -> None:
    with pytest.raises(ParameterError, match="'draws' parameter"):
        DrawSettings(draws=0)


def test_a_target_named_twice_counts_once() -> None:
    web = made_up_web()
    once, twice = (
        benchmark(web, {"popularity": PopularitySelector()}, targets=names)
        for names in (["task1", "task2"], ["task1", "task2", "task1"])
    )
    assert once[0].interval(0) == twice[0].interval(0)
    assert twice[0].targets == ("task1", "task2")


def test_a_task_as_its_own_source_counts_nowhere() -> None:
    plain, measured = made_up_web(), made_up_web()
    measured.t[:, np.arange(6), np.arange(6)] = 9.0
    bank = made_up_bank(plain.tasks)
    for selector in (PopularitySelector(), TaskShopSelector()):
        figures = [
            row_of(benchmark(web, {"s": selector}, pool=bank, settings=FEW), "s", MEAN).figure(0) for web in (plain, measured)
        ]
        assert figures[0] == figures[1]


def test_scores_are_shown_beside_what_was_measured() -> None:
    web = made_up_web(setups=("a/finetune",))
    web.t[0, 2, 5] = np.nan
    seen: list[ScoredTarget] = []
    rows = benchmark(web, {"popularity": PopularitySelector()}, targets=["task2"], on_scores=seen.append, settings=FEW)
    assert [one.draw for one in seen] == [0, 1]
    assert seen[0].candidates == ("task0", "task1", "task3", "task4", "task6", "task7")
    assert seen[0].truth.tolist() == [web.t[0, 2, web.source_index(task)] for task in seen[0].candidates]
    figure = row_of(rows, "popularity", "a/finetune").figure(0)
    assert 100 * ndcg(seen[0].truth, seen[0].scores) == pytest.approx(figure)
