"""The trial of measuring on the target, at its smallest, and its figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.selection import refine_trial
from benchmarks.selection.refine_trial import WAYS, Outcome, figures, interval


@pytest.mark.slow
@pytest.mark.repeats
def test_all_ways_are_judged_at_the_cost_that_they_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refine_trial.main(["--quick", "--out", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())["figures"]
    outcomes = {own["way"]: own for own in found["outcomes"]}
    assert tuple(outcomes) == WAYS
    assert {way: own["runs"] for way, own in outcomes.items() if own["runs"]} == {
        **dict.fromkeys(("kg", "uniform", "random"), 3),
        "all runs": 5,
    }
    assert all((own["seconds"] > 0) == (own["runs"] > 0) for own in outcomes.values())
    assert all(0 <= own["accuracy"] <= 1 for own in outcomes.values())
    assert len(outcomes["kg"]["sources"]) == 2
    shown = capsys.readouterr().out
    assert all(f"| {way} |" in shown for way in WAYS)


def made_up(accuracies: dict[tuple[str, int], float]) -> list[Outcome]:
    """Outcomes where kg is 0.1 better than every other way."""
    return [
        Outcome("f", target, repeat, way, ("s",), 8, 1.0, accuracy + (0.1 if way == "kg" else 0.0))
        for (target, repeat), accuracy in accuracies.items()
        for way in WAYS
    ]


def test_differences_are_paired_and_a_repeat_that_is_not_whole_is_left_out() -> None:
    whole = {("a", 1): 0.2, ("b", 1): 0.8}
    found = figures(made_up(whole))
    assert found["kg_less"]["ranking"] == [10.0, 10.0, 10.0]  # whatever the target
    assert found["accuracy"]["ranking"][0] == 50.0
    assert found["accuracy"]["ranking"][1:] == [20.0, 80.0]
    more = figures(made_up({**whole, ("a", 2): 0.9}))
    assert (more["targets"], more["repeats"]) == (2, 1)
    assert more["accuracy"] == found["accuracy"]


def test_intervals_draw_targets_and_repeats_again() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, (40, 2))
    mean, low, high = interval(values)
    assert low < mean < high
    assert high - low == pytest.approx(100 * 2 * 1.96 * 0.1 / np.sqrt(40), rel=0.35)
    assert np.isnan(interval(values[:1])[1:]).all()
