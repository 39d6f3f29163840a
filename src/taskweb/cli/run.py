"""`taskweb run`: measure the transfers of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import options
from taskweb.cli.console import output_console, print_json, progress_for, say


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
    from taskweb.experiments import EXECUTORS, InlineExecutor, ProcessExecutor, RayExecutor, run_plan, state_of
    from taskweb.experiments.executors import Executor

    if retry not in (None, "failed"):
        raise unknown_name("kind of run to retry", retry, ["failed"])
    if executor not in EXECUTORS:
        raise unknown_name("executor", executor, EXECUTORS)
    state = state_of(plan, retry_failed=retry is not None)
    if not (dry_run or status):
        say(f"{state.plan.name}: {state.total - len(state.todo):,} of {state.total:,} runs are done.", quiet=quiet)
        chosen: Executor = InlineExecutor()
        if executor == "process":
            chosen = ProcessExecutor(workers)
        elif executor == "ray":
            chosen = RayExecutor(ray_address, gpus)
        with progress_for(quiet=quiet)(f"Running {state.plan.name}", len(state.todo)) as advance:
            state = run_plan(plan, chosen, retry_failed=retry is not None, on_progress=advance)
    if output is options.TableFormat.json:
        print_json(state.to_dict())
        return
    from taskweb.cli.run_tables import state_tables

    console = output_console()
    for part in state_tables(state, console.width):
        console.print(part)
