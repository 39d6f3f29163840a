"""Options of an evaluation: tasks and examples, scores, and how the model computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import completion
from taskweb.cli.options import shared
from taskweb.cli.options.reading_options import READING, ReadingOptions, StorageOptions

if TYPE_CHECKING:
    from taskweb.evaluation import EvaluationSettings
    from taskweb.workflows.evaluating import ModelSettings, TaskSettings

EXAMPLES = "The examples"
SCORES = "The scores"


@dataclass(frozen=True)
class TaskOptions:
    """The tasks that the model is evaluated on, and their examples."""

    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            metavar="TASK",
            autocompletion=completion.catalogued,
            help="Task to evaluate on. Repeatable. Default: the examples' name.",
        ),
    ] = None
    examples: Annotated[
        str | None,
        typer.Option(
            "--examples",
            metavar="FILE",
            rich_help_panel=EXAMPLES,
            help="Labelled examples: a file, a folder with <task>.jsonl files, or hf:<id>. Default: the task's data set on "
            "the Hub.",
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="NAME", rich_help_panel=EXAMPLES, help="Split of a data set. Default: a held-out one."),
    ] = None
    input_column: shared.InputColumn = None
    output_column: shared.OutputColumn = None
    choices_column: shared.ChoicesColumn = None
    answers_are: shared.AnswersAre = None
    input_format: shared.InputFormat = None
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", rich_help_panel=EXAMPLES, help="Use N randomly drawn examples. Default: all."),
    ] = None
    seed: Annotated[int, typer.Option("--seed", metavar="N", rich_help_panel=EXAMPLES, help="Seed for drawing examples.")] = 0
    templates: Annotated[
        str | None,
        typer.Option(
            "--templates",
            metavar="NAMES",
            rich_help_panel=EXAMPLES,
            help="Templates: names with commas between them, 'all', or a file (.toml, or promptsource's .yaml). Default: all, "
            "or the prompts as they are.",
        ),
    ] = None

    def settings(self) -> TaskSettings:
        """The settings that the options stand for. Raises NameNotFoundError for an unknown format."""
        from taskweb.evaluation import TemplateChoice
        from taskweb.tasks import Sampling
        from taskweb.workflows.evaluating import TaskSettings

        columns = None
        if self.input_column or self.output_column or self.choices_column or self.answers_are:
            columns = shared.columns_of(self.input_column, self.output_column, self.choices_column, self.answers_are)
        return TaskSettings(
            tuple(self.task or ()),
            self.examples,
            TemplateChoice.parse(self.templates),
            Sampling(self.limit, self.seed),
            self.split,
            columns,
            shared.format_of(self.input_format),
        )


@dataclass(frozen=True)
class ComputeOptions:
    """How choices are scored, and how the model computes."""

    score: Annotated[
        str,
        typer.Option(
            "--score",
            metavar="mean|sum",
            rich_help_panel=SCORES,
            help="Score of a choice: mean or sum of its tokens' log-probabilities. Per character or byte always the sum.",
        ),
    ] = "mean"
    normalise: Annotated[
        str,
        typer.Option(
            "--normalise",
            metavar="NAME",
            rich_help_panel=SCORES,
            help="none; chars or bytes: divide by the characters or UTF-8 bytes of the choice (acc_norm, acc_bytes); "
            "unconditional: subtract the score of the choice after an empty prompt.",
        ),
    ] = "none"
    end_mark: Annotated[
        str,
        typer.Option(
            "--end-mark",
            metavar="in|out",
            rich_help_panel=SCORES,
            help="Whether the end mark after a choice counts in its score: in as in T0, out as in lm-evaluation-harness.",
        ),
    ] = "in"
    max_input: Annotated[
        int | None,
        typer.Option(
            "--max-input",
            metavar="N",
            rich_help_panel=READING,
            help="Tokens that an input may have, the answer not included. Default: the model's limit.",
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", metavar="N", help="Maximum choices processed at once. Default: found automatically."),
    ] = None
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="Device to compute on. Default: a GPU if there is one.")
    ] = None
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="Compute in float32, bfloat16 or auto: bfloat16 if the GPU has it. Default: what the weights are stored in; "
            "float32 needs float32 weights.",
        ),
    ] = None

    def scoring(self) -> EvaluationSettings:
        """How choices are scored. Raises a TaskWebError for unknown names and numbers out of range."""
        from taskweb.evaluation import EvaluationSettings

        return EvaluationSettings(self.score, self.normalise, self.batch_size)  # type: ignore[arg-type]  # checked there

    def model_settings(self, model: str, reading: ReadingOptions, storage: StorageOptions) -> ModelSettings:
        """The model, and how it reads and computes. Raises a TaskWebError for unknown names and what cannot be."""
        from taskweb.workflows.evaluating import ModelSettings

        return ModelSettings(
            model,
            self.max_input,
            self.device,
            self.precision,  # type: ignore[arg-type]  # checked there
            end_mark=self.end_mark,
            reading=reading.settings(self.max_input),
            family=storage.family,
            dtype=storage.dtype or "float32",
            load_in=storage.load_in,
        )


@dataclass(frozen=True)
class ResultFileOptions:
    """Files that the results are saved in."""

    results_file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", rich_help_panel=shared.OUTPUT, help="Save the results as JSON."),
    ] = None
    predictions_file: Annotated[
        Path | None,
        typer.Option("--predictions", metavar="FILE", rich_help_panel=shared.OUTPUT, help="Save every answer, as JSON lines."),
    ] = None

    def check(self) -> None:
        """Raise InputError for a file that cannot be written."""
        from taskweb.errors import InputError

        for file in (self.results_file, self.predictions_file):
            if file is not None and (file.is_dir() or not file.parent.is_dir()):
                raise InputError(f"{file} cannot be written: it is a folder, or its folder does not exist.")
