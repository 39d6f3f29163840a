"""The blend on large webs: thinning, and that blocks change no result."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

from taskweb.selectors import BlendSelector, SelectionProblem, rank
from taskweb.selectors.blend import prediction_intervals
from taskweb.selectors.blend.evidence import Form, Transfers
from taskweb.selectors.blend.selector import MOST_PIVOTS, nearest_pivots
from taskweb.selectors.blend.standardise import peaked_rows, standardised_rows
from taskweb.selectors.blend.validation import MOST_SETUPS, members_for, thinned, validate
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.arrays import nan_mean
from tests.conftest import made_up_bank
from tests.selectors.blend.test_selector import planted


def large_web(targets: int, sources: int, setups: int = 1) -> TransferWeb:
    draw = np.random.default_rng(0)
    names = tuple(f"t{i:04d}" for i in range(sources))
    t = draw.normal(0, 0.1, (setups, targets, sources))
    t[draw.random(t.shape) < 0.2] = np.nan
    t[:, np.arange(targets), np.arange(targets)] = np.nan
    return TransferWeb("large", tuple(f"m{i}/f" for i in range(setups)), names[:targets], names, t, pc=t)


def problem_of(web: TransferWeb) -> SelectionProblem:
    bank = made_up_bank((*web.sources, "new"), examples=2)
    return SelectionProblem("new", web, web.sources, web.setups[0], bank, bank.of("new"))


@pytest.mark.parametrize("setups", [1, 3])
@pytest.mark.parametrize("form", ["size", "peak", "gain"])
def test_blocks_of_pivots_give_what_all_at_once_give(setups: int, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    web = large_web(20, 30, setups)
    asked = web.setups if setups == 1 else (*web.setups[1:], ALL_SETUPS)
    at_once: Form = getattr(Transfers.of(web, asked), form)
    monkeypatch.setattr("taskweb.selectors.blend.evidence._BLOCK", 7 * 30)
    in_blocks: Form = getattr(Transfers.of(web, asked), form)
    assert np.array_equal(at_once.own, in_blocks.own, equal_nan=True)
    assert np.array_equal(at_once.everywhere, in_blocks.everywhere, equal_nan=True)


def test_forms_are_those_of_the_setups_filled_from_the_others() -> None:
    web = large_web(20, 30, 3)
    found = Transfers.of(web, (web.setups[2], ALL_SETUPS)).peak
    everywhere = nan_mean(np.array([peaked_rows(rows) for rows in web.t]), axis=0)
    for own, t in zip(found.own, (web.t[2], nan_mean(web.t, axis=0)), strict=True):
        expected = peaked_rows(t)
        assert np.array_equal(own, np.where(np.isnan(expected), everywhere, expected), equal_nan=True)
    alone = Transfers.of(large_web(20, 30), ("m0/f",)).size
    assert np.array_equal(alone.own[0], standardised_rows(large_web(20, 30).t[0]), equal_nan=True)


def test_pivots_are_thinned_to_the_most_similar_whatever_the_order_of_the_web() -> None:
    web = large_web(MOST_PIVOTS + 60, MOST_PIVOTS + 80)
    problem = problem_of(web)
    turned = web.restrict(targets=web.targets[::-1], sources=web.sources[::-1])
    assert set(thinned(web).targets) == set(thinned(turned).targets)
    assert set(thinned(web).sources) == set(thinned(turned).sources)
    assert len(nearest_pivots(web, None).targets) == MOST_PIVOTS
    assert nearest_pivots(web, None).pc is None
    bank = ExampleBank({name: problem.bank.vectors[name] for name in (*turned.sources, "new")})  # type: ignore[union-attr]
    backwards = SelectionProblem("new", turned, turned.sources, "m0/f", bank, problem.vectors)
    assert BlendSelector().score(backwards)[::-1] == pytest.approx(BlendSelector().score(problem))


def test_a_task_as_its_own_source_is_no_transfer_to_learn_from() -> None:
    """For large webs, whether there are transfers is found without copying them."""
    own = np.where(np.eye(3, 4, dtype=bool), 0.1, np.nan)[None]
    names = tuple("abcd")
    assert members_for(TransferWeb("own", ("m/f",), names[:3], names, own), texts=False).ranking == ()
    own[0, 2, 0] = 0.1
    assert members_for(TransferWeb("one", ("m/f",), names[:3], names, own), texts=False).ranking != ()


def test_sources_that_share_a_predicted_gain_get_nearly_what_each_would_get_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    web, bank = planted("popularity")
    validation = validate(web, bank, rate=3.0)
    scores = np.random.default_rng(1).normal(size=1000)
    shared = prediction_intervals.predicted_gains(web, web.setups[0], validation, scores)
    monkeypatch.setattr(prediction_intervals, "_MOST_COMPUTED", len(scores))
    alone = prediction_intervals.predicted_gains(web, web.setups[0], validation, scores)
    assert shared is not None
    assert alone is not None
    assert len(shared) == len(alone) == len(scores)
    assert len(set(shared)) < 256
    assert [gain.harm for gain in shared] == pytest.approx([gain.harm for gain in alone], abs=0.03)
    gains = np.array([[gain.gain for gain in found] for found in (shared, alone)])
    assert np.abs(gains[0] - gains[1]).mean() < 0.05 * np.std(gains[1])


def test_memory_stays_within_a_few_copies_of_the_pivots_transfers() -> None:
    web = large_web(MOST_PIVOTS + 44, 3000)
    problem = problem_of(web)
    tracemalloc.start()
    try:
        ranking = rank(BlendSelector(), problem)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(ranking) == 3000
    assert peak < 10 * MOST_PIVOTS * 3000 * 8


def test_every_setup_of_a_web_with_many_has_predicted_gains() -> None:
    web = large_web(12, 14, MOST_SETUPS + 4)
    t = web.t + np.linspace(-0.1, 0.1, 14)
    web = dataclasses.replace(web, t=t, pc=t)
    thin = thinned(web)
    validation = validate(thin, None, rate=1.0)
    scores = np.linspace(-1, 1, 14)
    for setup in (*web.setups, ALL_SETUPS):
        found = prediction_intervals.predicted_gains(web, setup, validation, scores)
        assert found is not None
        assert all(one.low <= one.gain <= one.high for one in found)
    assert prediction_intervals.sharpness(web, validation) == prediction_intervals.sharpness(thin, validation) > 0.5
