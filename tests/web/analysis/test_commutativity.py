"""Does a transfer say anything about the reverse transfer?"""

from __future__ import annotations

import math

import numpy as np
import pytest

from taskweb.web.analysis import commutativity
from taskweb.web.published import published_web
from tests.web.analysis.planted import blocks_web, web_of


def test_the_published_figures_are_those_counted_by_hand() -> None:
    web = published_web()
    result = commutativity(web, resamples=50, permutations=50)
    for row in result.rows:
        t = web.transfer(row.setup)
        there, back, opposite = [], [], 0
        both = [task for task in web.targets if task in web.sources]
        for a in both:
            for b in both:
                if a < b:
                    one = t[web.target_index(b), web.source_index(a)]
                    other = t[web.target_index(a), web.source_index(b)]
                    there += [one, other]
                    back += [other, one]
                    opposite += one * other < 0
        assert row.pairs == len(there) // 2 == 210
        assert row.pearson.value == pytest.approx(np.corrcoef(there, back)[0, 1])
        ranks = [[sum(v < w for v in x) + x.count(w) / 2 for w in x] for x in (there, back)]
        assert row.spearman.value == pytest.approx(np.corrcoef(*ranks)[0, 1])
        assert row.opposite.value == pytest.approx(opposite / row.pairs)


def test_published_transfers_do_not_commute_but_for_a_trace_beyond_strengths() -> None:
    result = commutativity(published_web())
    assert result.verdict.startswith("Transfers do not commute")
    row = result.mean
    assert row.pearson.value == pytest.approx(0.1205, abs=1e-4)
    assert row.pearson.low < 0 < row.pearson.high
    assert row.pearson_p > 0.05
    assert row.opposite.value == pytest.approx(0.4095, abs=1e-4)
    assert row.residual.value == pytest.approx(0.3264, abs=1e-4)
    assert row.residual_p < 0.01
    assert any("squad_v2" in note for note in result.notes)


def test_a_symmetric_web_commutes_and_an_antisymmetric_one_is_opposite() -> None:
    x = np.random.default_rng(0).normal(size=(2, 12, 12))
    symmetric = commutativity(web_of(x + x.swapaxes(1, 2)), permutations=200, resamples=200)
    for row in symmetric.rows:
        assert row.pearson.value == pytest.approx(1.0)
        assert row.spearman.value == pytest.approx(1.0)
        assert row.residual.value == pytest.approx(1.0)
        assert row.pearson.low == pytest.approx(1.0)
        assert row.opposite.value == 0
        assert row.pearson_p < 0.01
    assert symmetric.verdict.startswith("Transfers largely commute")
    antisymmetric = commutativity(web_of(x - x.swapaxes(1, 2)), permutations=200, resamples=200).mean
    assert antisymmetric.pearson.value == pytest.approx(-1.0)
    assert antisymmetric.opposite.value == 1
    assert antisymmetric.pearson_p > 0.95


def test_blocks_commute_weakly_or_more() -> None:
    result = commutativity(blocks_web(noise=2.0), permutations=200, resamples=50)
    assert result.mean.pearson_p < 0.05
    assert result.verdict.startswith(("Transfers commute weakly", "Transfers largely commute"))


def test_p_values_of_unrelated_transfers_are_spread_evenly() -> None:
    draw = np.random.default_rng(1)
    found = np.array(
        [
            commutativity(web_of(draw.normal(size=(9, 9))), seed, resamples=2, permutations=60).mean.pearson_p
            for seed in range(60)
        ]
    )
    assert 0.4 < found.mean() < 0.6
    assert (found < 0.05).mean() < 0.15


def test_strengths_alone_leave_no_residual_correlation() -> None:
    source, target = np.random.default_rng(2).normal(size=(2, 8))
    row = commutativity(web_of(source[:, None] + target[None]), permutations=20, resamples=20).mean
    assert math.isnan(row.residual.value)
    assert not math.isnan(row.pearson.value)


def test_too_few_pairs_give_no_figure() -> None:
    result = commutativity(web_of(np.ones((2, 2))))
    assert math.isnan(result.mean.pearson.value)
    assert "is unknown" in result.verdict
    assert any("no intervals" in note for note in result.notes)


def test_intervals_draw_tasks_in_both_of_their_roles() -> None:
    """One task that alone makes the correlation is not in every draw, so the interval reaches down to none."""
    draw = np.random.default_rng(4)
    t = draw.normal(size=(10, 10))
    t[0] = t[:, 0] = np.linspace(-9, 9, 10)
    row = commutativity(web_of(t), permutations=10).mean
    assert row.pearson.value > 0.8
    assert row.pearson.low < 0.3
