"""The chooser of pairs that workflows hand to the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from taskweb.active import web_design
from taskweb.experiments.pair_choosing import MeasuredSoFar, PairChooser, PairCosts, PairRun, RoundLimit
from taskweb.experiments.task_data import TaskData
from taskweb.tasks import Example, Task
from taskweb.web.records.run import Run, SetupRecord
from taskweb.workflows import pair_choices
from taskweb.workflows.pair_choices import UnseenTargetsChooser
from taskweb.workflows.selector_settings import EncoderSettings

NAMES = ("apples", "birds", "clouds", "dogs")
PAIRS = tuple((source, target) for source in NAMES for target in NAMES[1:] if source != target)
SETUP = SetupRecord("m/f", "m", None, "f", {})


@pytest.fixture
def chooser(tmp_path: Path) -> UnseenTargetsChooser:
    """Without an encoder."""
    return UnseenTargetsChooser(EncoderSettings(str(tmp_path / "nowhere")))


def data() -> dict[str, TaskData]:
    examples = (Example("a", "yes", ("yes", "no")),)
    return {
        name: TaskData(Task(name, "classification", ("accuracy",)), examples, examples, examples, "", "", "") for name in NAMES
    }


def run(source: str | None, target: str, seed: int, score: float) -> Run:
    return Run(SETUP, target, source, seed, {"accuracy": score})


def known(*runs: Run, weights: frozenset[tuple[str, int]] = frozenset(), **costs: float) -> MeasuredSoFar:
    of_targets = dict.fromkeys(NAMES[1:], 1.0) | costs
    return MeasuredSoFar("m/f", PAIRS, (1, 2), runs, weights, PairCosts(of_targets, dict.fromkeys(NAMES, 3.0), True))


def test_it_is_a_chooser_and_chooses_what_a_round_can_pay(chooser: UnseenTargetsChooser) -> None:
    assert isinstance(chooser, PairChooser)
    found = chooser.next_round(known(), data(), RoundLimit(cost=10.0))
    assert len(found) == 2  # 1 + 1 + 3 each, or less where they share something
    assert {(run.source, run.target) for run in found} <= set(PAIRS)
    assert {run.seed for run in found} == {1}
    assert chooser.next_round(known(), data(), RoundLimit(cost=1.0)) == []


def test_baselines_count_in_a_limit_of_runs(chooser: UnseenTargetsChooser) -> None:
    for most in range(2, 9):
        found = chooser.next_round(known(), data(), RoundLimit(runs=most))
        assert most - 1 <= len(found) + len({run.target for run in found}) <= most
    assert len(chooser.next_round(known(), data(), RoundLimit())) == 2 * len(PAIRS)


def test_pairs_that_were_run_are_not_chosen_again(chooser: UnseenTargetsChooser) -> None:
    made = [run(None, target, 1, 0.5) for target in NAMES[1:]] + [run(*pair, 1, 0.6) for pair in PAIRS[1:]]
    found = chooser.next_round(known(*made), data(), RoundLimit())
    assert found[0] == PairRun(*PAIRS[0], 1)
    assert len(found) == len(PAIRS) + 1
    assert {run.seed for run in found[1:]} == {2}


def test_weights_that_are_there_cost_nothing(chooser: UnseenTargetsChooser) -> None:
    dear = chooser.next_round(known(), data(), RoundLimit(cost=4.5))
    cheap = chooser.next_round(known(weights=frozenset((name, 1) for name in NAMES)), data(), RoundLimit(cost=4.5))
    assert len(dear) == 0
    assert len(cheap) >= 2


def test_cheap_targets_are_preferred(chooser: UnseenTargetsChooser) -> None:
    found = chooser.next_round(known(birds=50.0, clouds=50.0), data(), RoundLimit(runs=3))
    assert {run.target for run in found} == {"dogs"}


def test_gains_of_single_runs_say_how_noisy_targets_are(chooser: UnseenTargetsChooser, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def noted(gains: Any) -> Any:
        seen.append(gains)
        return web_design.noise_of_runs(gains)

    monkeypatch.setattr(pair_choices, "noise_of_runs", noted)
    runs = [run(None, "birds", 1, 0.5), run("apples", "birds", 1, 0.6), run("dogs", "birds", 2, 0.6)]
    chooser.next_round(known(*runs), data(), RoundLimit(cost=1.0))
    assert seen[0].shape == (3, 4, 2)
    assert np.isfinite(seen[0]).sum() == 1  # no baseline of seed 2
    assert seen[0][0, 0, 0] == pytest.approx(0.2)


def test_without_an_encoder_it_says_so_once(chooser: UnseenTargetsChooser) -> None:
    for _ in range(2):
        chooser.next_round(known(), data(), RoundLimit(cost=10.0))
    assert len(chooser.notes) == 1
    assert chooser.notes[0].startswith("pairs are chosen without the tasks' texts: ")
