"""`taskweb evaluate`: how well a model does on tasks, over all their templates."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskweb.cli import options
from taskweb.cli.console import output_console, print_json, progress_for, say_notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskweb.evaluation import EvaluationSettings, PromptedTask, TaskResult
    from taskweb.models import TaskModel
    from taskweb.training.settings import Precision

_EXAMPLES = "The examples"
_SCORES = "The scores"


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a model, or its id on the Hub.")],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", metavar="TASK", help="What to evaluate on; may be repeated. Default: the examples' name."),
    ] = None,
    examples: Annotated[
        str | None,
        typer.Option(
            "--examples",
            metavar="FILE",
            rich_help_panel=_EXAMPLES,
            help="Labelled examples: a file, a folder of <task>.jsonl, or hf:<id>. Default: the task's data set on the Hub.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="NAME", rich_help_panel=_EXAMPLES, help="Split on the Hub. Default: a held-out one."),
    ] = None,
    input_column: options.InputColumn = None,
    output_column: options.OutputColumn = None,
    choices_column: options.ChoicesColumn = None,
    input_format: options.InputFormat = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", rich_help_panel=_EXAMPLES, help="Draw N examples. Default: all.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", rich_help_panel=_EXAMPLES, help="For drawing examples.")] = 0,
    templates: Annotated[
        str | None,
        typer.Option(
            "--templates",
            metavar="NAMES",
            rich_help_panel=_EXAMPLES,
            help="Names divided by commas, 'all', or a file (.toml, promptsource's .yaml). Default: all, or prompts as given.",
        ),
    ] = None,
    score: Annotated[
        str,
        typer.Option(
            "--score",
            metavar="mean|sum",
            rich_help_panel=_SCORES,
            help="Over the log-probabilities of a choice's tokens. Per character or byte it is always the sum.",
        ),
    ] = "mean",
    normalise: Annotated[
        str,
        typer.Option(
            "--normalise",
            metavar="NAME",
            rich_help_panel=_SCORES,
            help="none; chars or bytes: the sum per character or UTF-8 byte of the choice (acc_norm, acc_bytes); "
            "unconditional: less the score given an empty prompt.",
        ),
    ] = "none",
    end_mark: Annotated[
        str,
        typer.Option(
            "--end-mark",
            metavar="in|out",
            rich_help_panel=_SCORES,
            help="Whether the end mark after a choice counts in its score: in as in T0, out as in lm-evaluation-harness.",
        ),
    ] = "in",
    max_input: Annotated[
        int | None, typer.Option("--max-input", metavar="N", help="Cut inputs at N tokens. Default: as the model was trained.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", help="Choices at once, at most. Default: found by itself.")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="NAME", help="Default: a GPU if there is one.")] = None,
    precision: Annotated[
        str, typer.Option("--precision", metavar="NAME", help="float32, bfloat16 or auto: bfloat16 where the GPU has it.")
    ] = "float32",
    results_file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", rich_help_panel=options.OUTPUT, help="Save the results as JSON."),
    ] = None,
    predictions_file: Annotated[
        Path | None,
        typer.Option("--predictions", metavar="FILE", rich_help_panel=options.OUTPUT, help="Save every answer, as JSON lines."),
    ] = None,
    output: options.TableOrJson = options.TableFormat.table,
    quiet: options.Quiet = False,
) -> None:
    """Evaluate a model zero-shot: every template of every task, by the likelihood of the choices.

    Example: taskweb evaluate my_model --task rte --examples my_texts/rte.jsonl --predictions answers.jsonl
    """
    from taskweb.evaluation import EvaluationSettings, TemplateChoice, check_model, save_predictions, save_results
    from taskweb.models import open_model
    from taskweb.models.loading import check_weights
    from taskweb.tasks import Sampling

    begin = time.monotonic()
    end_mark_counts = _end_mark(end_mark)
    settings = EvaluationSettings(score, normalise, batch_size)  # type: ignore[arg-type]  # checked there
    if Path(model).is_dir():
        check_weights(Path(model), model)
    for file in (results_file, predictions_file):
        _check_place(file)
    place = _place_of(device, precision)
    columns = None
    if input_column or output_column or choices_column:
        columns = options.columns_of(input_column, output_column, choices_column)
    reading = {
        "templates": TemplateChoice.parse(templates),
        "sampling": Sampling(limit, seed),
        "split": split,
        "columns": columns,
        "file_format": options.format_of(input_format),
    }
    tasks = _load(task, examples, reading)
    opened = open_model(model, max_input=max_input)
    opened.text = replace(opened.text, end_mark=end_mark_counts)
    check_model(opened, tasks, settings)
    results = _evaluate(opened, tasks, settings, place, precision, quiet=quiet)  # type: ignore[arg-type]  # checked there
    record = {
        "model": model,
        "origin": {"name": opened.origin.name, "revision": opened.origin.revision},
        **_how_scored(opened, settings),
        "max_input": opened.max_input,
        "tasks": [result.to_dict() for result in results],
        "seconds": round(time.monotonic() - begin, 3),
    }
    if predictions_file is not None:
        save_predictions(results, predictions_file)
    if results_file is not None:
        save_results(record, results_file)
    say_notes(_notes(results), quiet=quiet)
    _print(record, results, output)


def _end_mark(text: str) -> bool:
    """Whether the end mark counts. Raises NameNotFoundError for anything but `in` and `out`."""
    from taskweb.errors import unknown_name

    if text not in ("in", "out"):
        raise unknown_name("place of the end mark", text, ("in", "out"))
    return text == "in"


def _how_scored(model: TaskModel, settings: EvaluationSettings) -> dict[str, Any]:
    """What scores depend on. An encoder scores the outcomes of its head, which have neither tokens nor an end mark."""
    is_encoder = model.family == "encoder"
    return {
        "score": None if is_encoder else settings.summed_or_mean,
        "normalise": settings.normalisation,
        "end_mark": None if is_encoder else "in" if model.text.end_mark else "out",
        "prompt_format": model.prompts.name,
        "system": model.text.system,
        "template_options": dict(model.text.template_options),
    }


def _notes(results: Sequence[TaskResult]) -> Iterator[str]:
    from taskweb.cli.tables.formatting import counted

    for result in results:
        if result.skipped:
            yield f"{result.skipped} rows of {result.origin} have no label and were left out"
        if result.single_choice:
            yield f"{counted(result.single_choice, 'row')} of {result.origin} with only one choice left out of the mean"


def _check_place(file: Path | None) -> None:
    from taskweb.errors import InputError

    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise InputError(f"{file} cannot be written: it is a folder, or lies in none. Give a file in a folder that exists.")


def _place_of(device: str | None, precision: str) -> Any:
    """The device to compute on. Raises for one that is not there, and for a precision that is not known."""
    from taskweb.errors import unknown_name
    from taskweb.training.settings import PRECISIONS, chosen_device

    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    return chosen_device(device)


def _load(names: Sequence[str] | None, examples: str | None, reading: dict[str, Any]) -> list[PromptedTask]:
    """Read the examples of all tasks; all faults at once."""
    from taskweb.errors import InputError, TaskWebError
    from taskweb.evaluation import load_prompted
    from taskweb.tasks import example_files
    from taskweb.tasks.rows import name_of

    is_folder = examples is not None and Path(examples).is_dir()
    if not names:
        if examples is None:
            raise InputError("There is nothing to evaluate on. Name tasks with --task, or give --examples.")
        names = list(example_files(Path(examples))) if is_folder else [name_of(examples)]
    if len(set(names)) > 1 and examples is not None and not is_folder:
        raise InputError(
            f"{examples} holds the examples of one task, and {len(set(names))} are named. Give a folder of <task>.jsonl."
        )
    found, faults = [], []
    for name in dict.fromkeys(names):
        try:
            found.append(load_prompted(name, examples, **reading))
        except TaskWebError as fault:
            faults.append(str(fault))
    if faults:
        raise InputError(" ".join(faults))
    return found


def _evaluate(
    model: TaskModel,
    tasks: Sequence[PromptedTask],
    settings: EvaluationSettings,
    place: Any,
    precision: Precision,
    *,
    quiet: bool,
) -> list[TaskResult]:
    from taskweb.cli.tables.formatting import counted
    from taskweb.evaluation import evaluate_task
    from taskweb.evaluation.batching import BatchSize
    from taskweb.training.settings import computing_in

    model.module.to(place)
    size = BatchSize(model.module, settings.batch_size)
    results = []
    with computing_in(precision, place):
        for prompted in tasks:
            title = f"{prompted.task.name}, {counted(len(prompted.prompts), 'template')}"
            with progress_for(quiet=quiet)(title, prompted.size) as advance:
                results.append(evaluate_task(model, prompted, settings, size=size, on_done=advance))
    return results


def _print(record: dict[str, Any], results: Sequence[TaskResult], output: options.TableFormat) -> None:
    if output is options.TableFormat.json:
        print_json(record)
        return
    from taskweb.cli.tables.evaluations import result_tables

    console = output_console()
    for result in results:
        for part in result_tables(result, record, console.width):
            console.print(part)
