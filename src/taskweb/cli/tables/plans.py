"""How a plan looks on a terminal, before anything is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from taskweb.cli.tables.formatting import explained
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text

if TYPE_CHECKING:
    from taskweb.experiments import Plan
    from taskweb.experiments.plan import PlannedSetup, PlannedTask
    from taskweb.experiments.task_data import TaskData

_HYPERPARAMETERS = ("epochs", "batch_size", "learning_rate")


def plan_tables(plan: Plan, data: Mapping[str, TaskData], width: int) -> Iterator[RenderableType]:
    """Tasks with their examples, setups with their hyperparameters, and how many pairs and runs there are.

    data: the examples of tasks that could be read; without them the figures stay empty.
    """
    from taskweb.experiments.specs import pairs_of, runs_of

    tasks = Grid("~task", "?kind", "?role", ">source", ">target", ">evaluation", "???from")
    for name, task in plan.tasks.items():
        counts = _counts(task, data.get(name))
        figures = ("" if count is None else f"{count:,}" for count in counts)
        role = "" if task.role == "both" else f"{task.role} only"
        tasks.add_row(name, task.task.kind.replace("_", " "), role, *figures, Text(_origin(task), style="dim"))
    yield tasks.fitted(width)
    yield Text()
    pairs, runs = pairs_of(plan), runs_of(plan)
    setups = Grid(
        "~setup", "??model", "??method", "?>epochs", "?>batch size", "?>learning rate", ">seeds", ">baselines", ">transfers"
    )
    targets = {target for _, target in pairs}
    for setup in plan.setups:
        own = [run.source is None for run in runs if run.setup is setup]
        values = (_range(getattr(setup.settings_for(target), key) for target in targets) for key in _HYPERPARAMETERS)
        count = (f"{len(setup.seeds)}", f"{sum(own):,}", f"{len(own) - sum(own):,}")
        setups.add_row(setup.name, Text(_model(setup), style="dim"), setup.method, *values, *count)
    yield setups.fitted(width)
    yield Text()
    sources = len({source for source, _ in pairs})
    shown = f"{len(pairs):,} ({plan.pairs.mode}): {sources} sources, {len(targets)} targets"
    yield from explained("pairs", shown, width)
    budget = "" if plan.most_runs is None else f", limited by the budget of {plan.most_runs:,}"
    yield from explained("runs", f"{len(runs):,}{budget if len(runs) == plan.most_runs else ''}", width)


def plan_facts(plan: Plan, data: Mapping[str, TaskData]) -> dict[str, Any]:
    """The same as plain JSON values."""
    from taskweb.experiments.specs import pairs_of

    tasks = {}
    for name, task in plan.tasks.items():
        counts = dict(zip(("source", "target", "evaluation"), _counts(task, data.get(name)), strict=True))
        left_out = asdict(data[name].left_out) if name in data else None
        tasks[name] = {"kind": task.task.kind, "role": task.role, "from": task.origin, **counts, "left_out": left_out}
    return {"tasks": tasks, "pairs": len(pairs_of(plan))}


def _counts(task: PlannedTask, data: TaskData | None) -> tuple[int | None, int | None, int | None]:
    """Examples to train on as a source and as a target, and to evaluate on; None where the role needs none."""
    if data is None:
        return None, None, None
    source, target = task.role != "target" and not data.ready_digest, task.role != "source"
    return (
        len(data.source) if source else None,
        len(data.target) if target else None,
        len(data.evaluation) if target else None,
    )


def _origin(task: PlannedTask) -> str:
    return task.origin if task.file is None else task.file.name


def _model(setup: PlannedSetup) -> str:
    return setup.model if setup.revision is None else f"{setup.model}@{setup.revision}"


def _range(values: Iterable[float]) -> str:
    """One value, or the least and the largest."""
    found = sorted(set(values))
    return f"{found[0]:g}" if len(found) == 1 else f"{found[0]:g} to {found[-1]:g}"
