"""Weights fitted to the targets of a web, and the setups that agree."""

from __future__ import annotations

import numpy as np
import pytest

from taskweb.selectors import BlendSelector, SelectionProblem
from taskweb.selectors.blend import conditional_logit
from taskweb.selectors.blend.conditional_logit import fit
from taskweb.selectors.blend.evidence import AGREEING, Evidence, Transfers
from taskweb.selectors.blend.members import features, scores_by_member
from taskweb.selectors.blend.standardise import falling_by_rank, standardised_rows
from taskweb.selectors.blend.text_similarity import MEASURES
from taskweb.selectors.blend.validation import EVEN_TARGETS, members_for, validate
from taskweb.web import ALL_SETUPS, TransferWeb
from tests.selectors.blend.test_selector import TASKS, planted, web_of


def orders(targets: int, noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of which the first speaks for a source, the second against it, the third not at all; and T."""
    draw = np.random.default_rng(seed)
    table = draw.normal(size=(targets, 2, 12, 3))
    return table, table @ [1.0, -0.5, 0.0] + noise * draw.normal(size=table.shape[:-1])


def judged(truth: np.ndarray) -> np.ndarray:
    return np.ones(truth.shape[:-1], dtype=bool)


def test_weights_point_where_the_order_comes_from() -> None:
    table, truth = orders(40)
    weights = fit(table, truth, judged(truth)).weights
    assert weights[0] > 0.5
    assert weights[1] / weights[0] == pytest.approx(-0.5, abs=0.1)
    assert abs(weights[2]) < 0.1 * weights[0]


def test_the_gradient_is_nothing_where_the_fit_ends() -> None:
    table, truth = orders(10)
    found = fit(table, truth, judged(truth)).weights
    shares = falling_by_rank(truth, conditional_logit.FALL)
    shares /= shares.sum(axis=-1, keepdims=True)

    def loss(weights: np.ndarray) -> float:
        logits = table @ weights
        return float(-(shares * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum() + 5 * weights @ weights)

    for direction in np.eye(3):
        assert loss(found) < min(loss(found + 0.01 * direction), loss(found - 0.01 * direction))


def test_without_a_target_the_weights_are_those_of_the_others() -> None:
    table, truth = orders(12)
    found = fit(table, truth, judged(truth))
    for i in (0, 5, 11):
        others = np.delete(np.arange(12), i)
        alone = fit(table[others], truth[others], judged(truth)[others]).weights
        assert found.without_own[i] == pytest.approx(alone, abs=0.02)
        assert np.abs(found.without_own[i] - alone).max() < 0.3 * np.abs(found.weights - alone).max()


def test_few_targets_leave_the_weights_small_and_none_leave_nothing() -> None:
    few, many = (fit(*orders(targets), judged(orders(targets)[1])).weights for targets in (2, 40))
    assert 0 < np.abs(few).sum() < 0.6 * np.abs(many).sum()
    table, truth = orders(4)
    nothing = fit(table, truth, np.zeros(truth.shape[:-1], dtype=bool))
    assert not nothing.weights.any()
    assert not nothing.without_own.any()


@pytest.mark.parametrize("shape", [(0, 0, 0, 4), (0, 2, 5, 4), (3, 2, 0, 4), (3, 0, 5, 4), (3, 2, 5, 0)])
def test_a_web_of_nothing_leaves_all_weights_at_nothing(shape: tuple[int, ...]) -> None:
    found = fit(np.zeros(shape), np.zeros(shape[:-1]), np.ones(shape[:-2], dtype=bool))
    assert found.weights.shape == shape[-1:]
    assert found.without_own.shape == (shape[0], shape[-1])
    assert not found.weights.any()


def test_what_was_not_measured_and_orders_not_judged_change_nothing() -> None:
    table, truth = orders(8)
    truth[0, 0, 3] = np.nan
    counts = judged(truth)
    counts[5, 1] = False
    first = fit(table, truth, counts)
    table, truth = table.copy(), truth.copy()
    table[0, 0, 3] = 100.0
    truth[5, 1] = truth[5, 1, ::-1]
    assert np.array_equal(fit(table, truth, counts).weights, first.weights)


def test_it_ends_at_the_least_loss_where_whole_steps_would_go_too_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditional_logit, "RIDGE", 1e-4)
    table, truth = orders(30, noise=0.0)
    table[..., 2] *= 50.0
    found = fit(table, truth, judged(truth)).weights
    shares = falling_by_rank(truth, conditional_logit.FALL).reshape(-1, 12)
    shares /= shares.sum(axis=-1, keepdims=True)
    said = np.exp((logits := table.reshape(-1, 12, 3) @ found) - logits.max(axis=-1, keepdims=True))
    said /= said.sum(axis=-1, keepdims=True)
    slope = np.einsum("nsf,ns->f", table.reshape(-1, 12, 3), said - shares) + 1e-4 * found
    assert np.abs(slope).max() < 1e-4


def test_the_more_targets_there_are_the_more_the_fit_counts() -> None:
    share = {}
    for targets in (4, 16):
        web, bank = planted("popularity")
        validation = validate(web.restrict(targets=TASKS[:targets]), bank, rate=3.0)
        spread = np.sqrt((validation.scores**2).mean())
        assert 0.3 < spread < 1.5
        share[targets] = 1.0 - validation.ranking.sum()
        assert 0 < share[targets] <= targets**2 / (targets**2 + EVEN_TARGETS**2)
        assert len(validation.fitted) == len(members_for(web, texts=True).fitted)
    assert share[16] > share[4]
    assert not validate(*planted("popularity"), rate=0.0).fitted.any()


@pytest.mark.parametrize(("texts", "measured", "setups"), [(True, True, True), (True, True, False), (False, True, True)])
def test_features_are_what_the_web_and_texts_allow(texts: bool, measured: bool, setups: bool) -> None:
    found = features(texts=texts, measured=measured, setups=setups)
    assert len(found) == len(set(found))
    assert len(found) == (4 if setups else 2) * (2 if texts else 1) + (len(MEASURES) if texts else 0)
    assert {member.kind for member in found if member.similarity} == (set(MEASURES) if texts else set())


def three_setups() -> TransferWeb:
    """Of three setups the first two are nearly one; the third is the opposite of the first."""
    draw = np.random.default_rng(0)
    first = draw.normal(size=(16, 16))
    return web_of(np.stack([first, first + 0.1 * draw.normal(size=(16, 16)), -first]))


def test_setups_agree_as_far_as_their_transfers_do() -> None:
    web = three_setups()
    found = Transfers.of(web, (*web.setups, ALL_SETUPS)).agreement
    assert np.array_equal(np.diag(found), np.ones(3))
    assert found[0, 1] == found[1, 0] > 0.95
    assert found[0, 2] == found[1, 2] == 0
    assert np.array_equal(found[3], np.ones(3))


def test_agreeing_setups_are_pooled_by_how_far_they_agree() -> None:
    web = three_setups()
    web.t[1, 4, 7] = np.nan
    transfers = Transfers.of(web, (web.setups[0], ALL_SETUPS))
    z = standardised_rows(web.t)
    mean = np.nanmean(z[:, 4, 7])
    share = transfers.agreement[0, 1]
    found = transfers.size.agreeing
    assert found[0, 3, 7] == pytest.approx((z[0, 3, 7] + share * z[1, 3, 7]) / (1 + share))
    assert found[0, 4, 7] == pytest.approx((z[0, 4, 7] + share * mean) / (1 + share))
    assert found[1, 3, 7] == pytest.approx(z[:, 3, 7].mean())
    evidence = Evidence.of(web, (web.setups[0],), ("new",), None)
    member = next(one for one in features(texts=False) if one.own == 0 and one.peak == 0)
    assert member.others == AGREEING
    (scores,) = scores_by_member(evidence, [member])
    expected = np.nanmean(np.where(np.eye(16, dtype=bool), np.nan, found[0]), axis=0)
    assert scores[0, 0] == pytest.approx((expected - expected.mean()) / expected.std())


def test_what_is_fitted_ranks_a_target_that_the_web_has_not_seen() -> None:
    """The scores of a target left out by hand are those of the validation that left it out, except for what its column adds."""
    web, bank = planted("similarity")
    whole = validate(web, bank, rate=3.0)
    for i, target in enumerate(TASKS[:4]):
        known = web.without(target)
        problem = SelectionProblem(target, known, known.sources, web.setups[0], bank.without(target), bank.of(target))
        assert np.corrcoef(BlendSelector().score(problem), np.delete(whole.scores[i, 0], i))[0, 1] > 0.9


def test_what_could_not_be_learned_counts_for_nothing() -> None:
    """With one target there is nothing to learn from when it is left out."""
    web, bank = planted("popularity")
    alone = validate(web.restrict(targets=TASKS[:1]), bank, rate=1.0)
    assert np.abs(alone.scores).max() < 5
    assert np.abs(alone.fitted).max() < 5
    assert np.abs(validate(web.restrict(targets=TASKS[:3]), bank, rate=1.0).scores).max() < 5


def test_a_source_that_helps_wherever_it_was_measured_is_first_on_a_sparse_web() -> None:
    names = tuple(f"k{i:02d}" for i in range(60))
    first = []
    for seed in range(6):
        draw = np.random.default_rng(seed)
        t = np.where(draw.random((1, 60, 60)) < 0.1, 0.02 * draw.normal(size=(1, 60, 60)), np.nan)
        t[..., 30] += 0.2
        t[0, np.arange(60), np.arange(60)] = np.nan
        web = TransferWeb("sparse", ("m/f",), names, names, t)
        scores = BlendSelector().score(SelectionProblem("new", web, names, "m/f", None, None))
        first.append(names[int(np.argmax(scores))])
    assert first.count("k30") >= 5
