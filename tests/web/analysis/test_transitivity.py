"""If A helps B and B helps C, does A help C?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from taskweb.errors import ParameterError
from taskweb.web import TransferWeb
from taskweb.web.analysis import transitivity
from taskweb.web.published import published_web
from tests.web.analysis.planted import blocks_web, popularity_web, sensitivity_web, strengths_web, web_of


def by_hand(t: dict[tuple[str, str], float], tasks: tuple[str, ...], threshold: float) -> tuple[int, int, int]:
    """Triples, those with T(A -> C) > 0, and different pairs (A, C), one chain at a time."""
    triples = positive = 0
    pairs = set()
    for a in tasks:
        for b in tasks:
            if t.get((a, b), -1.0) > threshold:
                for c in tasks:
                    if len({a, b, c}) == 3 and (a, c) in t and t.get((b, c), -1.0) > threshold:
                        triples += 1
                        positive += t[a, c] > 0
                        pairs.add((a, c))
    return triples, positive, len(pairs)


def test_the_published_curves_are_those_counted_by_hand() -> None:
    web = published_web()
    result = transitivity(web, resamples=5, permutations=5)
    assert result.thresholds[0] == 0
    pooled = np.zeros((len(result.thresholds), 3), int)
    for name in (*web.setups, "all"):
        matrix = web.transfer(name)
        t = {
            (source, target): matrix[j, k]
            for j, target in enumerate(web.targets)
            for k, source in enumerate(web.sources)
            if source != target
        }
        curve = result.curve(name)
        assert curve.base_rate == pytest.approx(np.mean([value > 0 for value in t.values()]))
        for i, threshold in enumerate(result.thresholds):
            triples, positive, pairs = by_hand(t, web.sources, threshold)
            assert (curve.triples[i], curve.pairs[i]) == (triples, pairs)
            assert curve.positive[i].value == pytest.approx(positive / triples if triples else math.nan, nan_ok=True)
            if name != "all":
                pooled[i] += (triples, positive, pairs)
    curve = result.curve()
    assert curve.triples == tuple(pooled[:, 0])
    assert curve.pairs == tuple(pooled[:, 2])
    np.testing.assert_allclose([share.value for share in curve.positive], pooled[:, 1] / pooled[:, 0])


def test_the_published_web_is_transitive_mostly_through_strong_tasks() -> None:
    result = transitivity(published_web())
    curve = result.curve()
    shares = [share.value for share in curve.positive]
    assert shares == sorted(shares)  # grows with the threshold, as in the paper
    assert shares[0] == pytest.approx(0.7441, abs=1e-4)
    assert shares[-1] == pytest.approx(0.9754, abs=1e-4)
    assert curve.triples[0] == 18714
    assert result.finding == "transitivity"
    popularity, strictest = curve.baselines["popularity"], curve.strictest
    assert strictest is curve.baselines["sensitivity"]
    assert popularity.overall.value == pytest.approx(0.18, abs=0.01)
    assert strictest.overall.value == pytest.approx(0.0227, abs=0.005)
    assert strictest.overall_p < 0.02
    assert strictest.p[0] > 0.05  # above 0 alone, strong tasks explain all of it
    assert "explain most of it" in result.verdict


@pytest.mark.parametrize(
    ("web", "finding"),
    [
        (popularity_web(), "popularity"),
        (strengths_web(), "strengths"),
        (sensitivity_web(), "strengths"),
        (blocks_web(), "transitivity"),
        (web_of(np.random.default_rng(5).normal(size=(3, 12, 12))), "none"),
        (web_of(-np.ones((5, 5))), "unknown"),
        (web_of(np.ones((5, 5))), "none"),
    ],
    ids=["popularity", "strengths", "sensitivity", "blocks", "noise", "all negative", "all positive"],
)
def test_the_finding_is_what_was_planted(web: TransferWeb, finding: str) -> None:
    result = transitivity(web, resamples=100, permutations=150)
    assert result.finding == finding
    assert result.to_dict()["finding"] == finding
    assert result.verdict.endswith((".", ")."))


@pytest.mark.parametrize("planted", [popularity_web, strengths_web, sensitivity_web])
def test_single_tasks_are_seldom_mistaken_for_transitivity(planted: Callable[..., TransferWeb]) -> None:
    findings = [transitivity(planted(seed, setups=2, tasks=14), resamples=20, permutations=60).finding for seed in range(20)]
    assert findings.count("transitivity") <= 2


def test_no_task_occurs_twice_in_a_chain() -> None:
    t = np.full((3, 3), np.nan)
    t[0, 1], t[1, 0] = 1.0, 1.0  # A -> B -> A is no chain
    result = transitivity(web_of(t))
    assert result.curve().triples == (0,) * len(result.thresholds)
    assert result.finding == "unknown"
    assert any("no chain" in note for note in result.notes)


def test_a_chain_counts_only_where_its_end_is_measured() -> None:
    t = np.full((4, 4), np.nan)
    t[0, 1], t[1, 2], t[1, 3], t[0, 2] = 2.0, 3.0, 4.0, -1.0  # 0 -> 3 is missing
    curve = transitivity(web_of(t), resamples=10, permutations=10).curve()
    assert curve.triples[0] == 1
    assert curve.positive[0].value == 0.0


def test_quantiles_are_checked() -> None:
    with pytest.raises(ParameterError, match="'quantiles'"):
        transitivity(blocks_web(tasks=4), quantiles=(0.5, 1.5))
