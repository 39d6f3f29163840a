"""Do setups agree?"""

from __future__ import annotations

import math

import numpy as np
import pytest

from taskweb.metrics import rank_correlation
from taskweb.web import TransferWeb
from taskweb.web.analysis import agreement
from taskweb.web.analysis.agreement import SetupParts, relation_of, setup_parts
from taskweb.web.published import published_web
from tests.web.analysis.planted import web_of


def spearman_by_hand(x: list[float], y: list[float]) -> float:
    ranks = [[sum(other < value for other in side) + side.count(value) / 2 for value in side] for side in (x, y)]
    return float(np.corrcoef(*ranks)[0, 1])


def test_the_published_figures_are_those_counted_by_hand() -> None:
    web = published_web()
    result = agreement(web, resamples=20)
    pair = next(p for p in result.pairs if (p.first, p.second) == ("gpt2m/finetune", "t5b/finetune"))
    one, other = web.transfer("gpt2m/finetune"), web.transfer("t5b/finetune")
    rankings, ceilings, everything = [], [], ([], [])
    for j, target in enumerate(web.targets):
        keep = [k for k, source in enumerate(web.sources) if source != target]
        rankings.append(spearman_by_hand(one[j, keep].tolist(), other[j, keep].tolist()))
        everything[0].extend(one[j, keep])
        everything[1].extend(other[j, keep])
        halves = [web.reliability[web.setup_index(s), j] for s in ("gpt2m/finetune", "t5b/finetune")]
        ceilings.append(math.sqrt(math.prod(max(0, 2 * r / (1 + r)) for r in halves)))
    assert pair.of_rankings.value == pytest.approx(np.mean(rankings))
    assert pair.ceiling == pytest.approx(np.mean(ceilings))
    assert pair.corrected == pytest.approx(np.mean(rankings) / np.mean(ceilings))
    assert pair.of_pairs.value == pytest.approx(spearman_by_hand(*everything))
    assert (pair.pairs, pair.targets) == (441, 21)


def test_published_setups_agree_by_how_much_they_share() -> None:
    result = agreement(published_web())
    by_relation = {row.relation: row for row in result.relations}
    assert {name: row.setup_pairs for name, row in by_relation.items()} == {
        "same model, other method": 3,
        "same family and method, other size": 3,
        "same family, other size and method": 4,
        "other family": 11,
        "any two": 21,
    }
    assert by_relation["any two"].of_rankings.value == pytest.approx(0.2704, abs=1e-4)
    assert by_relation["any two"].ceiling == pytest.approx(0.8047, abs=1e-4)
    assert by_relation["same model, other method"].of_rankings.value == pytest.approx(0.4422, abs=1e-4)
    assert by_relation["other family"].of_rankings.value == pytest.approx(0.1638, abs=1e-4)
    for row in result.relations[:3]:
        assert row.beyond_other_family.low > 0
    members = [p.of_pairs.value for p in result.pairs if p.relation == "other family"]
    assert by_relation["other family"].of_pairs == pytest.approx(np.mean(members))


def test_names_of_setups_have_parts() -> None:
    assert setup_parts("t5l/finetune") == SetupParts("t5l", "T5", "large", "finetune")
    assert setup_parts("mine/lora@rank8") == SetupParts("mine", "mine", "", "lora")
    assert setup_parts("plain") == SetupParts("plain", "plain", "", "")
    assert relation_of("t5b/bitfit", "t5b/pfeiffer") == "same model, other method"
    assert relation_of("t5b/bitfit@a", "t5b/bitfit@b") == "same model and method"
    assert relation_of("t5b/finetune", "t5s/finetune") == "same family and method, other size"
    assert relation_of("t5b/bitfit", "t5s/finetune") == "same family, other size and method"
    assert relation_of("mine/x", "yours/x") == "other family"


def test_equal_setups_agree_fully_and_reversed_ones_not_at_all() -> None:
    t = np.random.default_rng(0).normal(size=(8, 8))
    result = agreement(web_of(np.stack([t, t, -t])), resamples=50)
    same, reverse = result.pairs[0], result.pairs[1]
    assert same.of_rankings.value == pytest.approx(1.0)
    assert same.of_pairs.value == pytest.approx(1.0)
    assert reverse.of_rankings.value == pytest.approx(-1.0)
    assert math.isnan(same.ceiling)
    assert any("no ceiling" in note for note in result.notes)


def test_noise_alone_reaches_the_ceiling() -> None:
    """Two setups that differ by their seeds' noise alone agree as expected from the reliability of half the seeds."""
    draw = np.random.default_rng(1)
    n = 100
    halves = draw.normal(size=(n, n)) + math.sqrt(2) * draw.normal(size=(2, 2, n, n))  # setup, half of the seeds
    reliability = np.array([[rank_correlation(h[0][:, j], h[1][:, j]) for j in range(n)] for h in halves])
    web = web_of(halves.mean(axis=1), reliability=reliability)
    pair = agreement(web, resamples=5).pairs[0]
    assert pair.of_rankings.value < 0.6
    assert pair.corrected == pytest.approx(1.0, abs=0.06)


def test_one_setup_or_no_common_targets_have_nothing_to_compare() -> None:
    single = agreement(web_of(np.ones((4, 4))))
    assert single.pairs == single.relations == ()
    assert any("one setup" in note for note in single.notes)
    t = np.full((2, 4, 4), np.nan)
    t[0, :2], t[1, 2:] = 1.0, 1.0
    apart = agreement(TransferWeb("apart", ("a/x", "b/x"), tuple("pqrs"), tuple("pqrs"), t))
    assert math.isnan(apart.pairs[0].of_rankings.value)
    assert math.isnan(apart.pairs[0].of_pairs.value)
    assert "is unknown" in apart.verdict
