"""Detection of harm and calibration: by hand on small cases, and the same when read again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from taskweb.selectors.assessment import PredictedGain
from taskweb.selectors.benchmark import DrawSettings, ScoredTarget, benchmark
from taskweb.selectors.harm_results import FALSE_ALARMS, HarmJudge, parse_harm
from taskweb.web.transfer_web import TransferWeb
from tests.conftest import made_up_web


def web_of(gains: list[float]) -> TransferWeb:
    sources = tuple("abcdef"[: len(gains)])
    pc = np.array([[gains]])
    return TransferWeb("w", ("m/x",), ("target",), sources, pc, pc=pc)


def scored(scores: list[float], predicted: tuple[PredictedGain, ...] = ()) -> ScoredTarget:
    sources = tuple("abcdef"[: len(scores)])
    return ScoredTarget("one", "m/x", "target", 0, sources, np.array(scores), np.zeros(len(scores)), predicted)


@pytest.mark.parametrize(
    ("scores", "area"),
    [([4, 3, 2, 1], 1.0), ([1, 2, 3, 4], 0.0), ([0, 0, 0, 0], 0.5), ([4, 1, 2, 3], 0.5), ([4, 2, 2, 1], 0.875)],
)
def test_the_area_counts_pairs_in_the_right_order(scores: list[float], area: float) -> None:
    judge = HarmJudge(web_of([0.2, 0.1, -0.1, -0.2]))
    judge.add(scored(scores))
    (row,) = judge.results().detection
    assert row.auc.value == pytest.approx(area)
    assert row.found[-1] == 1.0
    assert all(a <= b for a, b in zip(row.found, row.found[1:], strict=False))
    if area == 1.0:
        assert row.found == (1.0,) * len(FALSE_ALARMS)


def test_a_target_without_harm_says_nothing() -> None:
    judge = HarmJudge(web_of([0.2, 0.1]))
    judge.add(scored([1, 2]))
    assert judge.results().detection == ()


def test_calibration_counts_what_happened() -> None:
    gains = [PredictedGain(0.0, -0.1, 0.15, 0.45), PredictedGain(0.0, -0.05, 0.05, 0.48), PredictedGain(0.1, 0.05, 0.2, 0.1)]
    judge = HarmJudge(web_of([0.2, -0.02, 0.1]))
    judge.add(scored([3, 2, 1], tuple(gains)))
    (found,) = judge.results().calibration
    assert found.coverage == pytest.approx(2 / 3)
    assert [(part.predicted, part.observed, part.pairs) for part in found.bins] == [
        (pytest.approx(0.1), 0.0, 1),
        (pytest.approx(0.465), 0.5, 2),
    ]


def test_of_a_benchmark_and_read_again() -> None:
    from taskweb.selectors import BlendSelector, PopularitySelector

    web = made_up_web()
    judge = HarmJudge(web)
    selectors = {"popularity": PopularitySelector(), "blend": BlendSelector()}
    benchmark(web, selectors, settings=DrawSettings(1), on_scores=judge.add, predict_gains=True)
    results = judge.results()
    assert {row.selector for row in results.detection} == {"popularity", "blend"}
    assert [one.selector for one in results.calibration] == ["blend"]
    assert sum(part.pairs for part in results.calibration[0].bins) == int(np.isfinite(web.t).sum())
    assert parse_harm(json.loads(json.dumps(results.to_dict()))) == results


@pytest.mark.parametrize("broken", [{}, {"detection": [{"selector": "a"}], "calibration": []}, {"detection": 3}])
def test_anything_else_is_refused(broken: object) -> None:
    with pytest.raises((TypeError, ValueError, LookupError)):
        parse_harm(broken)  # type: ignore[arg-type]
