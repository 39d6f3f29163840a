from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import InputError
from taskweb.workflows.studies import KSweep, published_sweep, sweep_of_table


def figures(study: KSweep, group: str) -> dict[str, float]:
    return {point.label: point.score.value for point in getattr(study, group)}


def test_published_figures() -> None:
    study = published_sweep()
    wanted = {
        "points": {"1": 54.29, "3": 59.03, "5": 60.69, "10": 59.36, "all": 58.16},
        "chosen_by": {"roe": 56.59, "llm": 58.88, "taskshop": 60.69, "taskweb": 60.86, "all": 58.16},
        "unhelpful": {"0": 62.21, "1": 60.75, "2": 59.88, "3": 56.76, "4": 47.86, "5": 45.44},
    }
    for group, scores in wanted.items():
        assert figures(study, group) == pytest.approx(scores, abs=0.006)
    assert set(study.unhelpful[0].per_target) == {"anli_r3", "copa", "hellaswag", "rte"}
    assert all(len(point.per_target) == 11 for point in (*study.points, *study.chosen_by))
    assert any("web averaged over setups" in note for note in study.notes)


def test_taskshop_gains_at_least_the_published_share_over_all_sources() -> None:
    taskshop = next(point for point in published_sweep().chosen_by if point.label == "taskshop")
    assert taskshop.ratio_to_all == pytest.approx(1.0435, abs=5e-5)  # "at least 4.3%"
    assert 0 < taskshop.to_all.low < taskshop.to_all.value < taskshop.to_all.high


def test_differences_are_over_the_same_targets() -> None:
    study = published_sweep()
    everything = study.points[-1]
    assert math.isnan(everything.to_all.value)
    for point in (*study.points[:-1], *study.unhelpful):
        gaps = [score - everything.per_target[target] for target, score in point.per_target.items()]
        assert point.to_all.value == pytest.approx(np.mean(gaps))
        assert point.score.low < point.score.value < point.score.high


def test_more_sources_are_more_examples() -> None:
    amounts = [point.examples for point in published_sweep().points]
    assert amounts == sorted(amounts)
    assert amounts[0] <= 2000 < amounts[1] <= 6000


def table(path: Path, *lines: str, head: str = "k,target,score,seed,hours") -> Path:
    path.write_text("\n".join((head, *lines)) + "\n")
    return path


def test_own_results_are_means_over_seeds_and_targets(tmp_path: Path) -> None:
    lines = ["1,a,0.5,1,2", "1,a,0.7,2,4", "1,b,0.2,1,3", "all,a,0.8,1,10", "all,b,0.4,1,20"]
    study = sweep_of_table(table(tmp_path / "own.csv", *lines))
    one, everything = study.points
    assert (one.label, one.k, everything.label) == ("1", 1.0, "all")
    assert one.per_target == pytest.approx({"a": 60.0, "b": 20.0})
    assert one.score.value == pytest.approx(40.0)
    assert one.to_all.value == pytest.approx(-20.0)
    assert one.ratio_to_all == pytest.approx(40 / 60)
    assert (one.hours, everything.hours) == (pytest.approx(3.0), pytest.approx(15.0))
    assert study.notes == ()


def test_without_all_sources_the_longest_list_is_the_measure(tmp_path: Path) -> None:
    study = sweep_of_table(table(tmp_path / "own.csv", "10,a,0.5", "3,a,0.6", head="k,target,score"))
    assert [point.label for point in study.points] == ["3", "10"]
    assert study.points[0].to_all.value == pytest.approx(10.0)
    assert math.isnan(study.points[0].hours)
    assert "k = 10" in study.notes[0]
    assert json.loads(json.dumps(study.to_dict(), allow_nan=False))["points"][0]["hours"] is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("0,a,0.5", "x,a,0.5"), "line 2: k must be a whole number of 1 or more, or 'all', not '0'; line 3"),
        (("1,a,50",), "line 2: the score must be a fraction from 0 to 1, not '50'"),
        (("1,a,nan",), "not 'nan'"),
        (("1,,0.5",), "line 2: no target is named"),
        (("1,a,0.5", "1,a,0.6"), "a at k = 1 has 2 results"),
        (("1,a,0.5", "all,a,0.5", "all,b,0.5"), "k = 1 has no results for b"),
        (("1,a,0.5,,-2",), "hours must be 0 or more, not '-2'"),
        ((), "contains no results"),
    ],
)
def test_errors_of_a_table_are_named(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sweep_of_table(table(tmp_path / "own.csv", *lines))


def test_a_table_needs_its_columns_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no column 'k'"):
        sweep_of_table(table(tmp_path / "own.csv", "a,0.5", head="target,score"))
    with pytest.raises(InputError, match="cannot be read"):
        sweep_of_table(tmp_path / "missing.csv")


def test_of_a_single_target_intervals_are_over_its_seeds(tmp_path: Path) -> None:
    lines = ["1,a,0.5,1,", "1,a,0.7,2,", "all,a,0.4,2,", "all,a,0.6,1,"]
    study = sweep_of_table(table(tmp_path / "own.csv", *lines))
    assert study.resampled == "seeds"
    one, everything = study.points
    assert one.per_target == pytest.approx({"a": 60.0})
    assert (one.score.low, one.score.high) == (pytest.approx(50.0), pytest.approx(70.0))
    assert (one.to_all.value, one.to_all.low, one.to_all.high) == pytest.approx((10.0, -10.0, 30.0))  # paired by seed
    assert everything.score.value == pytest.approx(50.0)
    uneven = sweep_of_table(table(tmp_path / "uneven.csv", *lines[:3]))
    assert uneven.resampled == "targets"
    assert math.isnan(uneven.points[0].score.low)  #: one target, seeds that differ
