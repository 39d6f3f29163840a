"""Which run is next, and when to stop, with made-up outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskweb.errors import NameNotFoundError, ParameterError, TaskWebError
from taskweb.selectors.gain_prior import ignorant_prior
from taskweb.tasks import Task
from taskweb.web.records.run import Run, SetupRecord
from taskweb.workflows.refining.measuring import Measuring
from taskweb.workflows.refining.refine_settings import MeasuringBudget, RefineSettings, parse_budget
from taskweb.workflows.refining.report import best_source, interval_of_score
from taskweb.workflows.suggesting import Suggester

SOURCES = ("a", "b", "c", "d")
READ = {"t": 100, "a": 100, "b": 100, "c": 100, "d": 1000}


@dataclass
class MadeUpRuns:
    """Runs whose scores are known. failing: sources (None: the baseline) that fail."""

    scores: dict[str | None, float] = field(default_factory=lambda: {None: 0.5, "a": 0.5, "b": 0.6, "c": 0.4, "d": 0.5})
    failing: tuple[str | None, ...] = ()
    task: Task = field(default_factory=lambda: Task("t", "classification", ("accuracy",)))
    before: tuple[Run, ...] = ()
    cached: tuple[str, ...] = ()
    asked: list[int] = field(default_factory=list)

    def stored(self) -> list[Run]:
        return list(self.before)

    def run(self, source: str | None, seed: int) -> Run:
        record = Run(SetupRecord("m/lora"), "t", source, seed)
        if source in self.failing:
            return Run(record.setup, "t", source, seed, status="failed", reason="it broke", durations={"until_failure": 1.0})
        trained = {} if source is None else {"source_training": READ[source] / 100}
        noise = 0.01 * np.random.default_rng(seed).standard_normal()
        return Run(
            record.setup,
            "t",
            source,
            seed,
            metrics={"accuracy": self.scores[source] + noise},
            durations={"training": 1.0, "evaluation": 0.5, **trained},
        )

    def run_all(self, wanted: list[tuple[str | None, int]]) -> list[Run]:
        self.asked.append(len(wanted))
        return [self.run(source, seed) for source, seed in wanted]

    def together(self, fuse: int | str) -> int:
        return 1 if fuse == "auto" else int(fuse)

    def examples_read(self, task: str) -> int:
        return READ[task]

    def is_cached(self, source: str, seed: int) -> bool:
        return source in self.cached


def made(runs: MadeUpRuns | None = None, *, until: float | None = None, **settings: Any) -> Measuring:
    prior = ignorant_prior(SOURCES, np.array([1.0, 0.5, -0.5, -1.0]))
    how = RefineSettings("m", budget=parse_budget(settings.pop("budget", 6)), until=until, **settings)
    return Measuring(Suggester("t", prior, how.k, until), runs or MadeUpRuns(), how)  # type: ignore[arg-type]


def all_runs(found: Measuring) -> list[tuple[str | None, int | None]]:
    while found.stopped is None:
        found.step()
    return [(run.source, run.seed) for run in found.made]


def test_a_baseline_comes_first_and_its_seed_is_used_for_all() -> None:
    found = made(budget=5, k=1)
    assert (found.next()[0].source, found.next()[0].seed) == (None, 1)
    runs = all_runs(found)
    assert runs[0] == (None, 1)
    assert len(runs) == len(set(runs)) == 5
    assert found.stopped == "the budget of 5 runs is spent"
    assert best_source(found) == "b"


def test_what_is_next_is_what_is_run() -> None:
    found = made(budget=12, k=2, seed=7)
    assert found.next()[0].seed == 7
    while found.stopped is None:
        wanted = found.next()[0]
        (run,) = found.step()
        assert (run.source, run.seed) == (wanted.source, wanted.seed)
    assert len(found.seeds) > 1
    assert found.next() == []


@pytest.mark.parametrize("fuse", [1, 3])
def test_no_baseline_is_the_last_run(fuse: int) -> None:
    for budget in range(2, 14):
        found = made(budget=budget, k=1, fuse=fuse)
        runs = all_runs(found)
        assert runs[-1][0] is not None
        assert found.stopped == f"the budget of {budget} runs is spent" or "too few for another seed" in (found.stopped or "")


def test_runs_that_share_passes_are_chosen_at_once() -> None:
    runs = MadeUpRuns()
    found = made(runs, budget=10, k=1, fuse=4)
    wanted = [(run.source, run.seed) for run in found.batch()]
    assert wanted[0] == (None, 1)
    assert len(set(wanted)) == 4
    assert [(run.source, run.seed) for run in found.step()] == wanted
    assert len(set(all_runs(found))) == 10
    assert runs.asked == [4, 4, 2]
    assert best_source(found) == "b"


def test_costs_count_the_source_and_missing_baselines() -> None:
    found = made()
    assert not found.costs.known
    assert found.costs.source("d", 1) == 10 * found.costs.source("a", 1)
    assert found.seconds_left is None
    found.step()
    assert found.costs.target == 1.5
    assert found.costs.source("d", 1) == pytest.approx(10.0)
    assert found.seconds_left == pytest.approx(5 * 1.5)
    dear, cheap = (next(run for run in found.next() if run.source == name) for name in ("d", "a"))
    assert (dear.cost_seconds, cheap.cost_seconds) == (pytest.approx(11.5), pytest.approx(2.5))
    waiting = made(MadeUpRuns(cached=("d",)))
    assert waiting.costs.source("d", 1) == 0.0


def test_a_dear_source_waits() -> None:
    assert all_runs(made(budget=4))[1:].count(("d", 1)) == 0


def test_time_is_a_budget() -> None:
    found = made(budget="0.1m")
    all_runs(found)
    assert found.costs.spent >= 6.0
    assert found.costs.spent - sum(found.made[-1].durations.values()) < 6.0
    assert found.stopped == "the budget of 0.1 min is spent"
    assert found.seconds_left == 0.0


def test_it_stops_when_little_is_left_to_gain() -> None:
    found = made(budget=500, until=50.0)
    assert "less than 50%" in (found.stopped or "")
    assert found.next() == []


def test_runs_of_an_earlier_command_are_read_back() -> None:
    first = made(budget=4)
    all_runs(first)
    again = made(MadeUpRuns(before=tuple(first.made)), budget=6)
    assert again.read_back == 4
    straight = made(budget=6)
    assert all_runs(again) == all_runs(straight)
    assert again.to_dict()["sources"] == straight.to_dict()["sources"]


def test_a_source_that_fails_is_not_tried_again() -> None:
    found = made(MadeUpRuns(failing=("a", "b", "c", "d")), budget=20)
    assert len(all_runs(found)) == 5
    assert found.stopped == "no source is left that did not fail"
    assert found.to_dict()["sources"][0]["runs"] == 0


def test_a_last_run_that_a_baseline_would_take_is_not_made() -> None:
    found = made(budget=6, k=1, policy="uniform")
    assert len(all_runs(found)) == 5
    assert "too few for another seed" in (found.stopped or "")


@pytest.mark.parametrize(("scores", "same"), [({"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5}, True), ({"c": 0.4}, False)])
def test_equal_scores_are_said_in_one_line(scores: dict[str, float], same: bool) -> None:
    found = made(MadeUpRuns(scores=dict.fromkeys((None, *SOURCES), 0.5) | scores), budget=5, policy="uniform")
    found.step()
    found.step()
    assert found.no_difference is None  # two runs say nothing yet
    all_runs(found)
    said = found.no_difference
    assert (said is not None and said.startswith("all 5 runs scored 5") and "\n" not in said) is same


def test_other_policies_choose_otherwise() -> None:
    each = all_runs(made(budget=5, k=1, policy="uniform"))
    assert {source for source, _ in each} == {None, *SOURCES}  # one run of each, dear ones too
    drawn = [tuple(all_runs(made(budget=5, k=1, policy="random", seed=seed))) for seed in range(5)]
    assert drawn == [tuple(all_runs(made(budget=5, k=1, policy="random", seed=seed))) for seed in range(5)]
    assert len({tuple(source for source, _ in own) for own in drawn}) > 1
    with pytest.raises(NameNotFoundError, match="Did you mean 'random'"):
        made(policy="randm")


@pytest.mark.parametrize("runs", [MadeUpRuns(failing=(None,)), MadeUpRuns(scores={None: 0.0})], ids=["fails", "is zero"])
def test_without_a_baseline_nothing_can_be_measured(runs: MadeUpRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np.random, "default_rng", lambda _: _Silent())
    found = made(runs)
    found.step()
    with pytest.raises(TaskWebError, match=r"The target alone cannot be measured.*seed 2, (it broke|its score is 0)"):
        found.step()


class _Silent:
    def standard_normal(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("text", "budget"),
    [("15", MeasuringBudget(runs=15)), (3, MeasuringBudget(runs=3)), ("2h", MeasuringBudget(seconds=7200.0))],
)
def test_budgets_are_runs_or_time(text: str | int, budget: MeasuringBudget) -> None:
    assert parse_budget(text) == budget
    assert str(parse_budget("90m")) == "1.5 h"
    assert str(parse_budget("1")) == "1 run"


@pytest.mark.parametrize("text", ["", "0", "1.5", "2d", "-1", "h"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="budget must be"):
        parse_budget(text)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError, match="'k' must be 1 or more"):
        RefineSettings("m", k=0)
    with pytest.raises(ParameterError, match="'fuse' must be 1 or more"):
        RefineSettings("m", fuse=0)
    with pytest.raises(ParameterError, match=r"'until' must be above 0.*Got -1"):
        RefineSettings("m", until=-1.0)
    assert RefineSettings("org/model-1b").setup == "model-1b/lora"
    assert RefineSettings(str(Path("/a/b/"))).setup == "b/lora"


def test_intervals_contain_the_truth_as_often_as_they_say() -> None:
    task = Task("t", "classification", ("accuracy",))
    found = np.array([interval_of_score(score, 50, task) for score in np.random.default_rng(0).binomial(50, 0.8, 4000) / 50])
    assert ((found[:, 0] <= 0.8) & (found[:, 1] >= 0.8)).mean() == pytest.approx(0.95, abs=0.02)
    assert interval_of_score(1.0, 10, task)[1] == 1.0
    stsb = Task("s", "regression", ("pearson", "spearmanr"))
    assert interval_of_score(0.0, 103, stsb) == pytest.approx((-0.1935, 0.1935), abs=1e-3)
    assert np.isnan(interval_of_score(0.5, 3, stsb)).all()
