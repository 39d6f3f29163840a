"""The contract of every selector: see taskweb.selectors.base."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from taskweb.errors import ParameterError, WebError
from taskweb.selectors import (
    BlendSelector,
    LlmSelector,
    PairScores,
    PopularitySelector,
    RandomSelector,
    RoeSelector,
    SelectionProblem,
    Selector,
    TaskShopSelector,
    TextEmbeddingSelector,
    rank,
)
from taskweb.selectors.base import PivotEvidence
from taskweb.selectors.unmeasured import with_unmeasured
from tests.conftest import made_up_bank, made_up_web

WEB = made_up_web()
BANK = made_up_bank((*WEB.tasks, "new", "own"))
JUDGED = PairScores(
    "table",
    {(a, b): float(np.sin(7 * i + j)) for i, a in enumerate((*WEB.tasks, "new")) for j, b in enumerate(WEB.tasks) if a != b},
)

SELECTORS: dict[str, Callable[[], Selector]] = {
    "random": lambda: RandomSelector(3),
    "popularity": PopularitySelector,
    "roe": RoeSelector,
    "text-embedding": TextEmbeddingSelector,
    "llm": lambda: LlmSelector(JUDGED),
    "taskshop": TaskShopSelector,
    "blend": BlendSelector,
    "blend, prior weights": lambda: BlendSelector(rate=0.0),
    "taskshop, three pivots": lambda: TaskShopSelector(n_pivots=3),
    "taskshop, named pivots": lambda: TaskShopSelector(pivots=("task0",)),
    "taskshop, llm": lambda: TaskShopSelector(LlmSelector(JUDGED)),
    "taskshop, text-embedding": lambda: TaskShopSelector(TextEmbeddingSelector(), lam=0.2),
}


def problem(**changes: object) -> SelectionProblem:
    arguments: dict[str, object] = {
        "target": "new",
        "web": WEB,
        "candidates": WEB.sources,
        "bank": BANK.without("own"),
        "vectors": BANK.of("new"),
    }
    return SelectionProblem(**(arguments | changes))  # type: ignore[arg-type]


@pytest.fixture(params=SELECTORS)
def selector(request: pytest.FixtureRequest) -> Selector:
    return SELECTORS[request.param]()


def test_one_finite_score_per_candidate_and_the_same_again(selector: Selector) -> None:
    first = selector.score(problem())
    assert first.shape == (8,)
    assert np.isfinite(first).all()
    assert np.array_equal(first, selector.score(problem()))


def test_the_order_of_candidates_does_not_matter(selector: Selector) -> None:
    forwards = dict(zip(WEB.sources, selector.score(problem()), strict=True))
    backwards = selector.score(problem(candidates=WEB.sources[::-1]))
    assert backwards == pytest.approx([forwards[name] for name in WEB.sources[::-1]])


def test_the_order_of_the_web_does_not_matter(selector: Selector) -> None:
    turned = WEB.restrict(targets=WEB.targets[::-1], sources=WEB.sources[::-1])
    assert selector.score(problem(web=turned)) == pytest.approx(selector.score(problem()))


def test_a_subset_of_candidates_has_the_same_order(selector: Selector) -> None:
    """Leaving candidates out does not reorder the others, as long as the web stays the same."""
    everything = dict(zip(WEB.sources, selector.score(problem()), strict=True))
    some = ("task6", "task1", "task4")
    assert selector.score(problem(candidates=some)) == pytest.approx([everything[name] for name in some])


def test_missing_pairs_are_no_evidence(selector: Selector) -> None:
    holes = made_up_web()
    holes.t[:, :, 2] = np.nan
    holes.t[0, 3, :] = np.nan
    scores = selector.score(problem(web=holes))
    assert np.isfinite(scores).all()


def test_a_source_that_was_never_measured_is_as_popular_as_the_mean() -> None:
    holes = made_up_web()
    holes.t[:, :, 2] = np.nan
    scores = PopularitySelector().score(problem(web=holes))
    assert scores[2] == pytest.approx(np.delete(scores, 2).mean())


def test_nothing_is_changed_in_the_problem(selector: Selector) -> None:
    before = WEB.t.copy()
    selector.score(problem())
    assert np.array_equal(WEB.t, before, equal_nan=True)


def test_one_setup_and_one_target_suffice(selector: Selector) -> None:
    small = WEB.restrict(setups=["a/finetune"], targets=["task0"])
    assert np.isfinite(selector.score(problem(web=small, setup="a/finetune"))).all()


def test_own_candidates_are_ranked_with_the_others(selector: Selector) -> None:
    wider = with_unmeasured(WEB, BANK, ["own"])
    scores = selector.score(problem(web=wider, candidates=wider.sources, bank=BANK))
    assert scores.shape == (9,)
    assert np.isfinite(scores).all()
    ranking = rank(selector, problem(web=wider, candidates=wider.sources, bank=BANK))
    assert [source.task for source in ranking.sources if not source.measured] == ["own"]


def test_a_ranking_says_what_it_is_based_on(selector: Selector) -> None:
    ranking = rank(selector, problem())
    assert [source.rank for source in ranking.sources] == list(range(1, 9))
    scores = [source.score for source in ranking.sources]
    assert scores == sorted(scores, reverse=True)
    assert ranking.meaning
    assert ranking.selector == selector.name
    assert ranking.to_dict(3)["sources"][2]["rank"] == 3
    best = ranking.sources[0]
    assert best.similarity is not None
    assert best.popularity is not None
    assert all(pivot.task != best.task for pivot in best.pivots)


def test_the_pivots_shown_are_the_strongest_of_the_most_similar() -> None:
    holes = made_up_web()
    holes.t[:, 1:, 2] = np.nan
    asked = problem(web=holes)
    nearest = sorted(holes.targets, key=lambda task: -asked.roe[task])[:6]
    for source in rank(RandomSelector(), asked).sources:
        transfers = {task: asked.transfer[holes.target_index(task), holes.source_index(source.task)] for task in nearest}
        measured = [task for task in nearest if np.isfinite(transfers[task])]
        strongest = sorted(measured, key=lambda task: -abs(transfers[task]))[:3]
        assert source.pivots == tuple(PivotEvidence(task, asked.roe[task], transfers[task]) for task in strongest)
        assert source.popularity == pytest.approx(np.nanmean(asked.transfer[:, holes.source_index(source.task)]))


def test_text_selectors_say_so_when_there_are_no_texts() -> None:
    for name in ("roe", "text-embedding", "taskshop"):
        with pytest.raises(WebError, match="compares texts, but there are none for the web's tasks"):
            SELECTORS[name]().score(problem(bank=None))
        with pytest.raises(WebError, match="none for the target 'new'"):
            SELECTORS[name]().score(problem(vectors=None))


def test_problems_are_checked() -> None:
    with pytest.raises(ParameterError, match="must not contain the target"):
        problem(target="task1")
    with pytest.raises(WebError, match="No candidate sources"):
        problem(candidates=())
    with pytest.raises(WebError, match="no score for the target"):
        LlmSelector(PairScores("t", {("x", "y"): 1.0})).score(problem())
