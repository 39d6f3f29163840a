"""`taskweb evaluate`: how well a model does on tasks, over all their templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import print_json, print_tables, say, say_notes
from taskweb.cli.heard_readings import after_readings, tells_readings
from taskweb.cli.options import shared
from taskweb.cli.options.evaluation_options import ComputeOptions, ResultFileOptions, TaskOptions
from taskweb.cli.options.option_groups import spread
from taskweb.cli.options.reading_options import ReadingOptions, StorageOptions
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.evaluation import EvaluationSettings
    from taskweb.workflows.comparing_adapters import AdaptersEvaluation
    from taskweb.workflows.evaluating import ModelEvaluation, ModelSettings, TaskSettings


@spread
@tells_readings
def evaluate(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a model or an adapter, or its id on the Hub.")],
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            "--adapter",
            metavar="FOLDER",
            help="Adapter of MODEL (taskweb's or PEFT's), compared with MODEL alone. Repeatable; MODEL is read once.",
        ),
    ] = None,
    ready_sources: Annotated[
        list[str] | None,
        typer.Option(
            "--ready-sources",
            metavar="DIR|FILE|hf:ID",
            help="Adapters of MODEL in one place: a folder with an adapter <task>/ each, one on the Hub, or a .txt list of "
            "these. Repeatable.",
        ),
    ] = None,
    tasks: TaskOptions,
    computing: ComputeOptions,
    reading: ReadingOptions,
    storage: StorageOptions,
    files: ResultFileOptions,
    explain: shared.Explain = False,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Evaluate a model zero-shot: every template of every task, by the probability of each choice.

    Examples:
        taskweb evaluate my_model --examples my_task.jsonl
        taskweb evaluate ./my_model --ready-sources my_adapters/ --examples my_task.jsonl
        taskweb evaluate my_model --task rte --examples my_texts/rte.jsonl --predictions answers.jsonl
    """
    from taskweb.evaluation import save_predictions, save_results
    from taskweb.workflows.evaluating import evaluate_model

    scoring = computing.scoring()
    files.check()
    settings = computing.model_settings(model, reading, storage)
    if adapter or ready_sources:
        ready = _ready(ready_sources or [])
        _with_adapters(
            settings,
            adapter or [],
            ready,
            tasks.settings(),
            scoring,
            files,
            output,
            explain=explain,
            quiet=quiet,
            verbose=verbose,
        )
        return
    found = evaluate_model(settings, tasks.settings(), scoring, progress=after_readings(progress_for(quiet=quiet)))
    if files.predictions_file is not None:
        save_predictions(found.results, files.predictions_file)
    if files.results_file is not None:
        save_results(found.to_dict(), files.results_file)
    say_notes(found.notes, quiet=quiet)
    if verbose:
        _say_how(found)
    if output is shared.TableFormat.json:
        print_json(found.to_dict())
        return
    from taskweb.cli.tables.evaluations import evaluation_tables

    print_tables(lambda width: evaluation_tables(model, found.results, found.scored, width, explain=explain))


def _ready(given: list[str]) -> dict[str, Path]:
    """The folders of ready sources by task; those on the Hub are fetched."""
    from taskweb.experiments.ready_sources import ready_folder, ready_places

    return {name: ready_folder(place) for name, place in ready_places(given).items()}


def _with_adapters(
    settings: ModelSettings,
    adapters: list[str],
    ready: dict[str, Path],
    tasks: TaskSettings,
    scoring: EvaluationSettings,
    files: ResultFileOptions,
    output: shared.TableFormat,
    *,
    explain: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Evaluate adapters beside their base."""
    from taskweb.cli.tables.adapters import adapter_tables
    from taskweb.evaluation import save_predictions, save_results
    from taskweb.workflows.comparing_adapters import evaluate_adapters

    progress = after_readings(progress_for(quiet=quiet))
    found = evaluate_adapters(settings, adapters, tasks, scoring, ready=ready, progress=progress)
    if files.predictions_file is not None:
        models, results = zip(*found.results_by_model, strict=True)
        save_predictions(results, files.predictions_file, models)
    if files.results_file is not None:
        save_results(found.to_dict(), files.results_file)
    say_notes(found.notes, quiet=quiet)
    if verbose:
        _say_how(found)
    if output is shared.TableFormat.json:
        print_json(found.to_dict())
    else:
        print_tables(lambda width: adapter_tables(found, width, explain=explain))


def _say_how(found: ModelEvaluation | AdaptersEvaluation) -> None:
    """Which shorter ways of computing gave other results for this model, and how long the evaluation took."""
    for line in found.fallbacks or ("every shorter way of computing gives the same results for this model",):
        say(f"Computed: {line.rstrip('.')}.")
    say(f"Evaluated in {found.seconds:.2f} s.")
