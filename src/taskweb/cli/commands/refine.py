"""`taskweb refine`: spend a few runs on the target, and know which sources help it."""

from __future__ import annotations

import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskweb.cli.commands.rank import SamplingOptions
from taskweb.cli.console import StoppedError, print_json, print_tables, say_notes, say_text
from taskweb.cli.heard_readings import say_readings, tells_readings
from taskweb.cli.next_commands import say_next
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.options.reading_options import ReadingOptions, StorageOptions
from taskweb.cli.options.training_options import MODEL, TRAINING, LoraOptions, parse_fuse
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.workflows.refining.measuring import Measuring
    from taskweb.workflows.refining.refine_settings import RefineSettings
    from taskweb.workflows.refining.refining import Refinement, RefineQuestion

MEASURING = "What is measured"


@dataclass(frozen=True)
class MeasuringOptions:
    """What is measured, and when it stops."""

    budget: Annotated[
        str,
        typer.Option(
            "--budget", metavar="N|2h|30m", rich_help_panel=MEASURING, help="Runs, baselines included, or time to spend."
        ),
    ] = "15"
    k: Annotated[
        int, typer.Option("--k", metavar="K", min=1, rich_help_panel=MEASURING, help="Number of sources to decide on.")
    ] = 5
    until: Annotated[
        float | None,
        typer.Option(
            "--until",
            metavar="PERCENT",
            rich_help_panel=MEASURING,
            help="Stop once less than this is left to gain, in percent of the score.",
        ),
    ] = None
    measures: Annotated[
        str,
        typer.Option(
            "--measures",
            metavar="NAME",
            rich_help_panel=MEASURING,
            help="transfer: train on the source, then on the target; zero-shot: on the source alone (not for encoders).",
        ),
    ] = "transfer"
    seed: Annotated[int, typer.Option("--seed", metavar="N", rich_help_panel=MEASURING, help="The first seed.")] = 1
    source_examples: Annotated[
        int,
        typer.Option(
            "--source-examples", metavar="N", min=1, rich_help_panel=MEASURING, help="Train on at most N examples of a source."
        ),
    ] = 1000
    target_examples: Annotated[
        int,
        typer.Option(
            "--target-examples", metavar="N", min=1, rich_help_panel=MEASURING, help="Train on at most N rows of the target."
        ),
    ] = 1000
    fuse: Annotated[
        str,
        typer.Option(
            "--fuse",
            metavar="N|auto",
            rich_help_panel=MEASURING,
            help="Choose N runs at once, which share passes (LoRA, adapters, BitFit). Auto: 4 on a GPU, 1 on a CPU.",
        ),
    ] = "auto"
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="TASK=KIND",
            rich_help_panel=MEASURING,
            help="Kind of a task, if its examples do not show it: classification, multiple_choice, regression, span_qa or "
            "generation. Repeatable.",
        ),
    ] = None


@dataclass(frozen=True)
class RefineTrainingOptions:
    """How runs are trained."""

    max_input: Annotated[
        int | None,
        typer.Option(
            "--max-input", metavar="N", rich_help_panel=MODEL, help="Tokens that an input may have. Default: the model's limit."
        ),
    ] = None
    revision: Annotated[
        str | None, typer.Option("--revision", rich_help_panel=MODEL, help="Commit, branch or tag of the model on the Hub.")
    ] = None
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", rich_help_panel=TRAINING, help="Highest learning rate.")
    ] = None
    epochs: Annotated[int | None, typer.Option("--epochs", rich_help_panel=TRAINING, help="Passes over the examples.")] = None
    steps: Annotated[
        int | None, typer.Option("--steps", rich_help_panel=TRAINING, help="Number of updates, instead of epochs.")
    ] = None
    batch_size: Annotated[int | None, typer.Option("--batch-size", rich_help_panel=TRAINING, help="Examples per update.")] = (
        None
    )
    micro_batch_size: Annotated[
        int | None, typer.Option("--micro-batch-size", rich_help_panel=TRAINING, help="Examples processed at once.")
    ] = None
    warmup_ratio: Annotated[
        float | None,
        typer.Option("--warmup-ratio", rich_help_panel=TRAINING, help="Share of updates in which the learning rate rises."),
    ] = None
    precision: Annotated[
        str | None,
        typer.Option("--precision", rich_help_panel=TRAINING, help="Compute in float32, bfloat16 or auto."),
    ] = None
    device: Annotated[
        str | None, typer.Option("--device", rich_help_panel=TRAINING, help="Device to train on, such as cpu or cuda:1.")
    ] = None

    def entries(self) -> dict[str, Any]:
        """What was given, by the keys of a plan's setup table."""
        given = {key: value for key, value in asdict(self).items() if value is not None}
        entries: dict[str, Any] = {key: given.pop(key) for key in ("max_input", "revision") if key in given}
        return {**entries, **({"training": given} if given else {})}


@spread
@tells_readings
def refine(
    *,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A file of labelled examples (JSONL, CSV, Parquet), or hf:<id>.")
    ],
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--sources",
            metavar="DIR|FILE|hf:ID",
            help="Sources to train on: a folder with <task>.jsonl files, a file, or a Hub data set. Repeatable. Or one table "
            "of many tasks, with --task-column.",
        ),
    ] = None,
    task_column: shared.TaskColumn = None,
    ready_sources: Annotated[
        list[str] | None,
        typer.Option(
            "--ready-sources",
            metavar="DIR|FILE|hf:ID",
            help="Sources that were trained elsewhere: a folder with an adapter or a model <task>/ each, one on the Hub, or a "
            ".txt list of these. They are not trained again. Repeatable.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="ID|FOLDER", rich_help_panel=MODEL, help="Model that runs start from.")
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", metavar="NAME", rich_help_panel=MODEL, help="Train by lora, pfeiffer, bitfit or finetune."),
    ] = "lora",
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Folder for runs (web.db), plan and ranking.")] = None,
    measuring: MeasuringOptions,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, and print ranking, trainings and time. Writes nothing.")
    ] = False,
    training: RefineTrainingOptions,
    lora: LoraOptions,
    reads: ReadingOptions,
    storage: StorageOptions,
    ranked: shared.RankOptions,
    evidence: shared.Evidence = None,
    sampling: SamplingOptions,
    reading: shared.TargetOptions,
    selection: shared.SelectorOptions,
    encoding: shared.EncoderOptions,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Spend a few runs on the target where they matter most, and rank its sources by what they show.

    If it is stopped, the same command continues it. The runs are a web: give --web DIR/web.db for the next target.

    Examples:
        taskweb refine my_task.jsonl --sources my_sources/ --model ./my_model --budget 15 --to measured
        taskweb refine my_task.jsonl --sources my_sources/ --model ./my_model --budget 15 --to measured --dry-run
        taskweb refine my_task.jsonl --ready-sources my_adapters/ --model ./my_model --measures zero-shot --to measured
    """
    from taskweb.errors import ParameterError
    from taskweb.workflows.candidate_sources import with_table
    from taskweb.workflows.refining.ready_candidates import with_ready_sources
    from taskweb.workflows.refining.refining import refine_question

    options = (("--sources", sources or ready_sources), ("--model", model), ("--to", to))
    if missing := [option for option, value in options if not value]:
        raise ParameterError(
            f"{' and '.join(missing)} must be given: taskweb refine TARGET --sources DIR --model MODEL --to DIR"
        )
    assert model is not None
    assert to is not None
    entries = training.entries() | _more_entries(lora, reads, storage)
    if measuring.measures != "transfer":
        entries["measures"] = measuring.measures
    rank_settings = ranked.settings(encoding.settings(), reading.settings(sampling.settings()), selection.settings(None))
    how = with_ready_sources(_settings(model, method, entries, measuring), ready_sources or [])
    progress = progress_for(quiet=quiet)
    question = refine_question(target, with_table(sources or (), task_column), how, rank_settings, progress, evidence=evidence)
    if dry_run:
        _dry_run(question, to, output, quiet=quiet)
        return
    say_readings()
    say_notes(question.notes, quiet=quiet)
    found = _measured(question, to, quiet=quiet)
    if output is shared.TableFormat.json:
        print_json(found.to_dict())
        return
    from taskweb.cli.tables.refinements import refinement_tables
    from taskweb.selectors.recommended_sources import sources_to_train_on

    print_tables(lambda width: refinement_tables(found, width))
    said = {*question.notes, *found.measuring.runs.warnings}
    say_notes([note for note in found.notes if note not in said], quiet=quiet)
    if sources_to_train_on(found.ranking):
        mixing = ("mix", target, "--ranking", str(to), "--to", "my_mixture")
        say_next(*mixing, only=("--sources", "--task-column", "--ready-sources"), quiet=quiet)


def _more_entries(lora: LoraOptions, reads: ReadingOptions, storage: StorageOptions) -> dict[str, Any]:
    stored = {key: value for key, value in asdict(storage).items() if value is not None}
    return {**({"method_parameters": given} if (given := lora.given()) else {}), **reads.given(), **stored}


def _settings(model: str, method: str, entries: dict[str, Any], options: MeasuringOptions) -> RefineSettings:
    from taskweb.errors import ParameterError
    from taskweb.mixture.kinds import parse_kinds
    from taskweb.workflows.refining.refine_settings import RefineSettings, parse_budget

    if method != "lora" and "method_parameters" in entries:
        raise ParameterError("The options of LoRA need --method lora. Add it, or leave them out.")
    return RefineSettings(
        model,
        method,
        entries,
        parse_budget(options.budget),
        options.k,
        options.until,
        options.seed,
        options.source_examples,
        options.target_examples,
        parse_fuse(options.fuse),
        parse_kinds(options.kind or ()),
    )


def _dry_run(question: RefineQuestion, to: Path, output: shared.TableFormat, *, quiet: bool) -> None:
    from taskweb.workflows.refining.refining import most_trainings, only_checked

    with only_checked(question, to) as found:
        trainings = most_trainings(found)
        if output is shared.TableFormat.json:
            left = found.seconds_left
            print_json({**found.to_dict(), "trainings": trainings, "hours": None if left is None else left / 3600})
        else:
            from taskweb.cli.tables.refinements import dry_run_tables

            print_tables(lambda width: dry_run_tables(found, trainings, width))
    say_notes((*question.notes, *found.runs.warnings), quiet=quiet)


def _measured(question: RefineQuestion, to: Path, *, quiet: bool) -> Refinement:
    """Make the runs, and show each. Raises StoppedError where it is interrupted."""
    from taskweb.workflows.refining.refining import refined

    made: list[int] = []

    def on_run(found: Measuring) -> None:
        if not made:
            say_notes(found.runs.warnings, quiet=quiet)
        if not made and found.read_back:
            say_text(_read_back(found), quiet=quiet)
        made.append(len(found.made))
        if not quiet:
            _show(found)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster that ends a job interrupts it
    try:
        return refined(question, to, on_run=on_run)
    except KeyboardInterrupt:
        done = f"{made[-1]} runs are done and saved" if made else "no run was started"
        raise StoppedError(f"Stopped: {done}. The same command continues from here.") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _read_back(found: Measuring) -> str:
    from taskweb.report.words import period
    from taskweb.web.records.run_times import measured_at

    known = [measured_at(run) for run in found.made[: found.read_back]]
    times = [at for at in known if at is not None]
    when = f", measured {period(times)}" if len(times) == len(known) else ""
    return f"{found.read_back} runs of an earlier command are read back from {found.runs.plan.store}{when}."


def _show(found: Measuring) -> None:
    """The state after a run, on stderr."""
    from taskweb.cli.tables.refinements import run_tables
    from taskweb.cli.terminal import Terminal

    console = Terminal(stderr=True)
    for part in run_tables(found, console.width):
        console.print(part)
