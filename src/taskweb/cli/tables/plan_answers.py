"""How far a plan is, in three lines: what is done, when it ends, and who works on it; and what to type next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from taskweb.cli.tables.formatting import answer, counted, duration
from taskweb.cli.tables.text import Text

if TYPE_CHECKING:
    from taskweb.experiments import PlanState

_LONGEST = 365 * 86400  # seconds after which a date says nothing


def state_answer(state: PlanState, now: datetime, width: int) -> Iterator[Text]:
    """What is done, when the rest will be, and who is at work. now: in the time zone in which people read it."""
    yield from answer("Done", _done(state).split(), width)
    yield from answer("Left", _left(state, now).split(), width)
    if state.todo and not is_spent(state):
        yield from answer("At work", _at_work(state).split(), width)


def waiting_text(waiting: tuple[int, str]) -> str:
    """How many jobs wait in a cluster's queue, and why."""
    number, reason = waiting
    return f"{counted(number, 'job')} in Slurm's queue{f' ({reason})' if reason and reason != 'None' else ''}"


def next_of_plan(state: PlanState, path: str) -> tuple[list[str], str]:
    """The arguments of the command to type next, and a remark about it. path: the plan's file."""
    store = state.plan.store
    if state.todo and not is_spent(state):
        if is_at_work(state):
            return ["ui", "--watch", path], "watch it in a browser"
        return ["run", path], "start it" if state.missing == state.total else "continue it"
    if state.failed + state.diverged and not is_spent(state):
        return ["run", path, "--retry", "failed"], "repeat what failed"
    return ["report", str(store), "-o", str(store.with_suffix(".html"))], ""


def is_at_work(state: PlanState) -> bool:
    """Whether anybody carries the plan out, or waits in a queue to do so."""
    return bool(state.workers or state.waiting[0])


def is_spent(state: PlanState) -> bool:
    """Whether nothing more is started, because the budget does not buy it."""
    return state.budget_is_spent or (state.plan.is_chosen and state.affordable == 0)


def _done(state: PlanState) -> str:
    ended = state.finished + state.failed + state.diverged
    if state.plan.is_chosen:
        found = f"{counted(ended, 'run')}, with {state.pairs_run:,} of {counted(state.pairs, 'pair')}"
    else:
        found = f"all {state.total:,} runs" if ended == state.total else f"{ended:,} of {counted(state.total, 'run')}"
        found += "" if ended == state.total else f" ({100 * ended // max(state.total, 1)}%)"
    wrong = [f"{count:,} {word}" for count, word in ((state.failed, "failed"), (state.diverged, "diverged")) if count]
    return f"{found}; {' and '.join(wrong)}" if wrong else f"{found}, none failed" if ended else found


def _left(state: PlanState, now: datetime) -> str:
    if not state.todo:
        return "nothing: every pair was run with every seed" if state.plan.is_chosen else "nothing: the plan is done"
    if is_spent(state):
        return f"nothing within the budget, of {counted(len(state.todo), 'run')} that are not done"
    number = state.affordable if state.plan.is_chosen else len(state.todo)
    runs = "some runs that will be chosen" if number is None else counted(number, "run")
    runs += " that the budget buys" if state.plan.is_chosen and number is not None else ""
    seconds, workers = state.seconds_left, max(1, len(state.workers))
    if state.plan.is_chosen and number is not None and state.seconds_per_run is not None:
        seconds = number * state.seconds_per_run
    if seconds is None:
        return f"{runs}; how long they take is known after the first run"
    took = f"{runs}, about {duration(seconds / workers)} for {counted(workers, 'worker')}"
    unmeasured = [setup.setup for setup in state.setups if setup.seconds_per_run is None]
    assumed = f"; {', '.join(unmeasured)} as fast as the others" if unmeasured else ""
    return f"{took}{_until(now, seconds / workers) if state.workers else ''}{assumed}"


def _until(now: datetime, seconds: float) -> str:
    """The time at which work of some seconds will be done, with the day where that is not today."""
    if seconds > _LONGEST:
        return ""
    end = now + timedelta(seconds=seconds)
    day = "" if end.date() == now.date() else f"{end:%a} {end.day} {end:%b}, "
    return f", until {day}{end:%H:%M}"


def _at_work(state: PlanState) -> str:
    if not is_at_work(state):
        return "no worker"
    queue = waiting_text(state.waiting) if state.waiting[0] else ""
    if not state.workers:
        return f"no worker yet, {queue}"
    found = f"{counted(len(state.workers), 'worker')}, on {counted(len(state.running), 'run')}"
    return f"{found}; {queue}" if queue else found
