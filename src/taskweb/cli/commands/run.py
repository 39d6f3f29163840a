"""`taskweb run`: measure the transfers of a plan."""

from __future__ import annotations

import signal
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import StoppedError, print_json, print_tables, say, say_notes
from taskweb.cli.heard_readings import say_readings, tells_readings
from taskweb.cli.next_commands import say_next
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.options.training_options import parse_fuse

if TYPE_CHECKING:
    from taskweb.experiments import CheckedPlan, PlanState
    from taskweb.experiments.executors import Executor
    from taskweb.experiments.pair_choosing import Purchase
    from taskweb.experiments.plan import Fuse


@dataclass(frozen=True)
class ExecutorOptions:
    """Where the runs are carried out."""

    executor: Annotated[
        str, typer.Option("--executor", metavar="NAME", help="Where runs are carried out: inline, process, ray or slurm.")
    ] = "inline"
    workers: Annotated[
        int,
        typer.Option(
            "--workers", metavar="N", min=1, help="Processes or Slurm jobs at once, with --executor process or slurm."
        ),
    ] = 2
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", metavar="ADDRESS", help="Address of a Ray cluster. Default: start a local one."),
    ] = None
    gpus: Annotated[
        float, typer.Option("--gpus", metavar="N", min=0, help="GPUs per worker, with --executor ray or slurm.")
    ] = 0.0
    artifacts: Annotated[
        str | None,
        typer.Option(
            "--artifacts", metavar="URL", help="Folder for weights that all Ray nodes see, such as s3://bucket/folder."
        ),
    ] = None
    slurm: Annotated[
        list[str] | None,
        typer.Option("--slurm", metavar="KEY=VALUE", help="Option for sbatch, such as time=04:00:00. Repeatable."),
    ] = None
    fuse: Annotated[
        str | None,
        typer.Option(
            "--fuse",
            metavar="N|auto",
            help="Trainings of one frozen base at once (LoRA, adapters, BitFit), instead of the plan's. Auto: 1 on a CPU.",
        ),
    ] = None

    def check(self) -> None:
        """Raise NameNotFoundError for an unknown executor, ParameterError for wrong options."""
        from taskweb.errors import ParameterError, unknown_name
        from taskweb.experiments import EXECUTORS

        if self.executor not in EXECUTORS:
            raise unknown_name("executor", self.executor, EXECUTORS)
        if self.slurm and self.executor != "slurm":
            raise ParameterError("--slurm is only for --executor slurm.")
        if self.artifacts and self.executor != "ray":
            raise ParameterError("--artifacts is only for --executor ray.")
        if self.fuse is not None:
            parse_fuse(self.fuse)

    @property
    def most_together(self) -> Fuse | None:
        """Most trainings at once; None for what the plan says."""
        return None if self.fuse is None else parse_fuse(self.fuse)

    def built(self) -> Executor:
        """The executor."""
        from taskweb.experiments import InlineExecutor, ProcessExecutor, RayExecutor, SlurmExecutor

        if self.executor == "process":
            return ProcessExecutor(self.workers)
        if self.executor == "slurm":
            return SlurmExecutor(self.workers, self.gpus, tuple(self.slurm or ()))
        return RayExecutor(self.ray_address, self.gpus, self.artifacts) if self.executor == "ray" else InlineExecutor()


@spread
@tells_readings
def run(
    *,
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="Plan: tasks, setups, seeds and pairs to measure.")],
    executing: ExecutorOptions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print what would be run.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Print the state of the plan, also while it runs elsewhere.")
    ] = False,
    retry: Annotated[
        str | None, typer.Option("--retry", metavar="failed", help="Also repeat runs that failed or diverged.")
    ] = None,
    worker: Annotated[Path | None, typer.Option("--worker", metavar="FOLDER", hidden=True)] = None,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Measure the transfers of a plan. If it is stopped, the same command continues it.

    Every result is saved at once in the plan's store. Read it with: taskweb web show STORE.

    Examples:
        taskweb run my_plan.toml --dry-run  # check the plan, and say what it would train
        taskweb run my_plan.toml --executor process --workers 2
    """
    from taskweb.errors import unknown_name
    from taskweb.experiments import state_of

    if retry not in (None, "failed"):
        raise unknown_name("kind of run to retry", retry, ["failed"])
    executing.check()
    if worker is not None:
        _work(plan, worker)
        return
    as_json, retry_failed = output is shared.TableFormat.json, retry is not None
    if dry_run and not status:
        _dry_run(plan, executing.built(), retry_failed=retry_failed, as_json=as_json, quiet=quiet)
        return
    if status:
        state = state_of(plan, retry_failed=retry_failed)
    else:
        state = _measured(plan, executing, retry_failed=retry_failed, quiet=quiet)
    if as_json:
        print_json(state.to_dict())
        return
    from taskweb.cli.tables.plan_states import state_tables

    print_tables(lambda width: state_tables(state, datetime.now().astimezone(), width))
    _say_next(state, plan, quiet=quiet)


def _say_next(state: PlanState, plan: Path, *, quiet: bool) -> None:
    """Name the command to type next, with the options of this one where it is the same command."""
    from taskweb.cli.tables.plan_answers import next_of_plan

    words, remark = next_of_plan(state, str(plan))
    only = None if words[0] == "run" else ()
    say_next(*words, but=("--status", "--dry-run", "--retry"), only=only, remark=remark, quiet=quiet)


def _work(plan: Path, folder: Path) -> None:
    """Be a worker of a plan whose owner runs elsewhere."""
    from taskweb.experiments.executors.slurm_worker import name_of_this_worker, work_in
    from taskweb.experiments.spool import Spool

    work_in(Spool(folder), plan, name_of_this_worker())


def _dry_run(path: Path, executor: Executor, *, retry_failed: bool, as_json: bool, quiet: bool) -> None:
    """Check the plan and print what it would run; if examples or models are missing, only what the plan itself says."""
    from taskweb.cli.tables.plan_states import cut_tables, memory_tables, rest_tables, state_tables
    from taskweb.cli.tables.plans import plan_facts, plan_tables
    from taskweb.errors import ParameterError
    from taskweb.experiments import check_plan
    from taskweb.experiments.state import plan_state

    try:
        checked = check_plan(path, count_cut=True, workers=executor.workers_here)
    except ParameterError:
        if not as_json:
            _print_plan(path)
        raise
    state = plan_state(checked.plan, checked.data, retry_failed=retry_failed)
    rest, notes = _rest_of_budget(checked)
    say_notes([*checked.warnings, *notes], quiet=quiet)
    if as_json:
        found = {
            **({} if rest is None else {"budget_buys": asdict(rest)}),
            "cut_inputs": [asdict(own) for own in checked.cut],
            "memory": [own.to_dict() for own in checked.memory],
            "other_bases": [asdict(own) for own in checked.other_bases],
        }
        print_json(state.to_dict() | found | plan_facts(checked.plan, checked.data))
        return
    print_tables(lambda width: plan_tables(checked.plan, checked.data, width))
    print_tables(lambda width: state_tables(state, datetime.now().astimezone(), width))
    if rest is not None:
        print_tables(lambda width: rest_tables(rest, width))
    print_tables(lambda width: cut_tables(checked.cut, width))
    print_tables(lambda width: memory_tables(checked.memory, width))
    _say_next(state, path, quiet=quiet)


def _rest_of_budget(checked: CheckedPlan) -> tuple[Purchase | None, list[str]]:
    """What the rest of the budget buys where pairs are chosen, and what a person should know about the choice."""
    from taskweb.experiments.pair_choosing import Rounds
    from taskweb.experiments.specs import keys_of
    from taskweb.workflows.pair_choices import UnseenTargetsChooser

    if not checked.plan.is_chosen:
        return None, []
    chooser = UnseenTargetsChooser()
    rest = Rounds(checked.plan, checked.data, chooser, keys_of(checked.plan, checked.data)).rest()
    return rest, chooser.notes


def _print_plan(path: Path) -> None:
    """Print a plan whose examples or models are missing; nothing where the plan itself has errors."""
    from taskweb.cli.tables.plans import plan_tables
    from taskweb.experiments.plan_file import plan_and_errors
    from taskweb.experiments.task_data import task_data_and_errors

    plan, errors = plan_and_errors(path, methods=True)
    if not errors:
        local = {name: task for name, task in plan.tasks.items() if task.hub is None}
        data, _ = task_data_and_errors(replace(plan, tasks=local))
        print_tables(lambda width: plan_tables(plan, data, width))


def _measured(plan: Path, executing: ExecutorOptions, *, retry_failed: bool, quiet: bool) -> PlanState:
    """Run the plan and show its progress. Raises StoppedError where it is interrupted."""
    from taskweb.cli.progress.plan_progress import shown_progress
    from taskweb.cli.tables.plan_states import pairs_line, round_line
    from taskweb.experiments import Reports, run_plan
    from taskweb.experiments.pair_choosing import Round
    from taskweb.experiments.run_progress import PlanProgress
    from taskweb.workflows.pair_choices import UnseenTargetsChooser

    last: list[PlanProgress] = []
    chooser, stopped = UnseenTargetsChooser(), list[str]()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster that ends a job interrupts it
    try:
        with shown_progress(quiet=quiet) as show:

            def on_progress(progress: PlanProgress) -> None:
                if not last:
                    say_readings()
                last[:] = [progress]
                show(progress)

            def on_warning(line: str) -> None:
                say_notes([line], quiet=quiet)

            def on_round(found: Round) -> None:
                if found.number == 1:
                    say_notes(chooser.notes, quiet=quiet)
                say(round_line(found), quiet=quiet)

            state = run_plan(
                plan,
                executing.built(),
                retry_failed=retry_failed,
                fuse=executing.most_together,
                reports=Reports(on_progress, on_warning, on_round, stopped.append),
                chooser=chooser,
            )
    except KeyboardInterrupt:
        done = (
            f"{last[0].known + last[0].done:,} of {last[0].total:,} runs are done and saved" if last else "no run was started"
        )
        raise StoppedError(f"Stopped: {done}. The same command continues from here.") from None
    finally:
        signal.signal(signal.SIGTERM, before)
    if stopped:
        say(f"No further pair is chosen: {stopped[0]}. {pairs_line(state)}", quiet=quiet)
    elif state.todo and state.budget_is_spent:
        hours = state.plan.most_hours
        left = f"with {len(state.todo):,} runs left"
        say(f"The budget of {hours:g} hours is spent, {left}. Raise hours in [budget] to continue.", quiet=quiet)
    return state
