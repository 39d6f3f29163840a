"""The blend learns its weights from the web at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import ParameterError, WebError
from taskweb.metrics import ndcg
from taskweb.selectors import BlendSelector, PopularitySelector, RoeSelector, SelectionProblem, Selector
from taskweb.selectors.assessment import CLEAR_EVIDENCE
from taskweb.selectors.blend.evidence import Evidence
from taskweb.selectors.blend.learned_cache import cache_key, load, store
from taskweb.selectors.blend.margin import margin_in_standard_errors, shares, shares_without_own
from taskweb.selectors.blend.members import (
    BASELINES,
    FAMILIES,
    PIVOTS,
    EnsembleMember,
    prior,
    ranking_members,
    scores_by_member,
)
from taskweb.selectors.blend.standardise import peaked_rows, standardised_rows
from taskweb.selectors.blend.text_similarity import mean_similarity, similarity_within
from taskweb.selectors.blend.utility import REGRET_WEIGHT, HarmTruth, OrderTruth
from taskweb.selectors.blend.validation import MOST_SOURCES, MOST_TARGETS, thinned, validate
from taskweb.selectors.similarity import mean_embedding_cosine, retrieval_both_ways, retrieval_of_experts
from taskweb.selectors.unmeasured import with_unmeasured
from taskweb.web import ExampleBank, TransferWeb
from taskweb.web.arrays import FloatArray
from taskweb.web.published import published_bank, published_web
from tests.conftest import made_up_bank, made_up_web

TASKS = tuple(f"task{i:02d}" for i in range(16))


def web_of(t: np.ndarray) -> TransferWeb:
    t = t.copy()
    t[:, np.arange(t.shape[1]), np.arange(t.shape[1])] = np.nan
    return TransferWeb("planted", tuple(f"m{i}/f" for i in range(len(t))), TASKS, TASKS, t, pc=t)


def mean_ndcg(selector: Selector, web: TransferWeb, bank: ExampleBank) -> float:
    figures = []
    for target in web.targets:
        known = web.without(target)
        problem = SelectionProblem(target, known, known.sources, web.setups[0], bank.without(target), bank.of(target))
        truth = [web.t[0, web.target_index(target), web.source_index(source)] for source in known.sources]
        figures.append(ndcg(truth, selector.score(problem)))
    return float(np.mean(figures))


def planted(kind: str, seed: int = 0) -> tuple[TransferWeb, ExampleBank]:
    """A web that follows popularity, similarity, or neither."""
    draw = np.random.default_rng(seed)
    bank = made_up_bank(TASKS, seed=seed)
    size = len(TASKS)
    t = draw.normal(0, 0.02, (2, size, size))
    if kind == "popularity":
        t += draw.normal(0, 0.05, size)
    if kind == "similarity":
        similar = np.stack([retrieval_of_experts(bank.of(task), bank, TASKS) for task in TASKS])
        t += 0.1 * (similar - similar.mean())
    return web_of(t), bank


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["popularity", "similarity"])
def test_on_small_webs_it_keeps_up_with_the_best_single_member_on_average(kind: str) -> None:
    best = {"popularity": PopularitySelector(), "similarity": RoeSelector()}[kind]
    margins = []
    for seed in range(5):
        web, bank = planted(kind, seed)
        small = web.restrict(targets=TASKS[:7], sources=TASKS[:7])
        margins.append(mean_ndcg(BlendSelector(), small, bank) - mean_ndcg(best, small, bank))
    assert np.mean(margins) > -0.02


@pytest.mark.parametrize("kind", ["popularity", "similarity"])
def test_it_keeps_up_with_the_best_single_member_of_each_web(kind: str) -> None:
    web, bank = planted(kind)
    best = {"popularity": PopularitySelector(), "similarity": RoeSelector()}[kind]
    other = {"popularity": RoeSelector(), "similarity": PopularitySelector()}[kind]
    blend = mean_ndcg(BlendSelector(), web, bank)
    assert blend > mean_ndcg(best, web, bank) - 0.03
    assert blend > mean_ndcg(other, web, bank) + 0.15


def test_weights_and_evidence_show_what_the_web_follows() -> None:
    strength = {}
    for kind in ("popularity", "similarity", "neither"):
        web, bank = planted(kind)
        known = web.without("task00")
        problem = SelectionProblem("task00", known, known.sources, "all", bank.without("task00"), bank.of("task00"))
        weights = BlendSelector().weights(problem)
        assert sum(weights.values()) == pytest.approx(1.0)
        assert set(weights) == set(FAMILIES)
        strength[kind] = BlendSelector().validation(problem).evidence
        if kind != "neither":
            favourites = [family for family in weights if kind in family or (kind == "popularity" and "pivots" in family)]
            assert sum(weights[family] for family in favourites) > (0.9 if kind == "popularity" else 0.8)
        else:
            assert min(weights["popularity"], weights["similarity"]) > 0.1
    assert strength["popularity"] > 3
    assert strength["similarity"] > 3
    assert strength["neither"] < CLEAR_EVIDENCE


def test_without_learning_the_weights_stay_at_the_prior() -> None:
    web, bank = planted("popularity")
    found, expected = validate(web, bank, rate=0.0).ranking, prior(ranking_members(), FAMILIES)
    alone = [ranking_members().index(member) for member in BASELINES]
    others = np.delete(found, alone) / np.delete(expected, alone)
    assert others == pytest.approx(others[0])
    assert others[0] < 1
    beside = found[alone] / expected[alone] / others[0]
    assert (beside > 1 - 1e-9).all()
    assert beside.max() > 1.1
    assert found.sum() == pytest.approx(1)


def test_a_baseline_counts_by_the_probability_that_it_ranks_better() -> None:
    blend = np.array([0.7, 0.8, 0.6, np.nan])
    equal, worse, better = blend, blend - 0.5, blend + 0.5
    assert shares(blend, np.array([equal])) == pytest.approx([2 / 3, 1 / 3])
    assert shares(blend, np.array([worse, better])) == pytest.approx([1 / 2, 0, 1 / 2], abs=1e-3)
    unjudged = np.full((2, 4), np.nan)
    assert shares(unjudged[0], unjudged) == pytest.approx([1 / 2, 1 / 4, 1 / 4])
    alone = np.array([blend, [0.9, 0.9, 0.3, np.nan]])
    without_own = shares_without_own(blend, alone)
    assert without_own[:, 1] == pytest.approx(shares(blend[[0, 2, 3]], alone[:, [0, 2, 3]]))
    assert without_own[2, 2] > without_own[2, 0]
    assert shares_without_own(np.empty(0), np.empty((2, 0))).shape == (3, 0)


def test_standard_errors_include_typical_targets_where_few_are_seen() -> None:
    differences = np.array([0.1, 0.2, np.nan, 0.3])
    spread = np.sqrt((0.02 + 5 * 0.2**2) / (3 - 1 + 5))
    assert margin_in_standard_errors(differences) == pytest.approx(0.2 / (spread / np.sqrt(3)))
    assert margin_in_standard_errors(np.full(3, np.nan)) == 0
    assert 0 < margin_in_standard_errors(np.array([0.2])) < 2


def test_a_web_of_nothing_ranks_by_similarity_and_without_texts_by_popularity() -> None:
    bank = made_up_bank((*TASKS, "new"))
    empty = TransferWeb("none", (), (), TASKS, np.empty((0, 0, len(TASKS))))
    alone = BlendSelector().score(SelectionProblem("new", empty, TASKS, "all", bank, bank.of("new")))
    assert (
        np.corrcoef(alone, RoeSelector().score(SelectionProblem("new", empty, TASKS, "all", bank, bank.of("new"))))[0, 1] > 0.8
    )
    web, _ = planted("popularity")
    blind = SelectionProblem("new", web, TASKS)
    assert np.corrcoef(BlendSelector().score(blind), PopularitySelector().score(blind))[0, 1] > 0.95
    with pytest.raises(WebError, match="neither measured transfers nor texts"):
        BlendSelector().score(SelectionProblem("new", empty, TASKS))


@pytest.mark.parametrize("targets", [0, 1, 2, 3])
def test_texts_of_own_candidates_alone_give_no_similarity(targets: int) -> None:
    """They cannot be compared with measured sources without texts."""
    web = made_up_web().restrict(targets=made_up_web().targets[: targets + 1])
    bank = made_up_bank(("own", "new"))
    wider = with_unmeasured(web, bank, ["own"])
    problem = SelectionProblem("new", wider, wider.sources, "all", bank, bank.of("new"))
    assert BlendSelector().weights(problem) == pytest.approx({family: float(family == "popularity") for family in FAMILIES})


@pytest.mark.parametrize("targets", [0, 1, 2, 3])
def test_few_targets_and_disjoint_tasks(targets: int) -> None:
    web = made_up_web().restrict(targets=made_up_web().targets[:targets], sources=("task6", "task7", "task5"))
    bank = made_up_bank((*made_up_web().tasks, "new"))
    scores = BlendSelector().score(SelectionProblem("new", web, web.sources, "all", bank, bank.of("new")))
    assert np.isfinite(scores).all()


def test_few_measurements_pull_a_score_to_the_middle() -> None:
    """One good result is less evidence than many."""
    t = np.zeros((1, 16, 16)) + np.random.default_rng(0).normal(0, 0.01, (1, 16, 16))
    t[0, :, 2] += 0.05
    t[0, :, 3] += 0.05
    web = web_of(t)
    web.t[0, 1:, 3] = np.nan
    scores = BlendSelector().score(SelectionProblem("new", web, TASKS))
    assert scores[2] > scores[3] > np.median(scores)


def test_what_was_learned_is_cached_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web, bank = planted("popularity")
    problem = SelectionProblem("new", web, TASKS, "all", bank, bank.of("task03"))
    first = BlendSelector(cache=tmp_path).score(problem)
    assert first == pytest.approx(BlendSelector().score(dataclasses.replace(problem, cache={})))
    monkeypatch.setattr("taskweb.selectors.blend.selector.validate", lambda *_a, **_k: pytest.fail("learned again"))
    assert np.array_equal(first, BlendSelector(cache=tmp_path).score(dataclasses.replace(problem, cache={})))


def test_a_broken_or_foreign_cache_is_ignored(tmp_path: Path) -> None:
    web, bank = planted("popularity")
    validation = validate(web, bank, rate=3.0)
    store(tmp_path, "a", validation)
    assert np.array_equal(load(tmp_path, "a").ranking, validation.ranking)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for content in (b"", b"broken", whole[:-1], whole[32:], whole[:500] + b"?!" + whole[502:]):
        file.write_bytes(content)
        assert load(tmp_path, "a") is None
    assert load(tmp_path, "b") is None
    (tmp_path / "file").write_text("in the way")
    store(tmp_path / "file", "a", validation)


def test_the_key_distinguishes_webs_texts_and_rates() -> None:
    web, bank = planted("popularity")
    keys = {
        cache_key(web, bank, 4.0, 32),
        cache_key(web, bank, 2.0, 32),
        cache_key(web, bank, 4.0, 8),
        cache_key(web, None, 4.0, 32),
        cache_key(web.without("task01"), bank, 4.0, 32),
        cache_key(planted("similarity")[0], bank, 4.0, 32),
        cache_key(web, made_up_bank(TASKS, seed=9), 4.0, 32),
    }
    assert len(keys) == 7
    assert cache_key(*planted("popularity"), 4.0, 32) in keys


def test_large_webs_are_thinned_and_still_ranked() -> None:
    draw = np.random.default_rng(0)
    names = tuple(f"t{i:03d}" for i in range(400))
    web = TransferWeb("large", ("m/f",), names[:300], names, draw.normal(0, 0.1, (1, 300, 400)))
    seen = thinned(web)
    assert len(seen.targets) == MOST_TARGETS
    assert len(seen.sources) == MOST_SOURCES
    assert set(seen.targets) <= set(seen.sources)
    bank = ExampleBank({name: rows[:2] for name, rows in made_up_bank((*names, "new")).vectors.items()})
    scores = BlendSelector().score(SelectionProblem("new", web, web.sources, "all", bank, bank.of("new")))
    assert np.isfinite(scores).all()


def test_similarity_within_a_bank_is_that_of_the_functions() -> None:
    bank = made_up_bank(TASKS)
    found = similarity_within(bank, TASKS[:3], TASKS, examples=50).values
    for i, query in enumerate(TASKS[:3]):
        for form, similarity in enumerate((retrieval_of_experts, _coverage, mean_embedding_cosine)):
            assert found[form, i] == pytest.approx(similarity(bank.of(query), bank, TASKS), abs=1e-6)


def test_rows_are_standardised_with_ties_and_gaps() -> None:
    rows = np.array([[1.0, 2.0, np.nan, 3.0], [5.0, 5.0, 5.0, np.nan], [np.nan] * 4])
    z = standardised_rows(rows)
    assert z[0, [0, 1, 3]] == pytest.approx([-1.2247, 0, 1.2247], abs=1e-4)
    assert z[1, :3] == pytest.approx([0, 0, 0])
    assert np.isnan(z[2]).all()
    peaks = peaked_rows(np.array([[3.0, 1.0, 1.0, np.nan, 0.0]]))[0]
    assert peaks[0] > peaks[1] == peaks[2] > peaks[4]
    assert np.isnan(peaks[3])
    plain = np.random.default_rng(0).permutation(8.0 + np.arange(8)).reshape(1, 8)
    falling = 2.0 ** -(7 - (plain - 8))
    assert peaked_rows(plain) == pytest.approx((falling - falling.mean()) / falling.std())


@pytest.mark.parametrize("peak", [0.0, 0.3])
def test_a_member_pools_transfers_by_its_formula(peak: float) -> None:
    """As the docstrings say, pivot by pivot: weights exp(similarity / width), the setup at hand and all, size and peak."""
    web, bank = planted("similarity")
    known = web.without("task00")
    similarity = similarity_within(bank, ["task00"], known.tasks, examples=4)
    evidence = Evidence.of(known, ["m1/f"], ["new"], similarity)
    member = EnsembleMember(PIVOTS, peak=peak, own=0.5, width=0.8)
    (found,) = scores_by_member(evidence, [member])
    weights = np.exp(mean_similarity(similarity.values)[0] / 0.8)
    forms = [(1 - peak) * standardised_rows(known.t) + peak * peaked_rows(known.t)]
    expected = np.zeros(len(known.sources))
    for rows, share in ((forms[0][1], 0.5), (forms[0].mean(axis=0), 0.5)):
        for j in range(len(known.sources)):
            pivots = [i for i in range(len(known.targets)) if i != j]
            mass = sum(weights[i] for i in pivots) + 0.05 * weights.sum()
            expected[j] += share * sum(weights[i] * rows[i, j] for i in pivots) / mass
    assert found[0, 0] == pytest.approx((expected - expected.mean()) / expected.std())


def test_utilities_agree_with_the_metrics() -> None:
    draw = np.random.default_rng(0)
    truth, scores = draw.normal(size=(4, 9)), draw.normal(size=(4, 9))
    found, regret = OrderTruth(truth).ndcg_and_regret(scores)
    assert found == pytest.approx([ndcg(a, b) for a, b in zip(truth, scores, strict=True)])
    z = (truth - truth.mean(axis=1, keepdims=True)) / truth.std(axis=1, keepdims=True)
    taken = [row[np.argsort(-by)[:5]].mean() for row, by in zip(z, scores, strict=True)]
    assert regret == pytest.approx([np.sort(row)[-5:].mean() for row in z] - np.array(taken))
    assert (regret >= 0).all()
    assert OrderTruth(truth).ndcg_and_regret(truth)[1] == pytest.approx(np.zeros(4))
    sampled = np.mean([ndcg(truth[0], draw.normal(size=9)) for _ in range(3000)])
    assert OrderTruth(truth).chance[0] == pytest.approx(sampled, abs=0.01)
    auc = HarmTruth(truth).auc(scores)
    for row in range(4):
        wins = [a > b for a in scores[row][truth[row] >= 0] for b in scores[row][truth[row] < 0]]
        assert auc[row] == pytest.approx(np.mean(wins))
    assert np.isnan(HarmTruth(np.abs(truth)).auc(scores)).all()


def test_utilities_with_ties_and_gaps_agree_with_the_metrics_whatever_the_order_of_names() -> None:
    draw = np.random.default_rng(1)
    truth, scores = draw.integers(-2, 3, (30, 9)).astype(float), draw.integers(0, 4, (30, 9)).astype(float)
    truth[draw.random(truth.shape) < 0.2] = np.nan
    judge, known = OrderTruth(truth), np.isfinite(truth)
    found, regret = judge.ndcg_and_regret(scores)
    assert judge.varies.all()
    assert found == pytest.approx([ndcg(a[k], b[k]) for a, b, k in zip(truth, scores, known, strict=True)])
    renamed = draw.permutation(9)
    again, regret_again = OrderTruth(truth[:, renamed]).ndcg_and_regret(scores[:, renamed])
    assert again == pytest.approx(found)
    assert regret_again == pytest.approx(regret)
    assert (regret > -1e-12).all()
    for row, auc in enumerate(HarmTruth(truth).auc(scores)):
        pairs = [(a, b) for a in scores[row][truth[row] >= 0] for b in scores[row][truth[row] < 0]]
        assert (not pairs and np.isnan(auc)) or auc == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))


@pytest.mark.parametrize("size", [3, 5, 6, 20])
def test_the_utility_of_scores_is_on_one_scale_for_any_number_of_sources(size: int) -> None:
    draw = np.random.default_rng(size)
    truth = np.full((2000, size + 1), np.nan)
    truth[:, :size] = draw.normal(size=(2000, size))
    judge = OrderTruth(truth)
    right, guessed = judge.utility(np.nan_to_num(truth)), draw.normal(size=truth.shape)
    assert right == pytest.approx(np.ones(2000))
    ndcg_of, regret = judge.ndcg_and_regret(guessed)
    assert (judge.utility(guessed) + REGRET_WEIGHT * regret).mean() == pytest.approx(0, abs=0.03)
    assert regret.mean() == pytest.approx({3: 0, 5: 0, 6: 0.25, 20: 1.2}[size], abs=0.1)
    assert (ndcg_of <= 1).all()
    assert np.isnan(OrderTruth(np.array([[1.0, 1.0, 1.0], [1.0, np.nan, np.nan]])).utility(np.zeros((2, 3)))).all()


def test_the_published_web_distinguishes_sources_well() -> None:
    web, bank = published_web(), published_bank()
    validation = validate(web, bank, rate=3.0)
    assert validation.evidence > 5
    assert np.nanmean(validation.ndcg) > 0.65


def test_the_rate_is_checked() -> None:
    with pytest.raises(ParameterError, match="'rate' parameter of the blend"):
        BlendSelector(rate=-1.0)


def _coverage(target: FloatArray, bank: ExampleBank, sources: Sequence[str]) -> FloatArray:
    return 2 * retrieval_both_ways([target], bank, sources)[0] - retrieval_of_experts(target, bank, sources)
