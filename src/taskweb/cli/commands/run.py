"""`taskweb run`: measure the transfers of a plan."""

from __future__ import annotations

import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import options
from taskweb.cli.console import StoppedError, output_console, print_json, say

if TYPE_CHECKING:
    from taskweb.experiments import PlanState
    from taskweb.experiments.executors import Executor


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="Tasks, setups, seeds and pairs to measure.")],
    executor: Annotated[str, typer.Option("--executor", metavar="NAME", help="inline, process or ray.")] = "inline",
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Processes at once, with --executor process.")
    ] = 2,
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", metavar="ADDRESS", help="A running Ray cluster. Default: start a local one."),
    ] = None,
    gpus: Annotated[float, typer.Option("--gpus", metavar="N", min=0, help="GPUs per worker, with --executor ray.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and say what would be done.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say where the plan stands, also while it runs elsewhere.")] = False,
    retry: Annotated[
        str | None, typer.Option("--retry", metavar="failed", help="Also repeat runs that failed or diverged.")
    ] = None,
    output: options.TableOrJson = options.TableFormat.table,
    quiet: options.Quiet = False,
) -> None:
    """Measure the transfers of a plan. Stop it at any moment; the same command goes on where it stopped.

    Every outcome is in the plan's store at once; read it with taskweb web show STORE.

    Example: taskweb run my_plan.toml --executor process --workers 2
    """
    from taskweb.errors import unknown_name
    from taskweb.experiments import EXECUTORS, state_of

    if retry not in (None, "failed"):
        raise unknown_name("kind of run to retry", retry, ["failed"])
    if executor not in EXECUTORS:
        raise unknown_name("executor", executor, EXECUTORS)
    again = retry is not None
    if dry_run and not status:
        _dry_run(plan, again, output)
        return
    if status:
        state = state_of(plan, retry_failed=again)
    else:
        state = _measured(plan, _executor(executor, workers, ray_address, gpus), again, quiet)
    if output is options.TableFormat.json:
        print_json(state.to_dict())
        return
    from taskweb.cli.tables.plan_states import state_tables

    console = output_console()
    for part in state_tables(state, console.width):
        console.print(part)


def _dry_run(path: Path, again: bool, output: options.TableOrJson) -> None:
    """Check the plan and show what it comes to; of a plan whose examples or models are not there, what it says itself."""
    from taskweb.cli.tables.plan_states import cut_tables, state_tables
    from taskweb.cli.tables.plans import plan_facts, plan_tables
    from taskweb.errors import ParameterError
    from taskweb.experiments import check_plan
    from taskweb.experiments.plan_file import plan_and_errors
    from taskweb.experiments.state import plan_state
    from taskweb.experiments.task_data import task_data_and_errors

    console = output_console()
    try:
        checked = check_plan(path, count_cut=True)
    except ParameterError:
        plan, faults = plan_and_errors(path, methods=True)
        if not faults and output is not options.TableFormat.json:
            here = {name: task for name, task in plan.tasks.items() if task.hub is None}
            for part in plan_tables(plan, task_data_and_errors(replace(plan, tasks=here))[0], console.width):
                console.print(part)
        raise
    state = plan_state(checked.plan, checked.data, retry_failed=again)
    if output is options.TableFormat.json:
        cut = {"cut_inputs": [asdict(own) for own in checked.cut]}
        print_json(state.to_dict() | cut | plan_facts(checked.plan, checked.data))
        return
    for part in plan_tables(checked.plan, checked.data, console.width):
        console.print(part)
    for part in (*state_tables(state, console.width), *cut_tables(checked.cut, console.width)):
        console.print(part)


def _measured(plan: Path, executor: Executor, again: bool, quiet: bool) -> PlanState:
    from taskweb.cli.tables.plan_progress import shown_progress
    from taskweb.experiments import run_plan
    from taskweb.experiments.run_progress import PlanProgress

    last: list[PlanProgress] = []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster that ends a job interrupts it
    try:
        with shown_progress(quiet=quiet) as show:

            def on_progress(progress: PlanProgress) -> None:
                last[:] = [progress]
                show(progress)

            state = run_plan(plan, executor, retry_failed=again, on_progress=on_progress)
    except KeyboardInterrupt:
        done = f"{last[0].known + last[0].done:,} of {last[0].total:,} runs are done and kept" if last else "nothing was begun"
        raise StoppedError(f"Stopped: {done}. The same command goes on from here.") from None
    finally:
        signal.signal(signal.SIGTERM, before)
    if state.todo and state.budget_is_spent:
        hours = state.plan.most_hours
        left = f"with {len(state.todo):,} runs left"
        say(f"The budget of {hours:g} hours is spent, {left}. Raise hours in [budget] to go on.", quiet=quiet)
    return state


def _executor(name: str, workers: int, ray_address: str | None, gpus: float) -> Executor:
    from taskweb.experiments import InlineExecutor, ProcessExecutor, RayExecutor

    if name == "process":
        return ProcessExecutor(workers)
    return RayExecutor(ray_address, gpus) if name == "ray" else InlineExecutor()
