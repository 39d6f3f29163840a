"""Simulated webs with the noise and the structure of the published one."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.selection.large_webs import BASELINE, COMPARED, JUDGED, NOISE, planned, simulated, structure
from taskweb.active.web_design import INTERACTION, POPULARITY, REST


def test_a_simulated_web_has_the_structure_that_it_was_made_with() -> None:
    found = [structure(simulated(24, 8, 0, np.random.default_rng(i)).web.gains) for i in range(8)]
    mean = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
    smooth = 0.6 * INTERACTION  # the rest of it is shared by all sources of a target
    within = POPULARITY + smooth + REST + NOISE / 8  # variance of a target's gains over sources, of means over 8 seeds
    assert mean["noise"] == pytest.approx(NOISE / within, rel=0.25)
    assert mean["baseline"] == pytest.approx(BASELINE / within, rel=0.25)
    assert mean["popularity"] == pytest.approx(POPULARITY / within, rel=0.3)


def test_structure_of_gains_without_noise_or_popularity() -> None:
    draw = np.random.default_rng(0)
    rest = draw.normal(size=(30, 40, 1))
    found = structure(rest + 0.5 * draw.normal(size=(30, 40, 8)))
    assert found["popularity"] == pytest.approx(0.0, abs=0.02)
    assert found["noise"] == pytest.approx(0.25, rel=0.2)
    assert found["baseline"] == pytest.approx(0.0, abs=0.02)


def test_designs_are_planned_and_judged_on_targets_that_are_not_in_the_web() -> None:
    own = simulated(10, 2, 3, np.random.default_rng(0))
    assert not set(own.unseen) & set(own.web.targets)
    assert own.truth.shape == (3, 10, 8)
    rows = planned(10, 2, 1, 3)
    assert [row["design"] for row in rows] == list(COMPARED)
    assert all(set(row["ndcg"]) == {str(share) for share in JUDGED} for row in rows)
    assert len({row["all_runs"] for row in rows}) == 1
