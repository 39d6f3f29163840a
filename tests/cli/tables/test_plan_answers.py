"""The answer of `taskweb run --status`: what is done, when the rest will be, who is at work, and what to type."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taskweb.cli.tables.plan_answers import next_of_plan, state_answer
from taskweb.experiments.heartbeats import RunningRun, RunningWorker
from taskweb.experiments.state import PlanState, SetupState

NOW = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
WORKER = RunningWorker((RunningRun("m/f", None, "a", 0, 3.0),))


def state(ended: tuple[int, int, int] = (10, 1, 1), workers: int = 0, **changes: Any) -> PlanState:
    """A plan of 40 runs; ended: finished, failed, diverged."""
    left = 40 - sum(ended)
    plan: Any = SimpleNamespace(store=Path("web.db"), is_chosen=False, most_hours=None, most_runs=None)
    setup = SetupState("m/f", *ended, running=workers, missing=left, seconds_per_run=300.0 if ended[0] else None)
    todo: Any = tuple(range(left))
    seconds = 300.0 * left if ended[0] else None
    found = PlanState(plan, 40, (setup,), todo, (WORKER,) * workers, 300.0 * ended[0], seconds, pairs=12, pairs_run=4)
    changed = changes.pop("plan", {})
    return replace(found, plan=SimpleNamespace(**(vars(plan) | changed)), **changes)


def said(one: PlanState) -> str:
    return "\n".join(line.plain.strip() for line in state_answer(one, NOW, 80))


@pytest.mark.parametrize(
    ("found", "lines", "command"),
    [
        (state((0, 0, 0)), "Done:  0 of 40 runs (0%)\nLeft:  40 runs; how long they take is known", "run plan.toml"),
        (state(), "Done:  12 of 40 runs (30%); 1 failed and 1 diverged\nLeft:  28 runs, about 2.3 h", "run plan.toml"),
        (state(workers=2), "for 2 workers, until 23:40\nAt work:  2 workers, on 2 runs", "ui --watch plan.toml"),
        (state(workers=1), "for 1 worker, until Mon 2 Mar, 00:50\nAt work:  1 worker, on 1 run", "ui --watch plan.toml"),
        (state(waiting=(3, "Priority")), "At work:  no worker yet, 3 jobs in Slurm's queue (Priority)", "ui --watch plan.toml"),
        (state((40, 0, 0)), "Done:  all 40 runs, none failed\nLeft:  nothing: the plan is done", "report web.db -o web.html"),
        (state((38, 2, 0)), "Done:  all 40 runs; 2 failed\nLeft:  nothing", "run plan.toml --retry failed"),
        (state(plan={"most_hours": 0.1}), "Left:  nothing within the budget, of 28 runs that", "report web.db -o web.html"),
        (
            state(plan={"is_chosen": True, "most_runs": 20}),
            "Done:  12 runs, with 4 of 12 pairs; 1 failed and 1 diverged\nLeft:  8 runs that the budget buys, about 40.0 min",
            "run plan.toml",
        ),
    ],
)
def test_a_plan_is_told_in_three_lines(found: PlanState, lines: str, command: str) -> None:
    assert lines in said(found)
    assert " ".join(next_of_plan(found, "plan.toml")[0]) == command
    assert said(found).count("\n") <= 2


def test_absurd_times_have_no_date() -> None:
    assert "until" not in said(state(workers=1, seconds_left=1e15))
