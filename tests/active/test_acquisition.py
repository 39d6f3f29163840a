"""What to measure next: worth by what the decision gains from it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taskweb.active import acquisition
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
    """Against a simulation: draw scale, noise, gains, baselines and a run, decide anew by exact conditioning."""
    wide = GainPrior(
        SOURCES[:4], np.array([0.5, 0.4, 0.0, -1.0]), np.diag([0.25, 1.0, 0.25, 0.04]), Spread(0, 0.8), Spread(-0.7, 0.5), 0.3
    )
    known, weights = Posterior(wide, (MeasuredGain("b", 1, 0.9),)), decision_weights(2, 4)
    draw, before = np.random.default_rng(0), known.mean
    worth = improvements(known, [1, 2, 1, 2], weights)
    for source, seed in ((0, 1), (1, 2), (2, 1)):
        parts = known.parts.with_seeds([seed])
        place, simulated = 4 + parts.seeds.index(seed), []
        covariance = parts.columns(np.arange(parts.mean.shape[1]))
        for part in draw.choice(len(parts.weights), 1500, p=parts.weights).tolist():
            truth = draw.multivariate_normal(parts.mean[part], covariance[part])
            gain = truth[source] + truth[place] + draw.normal() * math.sqrt(parts.noise[part])
            after = known.after(MeasuredGain(SOURCES[source], seed, float(gain))).mean
            simulated.append(-np.sort(-after)[:2] @ weights - weights @ -np.sort(-before)[:2])
        assert worth[source] == pytest.approx(np.mean(simulated), abs=4 * np.std(simulated) / math.sqrt(1500))


def test_runs_that_cannot_change_the_decision_are_worth_nothing() -> None:
    worth = improvements(posterior([5.0, 4.0, 0.0, -5.0], [0.1, 0.1, 0.1, 0.1]), [0] * 4, decision_weights(1, 4))

    assert worth == pytest.approx(np.zeros(4), abs=1e-6)


def test_knowledge_gradient_prefers_what_is_uncertain_and_near_the_decision() -> None:
    worth = improvements(posterior([1.0, 0.9, 0.9, -9.0], [0.01, 1.0, 0.1, 1.0]), [0] * 4, decision_weights(1, 4))

    assert worth.argmax() == 1
    assert worth[3] < 1e-3


def test_what_is_left_to_gain_shrinks_with_knowledge() -> None:
    before = posterior([0.0] * 6, [1.0] * 6)
    runs = tuple(MeasuredGain(source, seed, 0.1 * i) for i, source in enumerate(SOURCES) for seed in range(20))

    assert left_to_gain(before) > 4 * left_to_gain(before.after(*runs))
    assert left_to_gain(before.after(*runs)) >= 0


def test_a_seed_without_a_baseline_teaches_less_and_costs_more() -> None:
    wide = GainPrior(SOURCES[:2], np.zeros(2), np.eye(2), Spread(0.0, 0.1), Spread(-1.0, 0.1), 2.0)
    known, weights = Posterior(wide, (MeasuredGain("a", 1, 0.0), MeasuredGain("b", 1, 0.0))), decision_weights(1, 2)

    same, other = improvements(known, [1, 1], weights), improvements(known, [2, 2], weights)

    assert (same > other).all()


def test_the_number_of_sources_looked_at_together_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    known, weights = posterior([0.5, 0.4, 0.3, 0.0], [1.0, 0.5, 0.1, 2.0]), decision_weights(2, 4)
    whole = improvements(known, [0, 1, 0, 2], weights)
    monkeypatch.setattr(acquisition, "_AT_ONCE", 3)

    assert improvements(known, [0, 1, 0, 2], weights) == pytest.approx(whole)


def choosing(known: Posterior, *, may_run: object = True, counts: object = 0, costs: object = 1.0, k: int = 5) -> Choosing:
    """The state of a choice, the same for all sources where one value is given."""
    size = len(known.sources)
    return Choosing(
        known,
        np.broadcast_to(np.asarray(may_run, bool), size),
        np.broadcast_to(np.asarray(counts, np.int64), size),
        [0] * size,
        np.broadcast_to(np.asarray(costs, float), size),
        k,
        np.random.default_rng(0),
    )


@pytest.mark.parametrize("name", POLICIES)
def test_policies_choose_only_what_may_be_run(name: str) -> None:
    known = choosing(posterior([9.0, 0.0, 8.0, -1.0, 7.0, 6.0], [1.0] * 6), may_run=[False, True, False, True, False, False])

    assert {POLICIES[name](known) for _ in range(10)} <= {1, 3}


def test_cost_counts() -> None:
    assert POLICIES["kg"](choosing(posterior([0.1, 0.0], [1.0, 0.9]), costs=[100.0, 1.0], k=1)) == 1


def test_uniform_runs_each_source_before_any_twice() -> None:
    known = choosing(posterior([9.0, 8.0, 1.0, 2.0], [1.0] * 4), counts=[1, 1, 0, 0])

    assert POLICIES["uniform"](known) == 3


def test_weights_of_a_decision() -> None:
    assert decision_weights(3, 2) == pytest.approx([2 / 3, 1 / 3])
    assert decision_weights(1, 9) == pytest.approx([1.0])
    assert decision_weights(5, 9) == pytest.approx([2 / 6, *[1 / 6] * 4])
    with pytest.raises(ParameterError, match="1 or more"):
        decision_weights(0, 3)
