"""What to measure next: worth by what the decision gains from it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taskweb.active.acquisition import POLICIES, Choosing, decision_weights, improvements, left_to_gain
from taskweb.errors import ParameterError
from taskweb.selectors.gain_prior import GainPrior, Spread
from taskweb.selectors.posterior import MeasuredGain, Posterior

SOURCES = ("a", "b", "c", "d", "e", "f")


def posterior(means: list[float], deviations: list[float], runs: tuple[MeasuredGain, ...] = ()) -> Posterior:
    known = Spread(0.0, 1e-9)
    prior = GainPrior(
        SOURCES[: len(means)], np.array(means), np.diag(np.square(deviations)), known, Spread(math.log(0.5), 1e-9)
    )
    return Posterior(prior, runs)


def test_the_value_of_a_run_is_what_the_decision_gains_on_average() -> None:
    """Against a simulation: draw the gain, draw a run, decide anew."""
    known = posterior([0.5, 0.4, 0.0, -1.0], [0.5, 1.0, 0.5, 0.2])
    draw, weights = np.random.default_rng(0), decision_weights(2, 4)
    for source in range(4):
        spread = math.sqrt(known.covariance[source, source] + known.noise_variance)
        moves = known.covariance[:, source] / spread
        means = known.mean + np.outer(draw.standard_normal(200_000), moves)
        simulated = float((-np.sort(-means, axis=1)[:, :2] @ weights).mean() - -np.sort(-known.mean)[:2] @ weights)
        assert improvements(known, 2)[source] == pytest.approx(simulated, abs=0.02)


def test_runs_that_cannot_change_the_decision_are_worth_nothing() -> None:
    worth = improvements(posterior([5.0, 4.0, 0.0, -5.0], [0.1, 0.1, 0.1, 0.1]), 1)

    assert worth == pytest.approx(np.zeros(4), abs=1e-6)


def test_knowledge_gradient_prefers_what_is_uncertain_and_near_the_decision() -> None:
    worth = improvements(posterior([1.0, 0.9, 0.9, -9.0], [0.01, 1.0, 0.1, 1.0]), 1)

    assert worth.argmax() == 1
    assert worth[3] < 1e-3


def test_what_is_left_to_gain_shrinks_with_knowledge() -> None:
    before = posterior([0.0] * 6, [1.0] * 6)
    runs = tuple(MeasuredGain(source, seed, 0.1 * i) for i, source in enumerate(SOURCES) for seed in range(20))

    assert left_to_gain(before) > 4 * left_to_gain(before.after(*runs))
    assert left_to_gain(before.after(*runs)) >= 0


@pytest.mark.parametrize("name", POLICIES)
def test_policies_choose_only_what_may_be_run(name: str) -> None:
    may_run = np.array([False, True, False, True, False, False])
    known = Choosing(
        posterior([9.0, 0.0, 8.0, -1.0, 7.0, 6.0], [1.0] * 6), may_run, np.zeros(6, int), 5, np.random.default_rng(0)
    )

    assert {POLICIES[name](known) for _ in range(10)} <= {1, 3}


def test_cost_counts() -> None:
    seconds = np.array([100.0, 1.0])
    known = Choosing(
        posterior([0.1, 0.0], [1.0, 0.9]), np.ones(2, bool), np.zeros(2, int), 1, np.random.default_rng(0), seconds
    )

    assert POLICIES["kg"](known) == 1


def test_uniform_runs_each_source_before_any_twice() -> None:
    counts = np.array([1, 1, 0, 0])
    known = Choosing(posterior([9.0, 8.0, 1.0, 2.0], [1.0] * 4), np.ones(4, bool), counts, 5, np.random.default_rng(0))

    assert POLICIES["uniform"](known) == 3


def test_weights_of_a_decision() -> None:
    assert decision_weights(3, 2) == pytest.approx([2 / 3, 1 / 3])
    with pytest.raises(ParameterError, match="1 or more"):
        decision_weights(0, 3)
