"""How far the blend can be trusted, and what it advises."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from taskweb.selectors import BlendSelector, SelectionProblem, TaskShopSelector, rank
from taskweb.selectors.assessment import CLEAR_EVIDENCE, Assessment, PredictedGain, suggest
from taskweb.selectors.blend.prediction_intervals import (
    FEWEST_PAIRS,
    predicted_gains,
    probabilities_of_best,
    sharpness,
    widening,
)
from taskweb.selectors.blend.validation import validate
from taskweb.selectors.unmeasured import with_unmeasured
from taskweb.web import TransferWeb
from taskweb.web.published import published_bank, published_web
from tests.conftest import made_up_bank
from tests.selectors.blend.test_selector import TASKS, planted, web_of

GOOD, FAIR, BAD = PredictedGain(0.1, 0.0, 0.3, 0.1), PredictedGain(0.02, -0.1, 0.1, 0.4), PredictedGain(-0.05, -0.2, 0.01, 0.8)


def problem_without(target: str, web: TransferWeb, bank: object, setup: str = "all") -> SelectionProblem:
    known = web.without(target)
    return SelectionProblem(target, known, known.sources, setup, bank.without(target), bank.of(target)[:32])  # type: ignore[attr-defined]


def test_predicted_gains_follow_the_gains_of_similar_scores() -> None:
    """Gains of m0 depend on the source alone, with noise: predicted gains must find level and spread."""
    web, bank = planted("popularity")
    validation = validate(web, bank, rate=3.0)
    scores = validation.gain_scores[0, 0]
    found = predicted_gains(web, web.setups[0], validation, scores)
    assert found is not None
    gains = np.array([one.gain for one in found])
    assert np.corrcoef(gains[1:], scores[1:])[0, 1] > 0.8
    assert all(one.low <= one.gain <= one.high for one in found)
    best, worst = found[int(np.argmax(scores))], found[int(np.argmin(scores))]
    assert best.harm < 0.2 < 0.8 < worst.harm


@pytest.mark.slow
def test_intervals_cover_what_they_promise_on_targets_left_out() -> None:
    covered, harm = [], []
    for seed in range(3):
        web, bank = planted("popularity", seed)
        for target in web.targets:
            problem = problem_without(target, web, bank, web.setups[0])
            ranking = rank(BlendSelector(), problem)
            for source in ranking.sources:
                gained = web.pc[0, web.target_index(target), web.source_index(source.task)]
                covered.append(source.details["gain_low"] <= gained <= source.details["gain_high"])
                harm.append((source.details["p_harm"], gained < 0))
    assert 0.75 < np.mean(covered) < 0.95
    said, happened = np.array(harm, float).T
    for low, high in ((0.0, 0.33), (0.33, 0.67), (0.67, 1.01)):
        chosen = (said >= low) & (said < high)
        assert happened[chosen].mean() == pytest.approx(said[chosen].mean(), abs=0.12)


@pytest.mark.parametrize(("targets", "quantile"), [(2, 3.078), (3, 1.886), (5, 1.533), (7, 1.440), (20, 1.328), (1000, 1.282)])
def test_few_targets_make_intervals_wider_as_the_t_distribution_does(targets: int, quantile: float) -> None:
    """Quantiles at 0.9 from a printed table, for targets - 1 degrees of freedom; the normal one is 1.2816."""
    assert widening(targets) == pytest.approx(quantile / 1.2816 * np.sqrt(1 + 1 / targets), rel=0.001)


def test_intervals_from_few_targets_contain_gains_of_others_where_targets_differ() -> None:
    """Gains of six tasks whose levels differ more than their sources do; those of a seventh are predicted."""
    covered = []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        pc = 0.1 * draw.normal(size=(1, 7, 1)) + 0.05 * draw.normal(size=(1, 7, 7))
        pc[0, np.arange(7), np.arange(7)] = np.nan
        web = TransferWeb("levels", ("m/f",), TASKS[:7], TASKS[:7], pc, pc=pc).without(TASKS[6])
        ranking = rank(BlendSelector(), SelectionProblem("new", web, web.sources, "m/f", None, None))
        gained = dict(zip(TASKS[:6], pc[0, 6, :6].tolist(), strict=True))
        covered += [s.details["gain_low"] <= gained[s.task] <= s.details["gain_high"] for s in ranking.sources]
    assert 0.7 < np.mean(covered) < 0.9


def test_without_gains_there_are_no_predicted_gains() -> None:
    web, bank = planted("popularity")
    bare = dataclasses.replace(web, pc=None)
    assert predicted_gains(bare, "all", validate(bare, bank, rate=3.0), np.zeros(16)) is None
    few = web.restrict(targets=TASKS[:2], sources=TASKS[: FEWEST_PAIRS // 2])
    assert predicted_gains(few, "all", validate(few, bank, rate=3.0), np.zeros(few.t.shape[2])) is None
    ranking = rank(BlendSelector(), problem_without("task00", bare, bank))
    assert ranking.sources[0].details["p_harm"] is None
    assert ranking.assessment is not None
    assert "gains are not known" in ranking.assessment.suggestion.reason


def test_sharpness_is_nothing_where_nothing_is_known() -> None:
    sharp = {}
    for kind in ("popularity", "neither"):
        web, bank = planted(kind)
        sharp[kind] = sharpness(web, validate(web, bank, rate=3.0))
    assert sharp["popularity"] > 1.0 > sharp["neither"]
    web, bank = planted("popularity")
    p_best = probabilities_of_best(web, validate(web, bank, rate=3.0), np.arange(16.0))
    assert p_best.sum() == pytest.approx(1.0)
    assert (np.diff(p_best) > 0).all()


def test_a_web_of_noise_does_not_distinguish_sources() -> None:
    web, bank = planted("neither")
    ranking = rank(BlendSelector(), problem_without("task00", web, bank))
    assert ranking.assessment is not None
    assert not ranking.assessment.distinguishes
    assert any("does not distinguish sources" in note for note in ranking.notes)
    assert "cannot say more" in ranking.assessment.suggestion.reason


@pytest.mark.parametrize("step", [0.0, 0.05])
def test_about_one_web_of_noise_in_twenty_seems_to_distinguish_sources(step: float) -> None:
    """Transfers that are rounded tie often, which must not matter."""
    clear = 0
    for seed in range(80):
        draw = np.random.default_rng(seed)
        t = 0.05 * draw.normal(size=(1, 10, 10))
        t = np.round(t / step) * step if step else t
        t[0, np.arange(10), np.arange(10)] = np.nan
        clear += validate(TransferWeb("noise", ("m/f",), TASKS[:10], TASKS[:10], t), None, rate=1.0).evidence >= CLEAR_EVIDENCE
    assert clear <= 8


def test_where_all_sources_harm_none_is_the_best_advice() -> None:
    web, bank = planted("popularity")
    harmful = web_of(np.nan_to_num(web.t) - 0.5)
    ranking = rank(BlendSelector(), problem_without("task00", harmful, bank))
    assert ranking.assessment is not None
    assert ranking.assessment.suggestion.k == 0
    assert any("using no source is the best advice" in note for note in ranking.notes)


@pytest.mark.parametrize(
    ("found", "count", "distinguishes", "k", "word"),
    [
        ([GOOD] * 8, 8, True, 5, "expected to help"),
        ([GOOD] * 3, 3, True, 3, "no more"),
        ([GOOD, GOOD, BAD, GOOD, GOOD, GOOD], 6, True, 2, "likely to harm"),
        ([GOOD, GOOD, FAIR, FAIR, FAIR, FAIR], 6, True, 5, "expected to help"),
        ([BAD, GOOD, GOOD, GOOD, GOOD, GOOD], 6, True, 5, "the first is as likely"),
        ([BAD] * 6, 6, True, 0, "none of the first 5"),
        ([GOOD] * 8, 8, False, 5, "cannot say more"),
        ([BAD] * 7 + [GOOD], 8, False, 5, "cannot say more"),
        ([BAD] * 8, 8, False, 0, "none of the sources"),
        ([GOOD, PredictedGain(0.0, 0.0, 0.0, 0.0), GOOD], 3, True, 1, "not expected to help"),
        ([], 8, True, 5, "not known"),
    ],
)
def test_how_many_to_take(found: list[PredictedGain], count: int, distinguishes: bool, k: int, word: str) -> None:
    suggestion = suggest(found, count, distinguishes=distinguishes)
    assert suggestion.k == k
    assert word in suggestion.reason


def test_no_source_stands_out_where_chances_are_even() -> None:
    even = Assessment(5.0, {f"s{i}": 0.05 for i in range(20)}, {})
    assert any("no source stands out" in line for line in even.advice)
    assert even.best_among(5) == pytest.approx(0.25)
    sharp = Assessment(5.0, {"a": 0.9} | {f"s{i}": 0.005 for i in range(20)}, {})
    assert sharp.advice == ()
    assert Assessment(5.0, {"a": 0.9} | {f"s{i}": 0.02 for i in range(5)}, {}).advice == ()
    assert Assessment(5.0, {f"s{i}": 1 / 6 for i in range(6)}, {}).advice != ()


def test_where_the_order_is_a_guess_and_all_harm_both_are_reported() -> None:
    said = Assessment(0.5, {"a": 0.5, "b": 0.5}, {"a": BAD, "b": BAD}).advice
    assert "does not distinguish sources" in said[0]
    assert "using no source is the best advice" in said[1]


def test_an_explanation_adds_up() -> None:
    web, bank = published_web(), published_bank()
    problem = problem_without("rte", web, bank, "t5l/finetune")
    ranking = rank(BlendSelector(), problem, explain="snli")
    why = ranking.explanation
    assert why is not None
    assert ranking.sources[why.rank - 1].task == "snli"
    assert sum(vote.weight for vote in why.votes) == pytest.approx(1.0)
    assert why.pivot_sum == pytest.approx(sum(vote.vote for vote in why.votes))
    assert not {"rte", "snli"} & {vote.task for vote in why.votes}
    for vote in why.votes:
        at = web.setup_index("t5l/finetune"), web.target_index(vote.task), web.source_index("snli")
        assert vote.transfer == web.t[at]
    assert sum(why.weights.values()) == pytest.approx(1.0)
    assert any("similar tasks that speak" in sentence for sentence in why.words())
    assert any("on average" in sentence for sentence in why.words())
    compared = dataclasses.replace(why, transfers_are_gains=False).words()
    assert any("average for the web's other tasks" in sentence for sentence in compared)
    assert not any("helped" in sentence or "hurt" in sentence for sentence in compared)


def test_an_own_candidate_is_explained_as_estimated() -> None:
    web, bank = planted("popularity")
    bank = made_up_bank((*TASKS, "own", "new"))
    wider = with_unmeasured(web, bank, ["own"])
    problem = SelectionProblem("new", wider, wider.sources, "all", bank, bank.of("new"))
    why = rank(BlendSelector(), problem, explain="own").explanation
    assert why is not None
    assert not why.measured
    assert any("estimated from sources with similar texts" in sentence for sentence in why.words())


def test_too_little_to_learn_from_is_reported() -> None:
    web = planted("popularity")[0].restrict(targets=TASKS[:1])
    ranking = rank(BlendSelector(), SelectionProblem("new", web, TASKS))
    assert any("does not distinguish sources" in note for note in ranking.notes)
    assert any("too few transfers are measured" in line for line in Assessment(0.0, {"a": 1.0}, {}).advice)


def test_selectors_without_an_assessment_report_none() -> None:
    ranking = rank(TaskShopSelector(), problem_without("rte", published_web(), published_bank()))
    assert ranking.assessment is None
    assert "doubt" not in ranking.to_dict()
