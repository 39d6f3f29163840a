"""A target's gains in other setups as evidence: weights learned on targets left out, exact conditioning."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taskweb.metrics import rank_correlation
from taskweb.selectors import BlendSelector, PopularitySelector, SelectionProblem
from taskweb.selectors.gain_prior import UNKNOWN_SLOPE, gain_prior, ignorant_prior, left_out_rests, standardised
from taskweb.selectors.row_evidence import KEPT, UNKNOWN_OWN, UNKNOWN_SHARED, MeasuredRow, with_rows
from taskweb.web import TransferWeb
from taskweb.web.transfer_web import combined_score

SOURCES = tuple(f"s{i}" for i in range(12))
NOISE = 0.005


def two_setups(shared: float, *, targets: int = 16, seed: int = 0) -> tuple[TransferWeb, np.ndarray]:
    """A web whose gains in `small/a` and `large/a` have this correlation, and the gains of a further target in both."""
    draw = np.random.default_rng(seed)
    common, own = draw.standard_normal((1, targets + 1, 12)), draw.standard_normal((2, targets + 1, 12))
    pc = 0.05 * (math.sqrt(shared) * common + math.sqrt(1 - shared) * own)
    names = tuple(f"t{i}" for i in range(targets))
    web = TransferWeb(
        "made up", ("small/a", "large/a"), names, SOURCES, combined_score(pc, (pc > 0).astype(float))[:, :-1], pc=pc[:, :-1],
        n_seeds=np.full(pc[:, :-1].shape, 4.0), pc_se=np.full(pc[:, :-1].shape, NOISE),
    )  # fmt: skip
    return web, pc[:, -1]


def row(gains: np.ndarray, setup: str = "small/a", error: float = NOISE) -> MeasuredRow:
    return MeasuredRow(setup, gains, np.full(len(gains), error))


def test_without_a_web_it_conditions_as_the_textbook_says() -> None:
    web = TransferWeb("two", ("m/a",), ("p", "q"), SOURCES[:4], np.array([[[1.0, 0, 0, 0], [0, 1.0, 0, 0]]]))
    problem, selector = SelectionProblem("new", web, SOURCES[:4]), PopularitySelector()
    scores = standardised(selector.score(problem))
    prior = ignorant_prior(SOURCES[:4], scores)
    gains, error = np.array([0.3, 0.1, -0.1, -0.3]), 0.05
    found = with_rows(prior, problem, selector, [row(gains, "other/a", error)])

    scale = math.sqrt(gains.var() - error**2)
    rest = gains / scale - UNKNOWN_SLOPE * scores
    shared = KEPT * UNKNOWN_SHARED
    inverse = np.linalg.inv((UNKNOWN_OWN + (error / scale) ** 2) * np.eye(4) + 100.0)
    assert found.shape == pytest.approx(prior.shape + shared * inverse @ rest)
    assert found.covariance == pytest.approx(prior.covariance - shared**2 * inverse)


def test_its_weight_is_learned_from_targets_left_out() -> None:
    moved = []
    for shared in (0.0, 0.9):
        web, gains = two_setups(shared)
        problem, selector = SelectionProblem("new", web, SOURCES, "large/a"), BlendSelector()
        prior = gain_prior(problem, selector, selector.score(problem))
        found = with_rows(prior, problem, selector, [row(gains[0])])
        moved.append(float(np.abs(found.shape - prior.shape).mean()))
        if shared:
            assert rank_correlation(found.shape, gains[1]) > max(0.7, rank_correlation(prior.shape, gains[1]))
            assert (np.diag(found.covariance) < 0.9 * np.diag(prior.covariance)).all()
    assert moved[0] < 0.4 * moved[1]


def test_a_noisy_row_says_less_and_an_empty_one_nothing() -> None:
    web, gains = two_setups(0.9)
    problem, selector = SelectionProblem("new", web, SOURCES, "large/a"), BlendSelector()
    prior = gain_prior(problem, selector, selector.score(problem))

    def moved(own: MeasuredRow) -> float:
        return float(np.abs(with_rows(prior, problem, selector, [own]).shape - prior.shape).mean())

    assert 0 < moved(row(gains[0], error=0.04)) < moved(row(gains[0]))
    few = np.where(np.arange(12) < 2, gains[0], np.nan)
    for empty in (few, np.full(12, 0.1), np.full(12, np.nan)):
        assert with_rows(prior, problem, selector, [row(empty)]) is prior
    assert 0 < moved(MeasuredRow("small/a", gains[0], np.full(12, np.nan))) < moved(row(gains[0]))


def test_neither_the_level_nor_the_scale_of_a_row_counts() -> None:
    web, gains = two_setups(0.9)
    problem, selector = SelectionProblem("new", web, SOURCES, "large/a"), BlendSelector()
    prior = gain_prior(problem, selector, selector.score(problem))
    plain = with_rows(prior, problem, selector, [row(gains[0])])
    other = with_rows(prior, problem, selector, [row(3 * gains[0] + 0.2, error=3 * NOISE)])
    assert other.shape == pytest.approx(plain.shape)
    assert other.scale == plain.scale


def test_setups_that_the_web_lacks_are_like_those_it_has() -> None:
    web, gains = two_setups(0.9)
    problem, selector = SelectionProblem("new", web, SOURCES), BlendSelector()
    prior = gain_prior(problem, selector, selector.score(problem))
    rows = [row(gains[0], "unheard/of"), row(gains[1], "another/one")]
    found = with_rows(prior, problem, selector, rows)
    assert rank_correlation(found.shape, gains.mean(axis=0)) > rank_correlation(prior.shape, gains.mean(axis=0))
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_what_is_left_open_is_the_gain_less_what_scores_foretell() -> None:
    web, _ = two_setups(0.5)
    problem = SelectionProblem("new", web, SOURCES, "large/a")
    found = left_out_rests(problem, BlendSelector())
    assert found is not None
    assert sorted(found.setups) == ["large/a", "small/a"]
    assert np.nanmean(found.rests, axis=-1) == pytest.approx(np.zeros(found.rests.shape[:2]), abs=1e-9)
    assert left_out_rests(problem, PopularitySelector()) is None
