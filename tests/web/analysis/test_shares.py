"""Shares, strengths and pairs that stand out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taskweb.errors import ParameterError
from taskweb.tasks.catalogue import catalogue
from taskweb.web import TransferWeb
from taskweb.web.analysis import shares
from taskweb.web.published import published_web
from tests.web.analysis.planted import web_of


def test_the_published_shares_are_those_counted_by_hand() -> None:
    web = published_web()
    result = shares(web)
    total_positive = total = 0
    for setup in web.setups:
        positive_t = positive_pc = negative_t = n = 0
        for j, target in enumerate(web.targets):
            for k, source in enumerate(web.sources):
                if source != target:
                    n += 1
                    positive_t += web.t[web.setup_index(setup), j, k] > 0
                    negative_t += web.t[web.setup_index(setup), j, k] < 0
                    positive_pc += web.pc[web.setup_index(setup), j, k] > 0
        row = next(row for row in result.by_setup if row.setup == setup)
        assert row.pairs == n == 441
        assert row.positive_t.value == pytest.approx(positive_t / n)
        assert row.negative_t.value == pytest.approx(negative_t / n)
        assert row.positive_pc.value == pytest.approx(positive_pc / n)
        assert row.positive_t.low < row.positive_t.value < row.positive_t.high
        total_positive, total = total_positive + positive_t, total + n
    assert result.pooled.positive_t.value == pytest.approx(total_positive / total)
    assert result.pooled.positive_t.value == pytest.approx(0.5672, abs=1e-4)
    assert result.pooled.positive_pc.value == pytest.approx(0.5850, abs=1e-4)


def test_the_published_strengths_and_pairs() -> None:
    web = published_web()
    result = shares(web)
    assert [s.task for s in result.sources[:3]] == ["cosmosqa", "socialiqa", "anli_r3"]
    assert result.sources[-1].task == "qqp"
    best = web.restrict(sources=["cosmosqa"]).without("nothing").t
    assert result.sources[0].mean_t.value == pytest.approx(float(np.nanmean(best)))
    assert (result.targets[0].task, result.targets[-1].task) == ("quartz", "cosmosqa")
    assert "squad_v2" not in {s.task for s in result.targets}
    strongest, worst = result.strongest[0], result.most_harmful[0]
    assert (strongest.source, strongest.target, strongest.agree, strongest.setups) == ("cosmosqa", "socialiqa", 7, 7)
    assert (worst.source, worst.target) == ("qqp", "cosmosqa")
    everything = web.t[np.isfinite(web.t)]
    assert len(everything) == result.pooled.pairs
    assert strongest.mean_t == pytest.approx(np.nanmax(np.mean(web.t, axis=0)))


def test_categories_are_those_of_the_catalogue_and_cover_every_pair() -> None:
    web = published_web()
    cells = shares(web).by_category
    assert sum(cell.pairs for cell in cells) == np.isfinite(web.t).sum()
    cell = next(c for c in cells if (c.source_category, c.target_category) == ("sentiment", "NLI"))
    sources = [s for s in web.sources if catalogue()[s].category == "sentiment"]
    targets = [t for t in web.targets if catalogue()[t].category == "NLI"]
    assert cell.mean_t.value == pytest.approx(np.mean(web.restrict(sources=sources, targets=targets).t))


def test_signs_are_counted_with_zero_in_neither() -> None:
    t = np.array([[0, 1, 2, 0.0], [-1, 0, 3, 0], [-1, 2, 0, 0], [0, 0, 0, 0]])
    pooled = shares(web_of(t)).pooled
    assert (pooled.pairs, pooled.positive_t.value, pooled.negative_t.value) == (
        12,
        pytest.approx(4 / 12),
        pytest.approx(2 / 12),
    )
    assert pooled.quantiles[0] == -1
    assert pooled.quantiles[-1] == 3
    assert math.isnan(pooled.positive_pc.value)


def test_estimated_and_standardised_values_are_noted() -> None:
    web = web_of(np.ones((4, 4)), scale="zscore", estimated_sources=frozenset({"task01"}))
    result = shares(web)
    assert result.pooled.pairs == 9
    assert "task01" not in {s.task for s in result.sources}
    notes = " ".join(result.notes)
    for said in ("standardised per target", "estimates: task01", "PC is not available", "count as 'other'"):
        assert said in notes


def test_strength_intervals_cover_as_they_say() -> None:
    draw = np.random.default_rng(0)
    covered = 0
    for seed in range(60):
        t = draw.normal(0.5, 1.0, (1, 26, 26))
        strength = shares(web_of(t), seed, resamples=300).sources[7]
        mean_of_all = 0.5 + 0.0 * strength.mean_t.value
        covered += strength.mean_t.low <= mean_of_all <= strength.mean_t.high
    assert 50 <= covered <= 60


def test_pairs_count_setups_that_agree_in_sign() -> None:
    t = np.zeros((3, 3, 3))
    t[:, 0, 1] = (3, 2, -1)
    t[:, 2, 0] = (-1, np.nan, -2)
    result = shares(web_of(t), top=5)
    (helps,), (hurts,) = result.strongest, result.most_harmful
    assert (helps.source, helps.target, helps.setups, helps.agree) == ("task00", "task01", 3, 2)
    assert (helps.lowest_t, helps.highest_t, helps.mean_t) == (-1, 3, pytest.approx(4 / 3))
    assert (hurts.source, hurts.target, hurts.setups, hurts.agree) == ("task02", "task00", 2, 2)
    with pytest.raises(ParameterError, match="'top' parameter"):
        shares(web_of(t), top=0)


def test_a_web_without_scores_gives_no_figures_and_says_so() -> None:
    empty = np.full((1, 2, 2), np.nan)
    result = shares(TransferWeb("empty", ("m/f",), ("a", "b"), ("a", "b"), empty))
    assert "No transfer was measured" in result.verdict
    assert result.sources == result.strongest == ()
    assert any("was measured" in note for note in result.notes)
