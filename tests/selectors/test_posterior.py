"""The posterior of gains: exact conditioning, one scale for predicted and measured, calibrated intervals."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.selectors import BlendSelector, PopularitySelector, SelectionProblem
from taskweb.selectors.gain_prior import GainPrior, Spread, _covariance, gain_prior, ignorant_prior
from taskweb.selectors.posterior import MeasuredGain, Posterior, order_of
from taskweb.web import TransferWeb
from taskweb.web.transfer_web import combined_score

SOURCES = ("a", "b", "c", "d")
KNOWN = Spread(math.log(0.1), 1e-9)  # a scale that is known


def prior(shape: list[float] | None = None, *, baseline_noise: float = 0.0, ratio: Spread = KNOWN) -> GainPrior:
    count = len(SOURCES)
    covariance = np.eye(count) + 0.5
    return GainPrior(SOURCES, np.array(shape or [0.0] * count), covariance, KNOWN, ratio, baseline_noise)


def test_before_any_run_it_is_the_prior() -> None:
    posterior = Posterior(prior([1.0, 0.0, -1.0, 0.5]))

    assert posterior.mean == pytest.approx([0.1, 0.0, -0.1, 0.05])
    assert posterior.covariance == pytest.approx(0.01 * (np.eye(4) + 0.5))
    assert order_of(posterior) == [0, 3, 1, 2]


def test_runs_condition_it_exactly() -> None:
    """Against the textbook formula, with noise of 0.01 (scale 0.1 x ratio 0.1) and a shared baseline."""
    runs = (MeasuredGain("a", 1, 0.2), MeasuredGain("a", 2, 0.1), MeasuredGain("b", 1, -0.1))
    posterior = Posterior(prior([0.5, 0.0, 0.0, 0.0], baseline_noise=0.03), runs)
    covariance = 0.01 * (np.eye(4) + 0.5)
    at, y, m = [0, 0, 1], np.array([0.2, 0.1, -0.1]), np.array([0.05, 0.0, 0.0, 0.0])
    shared = 0.03**2 * np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    inverse = np.linalg.inv(covariance[np.ix_(at, at)] + shared + 0.01**2 * np.eye(3))
    reach = covariance[:, at]

    assert posterior.mean == pytest.approx(m + reach @ inverse @ (y - m[at]), abs=1e-7)
    assert posterior.covariance == pytest.approx(covariance - reach @ inverse @ reach.T, abs=1e-7)


def test_parts_are_those_of_whole_covariances_to_the_last_digit() -> None:
    """Against conditioning that stores a whole covariance for each part, and changes all of it with every run."""
    draw = np.random.default_rng(0)
    base = draw.normal(size=(9, 6))
    wide = GainPrior(
        tuple("abcdefghi"),
        draw.normal(size=9),
        base @ base.T + np.eye(9),
        Spread(0, 0.8),
        Spread(-0.7, 0.5),
        baseline_noise=0.3,
    )
    runs = [MeasuredGain("abcdefghi"[draw.integers(9)], int(draw.integers(3)), float(draw.normal())) for _ in range(8)]
    posterior = Posterior(wide).after(*runs[:3]).after(*runs[3:])
    for part, (scale, noise) in enumerate(zip(posterior.parts.scale, posterior.parts.noise, strict=True)):
        mean, covariance = np.zeros(12), np.diag(np.full(12, 0.3**2))
        mean[:9], covariance[:9, :9] = math.sqrt(scale) * wide.shape, scale * wide.covariance
        for run in runs:
            at, shared = wide.sources.index(run.source), 9 + posterior.parts.seeds.index(run.seed)
            reach = covariance[at] + covariance[shared]
            variance = reach[at] + reach[shared] + noise
            mean += reach * ((run.gain - mean[at] - mean[shared]) / variance)
            covariance -= reach[:, None] * (reach / variance)[None]
        np.testing.assert_allclose(posterior.parts.mean[part], mean, rtol=1e-13, atol=1e-15)
        np.testing.assert_array_equal(posterior.parts.covariance(part), covariance[:9, :9])
        np.testing.assert_allclose(posterior.parts.columns(np.arange(12))[part], covariance, rtol=0, atol=1e-13 * scale + 1e-15)


def test_an_update_of_many_sources_stores_no_covariance_for_each_part() -> None:
    many = ignorant_prior([f"source{i}" for i in range(600)])
    posterior = Posterior(many).after(MeasuredGain("source3", 0, 0.1), MeasuredGain("source4", 1, 0.0))
    parts = posterior.parts
    own = sum(array.nbytes for array in (parts.mean, parts.reach, parts.pull, parts.noise, parts.log))
    assert own < many.covariance.nbytes
    assert parts.prior is many.covariance


def test_draws_before_any_run_have_the_covariance_of_the_prior() -> None:
    posterior = Posterior(prior([1.0, 0.0, -1.0, 0.5], ratio=Spread(math.log(0.5), 0.5)))
    assert np.cov(posterior.draws.T) == pytest.approx(posterior.covariance, abs=0.002)


def test_the_order_of_runs_does_not_matter() -> None:
    runs = [MeasuredGain("a", 1, 0.2), MeasuredGain("b", 1, -0.1), MeasuredGain("a", 2, 0.15)]
    wide = prior(baseline_noise=0.02, ratio=Spread(math.log(0.5), 0.5))

    assert Posterior(wide).after(*runs).mean == pytest.approx(Posterior(wide, tuple(reversed(runs))).mean)
    assert Posterior(wide).after(runs[0]).after(*runs[1:]).covariance == pytest.approx(Posterior(wide, tuple(runs)).covariance)


def test_a_run_of_one_source_says_something_of_correlated_ones() -> None:
    before, after = Posterior(prior()), Posterior(prior(), (MeasuredGain("a", 1, 0.3),))

    assert (after.mean > before.mean).all()
    assert after.mean[0] == after.mean.max()
    assert (after.deviation < before.deviation).all()


def test_a_bad_baseline_of_one_seed_is_not_taken_for_gains() -> None:
    """All sources measured with one seed look good by the same amount: the baseline was low."""
    runs = tuple(MeasuredGain(source, 1, 0.3) for source in SOURCES)
    shared = Posterior(prior(baseline_noise=0.3), runs)
    own = Posterior(prior(baseline_noise=0.0), runs)

    assert shared.mean.max() < 0.5 * own.mean.min()


def test_large_gains_say_that_the_scale_is_large() -> None:
    wide = GainPrior(SOURCES, np.zeros(4), np.eye(4), Spread(math.log(0.1), 1.0), Spread(math.log(0.3), 0.2), 0.0)
    small = Posterior(wide, (MeasuredGain("a", 1, 0.01), MeasuredGain("b", 1, -0.01)))
    large = Posterior(wide, (MeasuredGain("a", 1, 0.9), MeasuredGain("b", 1, -0.9)))

    assert large.deviation[3] > 3 * small.deviation[3]


def test_probabilities_are_of_the_same_posterior() -> None:
    posterior = Posterior(prior([2.0, 0.0, 0.0, -2.0]), (MeasuredGain("a", 1, 0.2),))

    assert posterior.p_top(2).sum() == pytest.approx(2)
    assert posterior.p_top(9).tolist() == [1.0] * 4
    assert posterior.p_top(1).argmax() == 0
    assert posterior.p_harm[3] > 0.9 > 0.1 > posterior.p_harm[0]
    low, high = posterior.interval()
    assert (low < posterior.mean).all()
    assert (posterior.mean < high).all()


def test_intervals_contain_what_they_promise() -> None:
    """Targets drawn from the prior, runs drawn with its noise."""
    draw, inside = np.random.default_rng(0), []
    belief = GainPrior(SOURCES, np.zeros(4), np.eye(4) + 0.5, Spread(math.log(0.05), 0.5), Spread(0.0, 0.3), 0.02)
    root = np.linalg.cholesky(belief.covariance)
    for _ in range(200):
        scale = math.exp(draw.normal(math.log(0.05), 0.5))
        gains = scale * (root @ draw.standard_normal(4))
        noise = scale * math.exp(draw.normal(0.0, 0.3))
        baseline = draw.normal(0.0, 0.02, 3)
        runs = tuple(
            MeasuredGain(SOURCES[s], k, float(gains[s] + baseline[k] + noise * draw.standard_normal()))
            for s, k in ((0, 0), (1, 0), (0, 1), (2, 2))
        )
        low, high = Posterior(belief, runs).interval()
        inside.append(((low <= gains) & (gains <= high)).mean())

    assert 0.75 < float(np.mean(inside)) < 0.85


def test_wrong_runs_are_named() -> None:
    with pytest.raises(NameNotFoundError, match="'e'"):
        Posterior(prior(), (MeasuredGain("e", 1, 0.1),))
    with pytest.raises(ParameterError, match="gain of a with seed 3"):
        Posterior(prior(), (MeasuredGain("a", 3, float("nan")),))


def test_without_a_web_it_starts_from_similarity_or_from_ignorance() -> None:
    ignorant = Posterior(ignorant_prior(SOURCES))
    similar = Posterior(ignorant_prior(SOURCES, np.array([1.0, 0.5, -0.5, -1.0])))

    assert np.ptp(ignorant.mean) == 0
    assert order_of(similar) == [0, 1, 2, 3]
    measured = similar.after(*(MeasuredGain("d", seed, 0.4) for seed in range(5)))
    assert order_of(measured)[0] == 3


def made_up_web(targets: int, *, slope: float, seed: int = 0) -> TransferWeb:
    """A web in which some sources help all targets: popularity tells the order as well as `slope` says."""
    draw = np.random.default_rng(seed)
    names = tuple(f"t{i}" for i in range(targets))
    sources = tuple(f"s{i}" for i in range(12))
    pc = 0.05 * (slope * draw.standard_normal(12) + math.sqrt(1 - slope**2) * draw.standard_normal((1, targets, 12)))
    seeds = np.full(pc.shape, 4.0)
    return TransferWeb(
        "made up", ("m/a",), names, sources, combined_score(pc, (pc > 0).astype(float)), pc=pc, n_seeds=seeds,
        pc_se=np.full(pc.shape, 0.02),
    )  # fmt: skip


def test_the_slope_follows_how_well_the_selector_does_on_targets_left_out() -> None:
    slopes = []
    for slope in (0.1, 0.9):
        web = made_up_web(16, slope=slope)
        problem = SelectionProblem("new", web, web.sources, "m/a")
        selector = BlendSelector()
        found = gain_prior(problem, selector, selector.score(problem))
        assert found.learned_from == 16
        assert math.exp(found.scale.middle) == pytest.approx(0.05, rel=0.4)
        assert found.baseline_noise == pytest.approx(0.04 * math.sqrt(1 / 3), rel=0.01)
        slopes.append(float(np.ptp(found.shape)))

    assert slopes[0] < 0.5 * slopes[1]


def test_selectors_that_cannot_be_left_out_and_small_webs_get_a_wide_prior() -> None:
    web = made_up_web(16, slope=0.9)
    problem = SelectionProblem("new", web, web.sources, "m/a")
    scores = PopularitySelector().score(problem)
    assert gain_prior(problem, PopularitySelector(), scores).learned_from == 0
    small = made_up_web(2, slope=0.9)
    problem = SelectionProblem("new", small, small.sources, "m/a")
    found = gain_prior(problem, BlendSelector(), BlendSelector().score(problem))
    assert found.learned_from == 0
    assert np.isfinite(Posterior(found).mean).all()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_web_of_one_seed_says_nothing_of_noise() -> None:
    web = dataclasses.replace(made_up_web(16, slope=0.9), pc_se=np.full((1, 16, 12), np.nan))
    problem = SelectionProblem("new", web, web.sources, "m/a")
    found = gain_prior(problem, BlendSelector(), BlendSelector().score(problem))
    assert found.learned_from == 16
    assert found.baseline_noise == ignorant_prior(SOURCES).baseline_noise
    assert found.ratio == ignorant_prior(SOURCES).ratio


def test_correlations_of_pairs_that_are_missing_stay_a_covariance() -> None:
    """Three sources of which no target has all: pairwise correlations that no gains could have."""
    gaps = np.full((60, 1, 3), np.nan)
    for target, (one, other, sign) in enumerate([(0, 1, 1.0), (1, 2, 1.0), (0, 2, -1.0)] * 20):
        gaps[target, 0, one], gaps[target, 0, other] = 1.0, sign
    found = _covariance(np.where(np.isnan(gaps), np.nan, 3 * gaps), [0, 1, 2])

    assert np.linalg.eigvalsh(found).min() > 1e-3
    assert found[0, 1] > 0 > found[0, 2]
