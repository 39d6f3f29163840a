"""How the state of a plan looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from taskweb.cli.grid import Grid
from taskweb.cli.tables import explained
from taskweb.experiments import PlanState


def state_tables(state: PlanState, width: int) -> Iterator[RenderableType]:
    """Runs done, running, failed and left, by setup, and how long the rest will take."""
    plan = state.plan
    counts = f"   {len(plan.tasks)} tasks · {len(plan.setups)} setups · {len(plan.all_seeds)} seeds · {state.total:,} runs"
    yield Text.assemble("\n", (plan.name, "bold cyan"), (counts, "dim"))
    grid = Grid(">finished", ">failed", ">diverged", ">left", ">seconds per run", ">time left")
    each = state.seconds_per_run
    grid.add_row(
        f"{state.finished:,}",
        f"{state.failed:,}",
        f"{state.diverged:,}",
        f"{len(state.todo):,}",
        "" if each is None else f"{each:.2f}",
        "" if each is None else in_words(each * len(state.todo)),
    )
    yield grid.fitted(width)
    if state.running:
        yield Text()
        table = Grid("running", "source", "target", ">seed", ">seconds")
        for run in state.running:
            table.add_row(run.setup, run.source or "none", run.target, str(run.seed), f"{run.seconds:.0f}")
        yield table.fitted(width)
    yield Text()
    yield from explained("store", str(plan.store), width)
    if each is not None and state.todo:
        yield from explained("time left", "of one worker, from the mean of the runs that finished", width)


def in_words(seconds: float) -> str:
    """A span of time for people: seconds, minutes, hours or days."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
