"""How the state of a plan looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType

from taskweb.cli.tables.formatting import counted, duration, explained, heading
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.plan_answers import state_answer
from taskweb.cli.tables.text import Text

if TYPE_CHECKING:
    from taskweb.experiments import PlanState
    from taskweb.experiments.checks import CutInputs
    from taskweb.experiments.heartbeats import PassFacts
    from taskweb.experiments.memory_needs import SetupMemory
    from taskweb.experiments.pair_choosing import Purchase, Round
    from taskweb.experiments.state import SetupState


def state_tables(state: PlanState, now: datetime, width: int) -> Iterator[RenderableType]:
    """What is done and when the rest will be, then the runs by setup: finished, failed, running and missing."""
    plan = state.plan
    sizes = ((len(plan.tasks), "task"), (len(plan.setups), "setup"), (len(plan.all_seeds), "seed"), (state.total, "run"))
    yield heading(plan.name, " · ".join(counted(*size) for size in sizes), width)
    yield from state_answer(state, now, width)
    yield Text()
    grid = Grid("~setup", ">finished", ">failed", ">diverged", ">running", ">missing", ">seconds per run")
    for setup in state.setups:
        grid.add_row(setup.setup, *_cells(setup))
    if len(state.setups) > 1:
        totals = (state.finished, state.failed, state.diverged, len(state.running), state.missing)
        grid.add_row("all", *(f"{count:,}" for count in totals), _seconds(state.seconds_per_run))
    yield grid.fitted(width)
    if state.running:
        yield Text()
        table = Grid("~running", "~source", "~target", ">seed", ">seconds")
        for run in state.running:
            table.add_row(run.setup, run.source or "none", run.target, str(run.seed), f"{run.seconds:.0f}")
        yield table.fitted(width)
    yield Text()
    if lines := [_passes(worker.passes) for worker in state.workers if worker.passes is not None]:
        yield from explained("passes", "; ".join(lines), width)
    if plan.most_hours is not None:
        yield from explained("budget", f"{state.spent / 3600:.2f} of {plan.most_hours:g} hours are spent", width)
    yield from explained("store", str(plan.store), width)


def rest_tables(rest: Purchase, width: int) -> Iterator[RenderableType]:
    """What is left of a budget buys."""
    hours = "" if rest.hours is None else f" in the {rest.hours:.2f} hours that are left"
    bought = f"about {counted(rest.runs, 'run')}{hours}, with {counted(rest.pairs, 'pair')} that have none yet"
    yield from explained("buys", bought, width)


def round_line(found: Round) -> str:
    """What a round of chosen pairs buys, in one line."""
    transfers = len(found.runs) - found.baselines
    parts = [f"{counted(transfers, 'run')} of pairs, {found.pairs:,} of them new", counted(found.baselines, "baseline")]
    parts.append(f"{counted(found.sources, 'source')} to train")
    time = "how long they take is not known yet" if found.seconds is None else f"about {duration(found.seconds)}"
    return f"Round {found.number}: {', '.join(parts)}; {time}; {duration(found.spent)} spent so far."


def pairs_line(state: PlanState) -> str:
    """How many of the pairs that may be chosen were run, in one sentence."""
    return f"{state.pairs_run:,} of {state.pairs:,} pairs were run, with {state.finished:,} finished runs in all."


def cut_tables(cut: Sequence[CutInputs], width: int) -> Iterator[RenderableType]:
    """Tasks with inputs that are longer than a model reads."""
    if cut:
        yield Text()
        grid = Grid("~inputs cut for", "~task", ">cut", ">of")
        for own in cut:
            grid.add_row(", ".join(own.setups), own.task, f"{own.cut:,}", f"{own.examples:,}")
        yield grid.fitted(width)


def memory_tables(needs: Sequence[SetupMemory], width: int) -> Iterator[RenderableType]:
    """The memory that each setup is estimated to need, and that its device has."""
    if needs:
        yield Text()
        grid = Grid("~memory, about", "??device", ">base", ">own", ">activations", ">one run", ">?workers", ">available")
        for own in needs:
            parts = (own.base, own.own, own.activations, own.peak)
            available = "" if own.available is None else _size(own.available)
            grid.add_row(own.setup, own.device, *map(_size, parts), str(own.workers), available)
        yield grid.fitted(width)


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"


def _cells(setup: SetupState) -> list[str]:
    counts = (setup.finished, setup.failed, setup.diverged, setup.running, setup.missing)
    return [*(f"{count:,}" for count in counts), _seconds(setup.seconds_per_run)]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _passes(facts: PassFacts) -> str:
    """How one worker's runs share passes."""
    parts = [f"up to {counted(facts.together, 'run')} in a pass", f"{facts.padding:.0%} padding"]
    if facts.memory is not None and facts.memory_total is not None:
        parts.append(f"{facts.memory / 2**30:.1f} of {facts.memory_total / 2**30:.0f} GiB of the GPU")
    if facts.utilisation is not None:
        parts.append(f"{facts.utilisation:.0%} utilisation")
    return ", ".join(parts)
