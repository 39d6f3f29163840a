"""`taskweb evaluate`: how well a model does on tasks, over all their templates."""

from __future__ import annotations

from typing import Annotated

import typer

from taskweb.cli.console import print_json, print_tables, say_notes
from taskweb.cli.options import shared
from taskweb.cli.options.evaluation_options import ComputeOptions, ResultFileOptions, TaskOptions
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for


@spread
def evaluate(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a model, or its id on the Hub.")],
    tasks: TaskOptions,
    computing: ComputeOptions,
    files: ResultFileOptions,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Evaluate a model zero-shot: every template of every task, by the probability of each choice.

    Example: taskweb evaluate my_model --task rte --examples my_texts/rte.jsonl --predictions answers.jsonl
    """
    from taskweb.evaluation import save_predictions, save_results
    from taskweb.workflows.evaluating import evaluate_model

    scoring = computing.scoring()
    files.check()
    settings = computing.model_settings(model)
    found = evaluate_model(settings, tasks.settings(), scoring, progress=progress_for(quiet=quiet))
    if files.predictions_file is not None:
        save_predictions(found.results, files.predictions_file)
    if files.results_file is not None:
        save_results(found.to_dict(), files.results_file)
    say_notes(found.notes, quiet=quiet)
    if output is shared.TableFormat.json:
        print_json(found.to_dict())
        return
    from taskweb.cli.tables.evaluations import result_tables

    print_tables(lambda width: (part for result in found.results for part in result_tables(result, found.scored, width)))
