"""Options of a mixture: which sources, how many examples of each, and which files are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.options import shared
from taskweb.cli.options.reading_options import READING, ReadingOptions
from taskweb.errors import ParameterError

if TYPE_CHECKING:
    from taskweb.mixture.rates import RateScheme
    from taskweb.mixture.sampling import MixtureSettings
    from taskweb.tasks.text_settings import TextSettings
    from taskweb.workflows.candidate_sources import Place
    from taskweb.workflows.choosing import Number

CHOICE = "Which sources"
AMOUNT = "How many examples"
FILES = "Files"


@dataclass(frozen=True)
class ChoiceOptions:
    """Which sources are mixed."""

    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--sources",
            metavar="DIR|FILE|hf:ID",
            rich_help_panel=CHOICE,
            help="Examples of sources: a folder with <task>.jsonl files, a file, or a Hub data set. NAME=FILE gives a file "
            "another name. Repeatable. Or one table of many tasks, with --task-column.",
        ),
    ] = None
    task_column: shared.TaskColumn = None
    ready_sources: Annotated[
        list[str] | None,
        typer.Option(
            "--ready-sources",
            metavar="DIR|FILE|hf:ID",
            rich_help_panel=CHOICE,
            help="Mix LoRA adapters that were trained on sources, instead of rows: a folder with an adapter <task>/ each, "
            "one on the Hub, or a .txt list. The result is one adapter. Repeatable.",
        ),
    ] = None
    ranking: Annotated[
        str | None,
        typer.Option(
            "--ranking",
            metavar="FILE|DIR",
            rich_help_panel=CHOICE,
            help="Take the best sources of a saved ranking (taskweb rank --format json; '-' reads a pipe), or of a folder of "
            "taskweb refine.",
        ),
    ] = None
    accept_changed: shared.AcceptChanged = False
    tasks: Annotated[
        str | None, typer.Option("--tasks", metavar="T,T", rich_help_panel=CHOICE, help="Mix these tasks, without a ranking.")
    ] = None
    k: Annotated[
        str | None,
        typer.Option(
            "--k",
            metavar="N|auto",
            rich_help_panel=CHOICE,
            help="Take the N best; auto: those that are likelier to help than to harm, at most 5. Default: 5.",
        ),
    ] = None
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="TASK=KIND",
            rich_help_panel=CHOICE,
            help="Kind of a task, if its examples do not show it: classification, multiple_choice, regression, span_qa or "
            "generation. Repeatable.",
        ),
    ] = None

    @property
    def places(self) -> tuple[Place, ...]:
        """The sources. Raises InputError where --task-column is given, and they are not one table."""
        from taskweb.workflows.candidate_sources import with_table

        return with_table(self.sources or (), self.task_column)

    @property
    def number(self) -> Number:
        """How many sources: a number, `auto` or None. Raises ParameterError for anything else."""
        from taskweb.workflows.choosing import AUTO

        if self.k is None or self.k == AUTO:
            return self.k
        try:
            return int(self.k)
        except ValueError:
            raise ParameterError(f"--k must be a number of sources or '{AUTO}'. Got '{self.k}' instead.") from None


@dataclass(frozen=True)
class AmountOptions:
    """How many examples of each source are mixed."""

    examples_per_task: Annotated[
        int | None,
        typer.Option(
            "--examples-per-task",
            metavar="N",
            rich_help_panel=AMOUNT,
            help="Mix N examples of each task on average, or all where there are fewer. Default: 2000.",
        ),
    ] = None
    total: Annotated[
        int | None,
        typer.Option(
            "--total", metavar="N", rich_help_panel=AMOUNT, help="Mix N examples in total, instead of a number per task."
        ),
    ] = None
    cap: Annotated[
        int | None, typer.Option("--cap", metavar="N", rich_help_panel=AMOUNT, help="Mix at most N examples of each task.")
    ] = None
    rates: Annotated[
        str,
        typer.Option(
            "--rates",
            metavar="NAME|T=R,T=R",
            rich_help_panel=AMOUNT,
            help="Sampling rates: uniform, proportional, temperature, score, or a rate for each task; they sum to 1.",
        ),
    ] = "uniform"
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            metavar="X",
            rich_help_panel=AMOUNT,
            help="Temperature of rates by temperature or score: higher makes them more equal.",
        ),
    ] = 2.0
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", metavar="SHARE", rich_help_panel=AMOUNT, help="Share of each task that is held out to evaluate on."
        ),
    ] = 0.05
    most_held_out: Annotated[
        int,
        typer.Option("--most-held-out", metavar="N", rich_help_panel=AMOUNT, help="Hold out at most N examples of each task."),
    ] = 200
    seed: Annotated[int, typer.Option("--seed", rich_help_panel=AMOUNT, help="Seed of all random draws.")] = 0

    def settings(self) -> MixtureSettings:
        """The settings that the options stand for. Raises a TaskWebError for unusable ones."""
        from taskweb.mixture.sampling import MixtureSettings

        rates = parse_rates(self.rates)
        return MixtureSettings(
            self.examples_per_task,
            self.total,
            self.cap,
            rates,
            self.temperature,
            self.held_out,
            self.most_held_out,
            self.seed,
        )


@dataclass(frozen=True)
class FileOptions:
    """Which files are written."""

    file_format: Annotated[
        str,
        typer.Option(
            "--file-format", metavar="NAME", rich_help_panel=FILES, help="Format of the examples: jsonl, parquet or datasets."
        ),
    ] = "jsonl"
    export: Annotated[
        list[str] | None,
        typer.Option(
            "--export",
            metavar="NAME",
            rich_help_panel=FILES,
            help="Also export to a subfolder for another tool: chat, llama-factory, axolotl, open-instruct or interleave. "
            "Repeatable.",
        ),
    ] = None
    export_rates: Annotated[
        str,
        typer.Option(
            "--export-rates", metavar="NAME", rich_help_panel=FILES, help="Rates to export: asked (requested) or realised."
        ),
    ] = "asked"

    @property
    def exports(self) -> tuple[str, ...]:
        """The names of exporters."""
        return tuple(self.export or ())


@dataclass(frozen=True)
class ModelReadingOptions(ReadingOptions):
    """Which model will read the mixture, and how."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="ID|FOLDER",
            rich_help_panel=READING,
            help="Count the inputs that this model would cut, and write the chat export as it reads them. Reads no weights.",
        ),
    ] = None
    max_input: Annotated[
        int | None,
        typer.Option(
            "--max-input",
            metavar="N",
            rich_help_panel=READING,
            help="Tokens that an input may have, the answer not included. Default: the model's limit.",
        ),
    ] = None

    def text(self) -> TextSettings:
        """How the model reads. Raises a TaskWebError for unknown names and numbers out of range."""
        return self.settings(self.max_input)

    def check(self, exports: tuple[str, ...]) -> None:
        """Raise ParameterError for options that need a model, and a system message that would be written nowhere."""
        self.text()
        if self.model is None and self != ModelReadingOptions(system=self.system):
            raise ParameterError("Options of how a model reads need --model. Name the model that the mixture is for.")
        if self.model is None and self.system is not None and "chat" not in exports:
            raise ParameterError("--system is written to the chat export. Add --export chat, or --model.")


def parse_rates(text: str) -> RateScheme | dict[str, float]:
    """The name of a way to set rates, or `task=rate` pairs separated by commas. Raises ParameterError for anything else."""
    from taskweb.errors import unknown_name
    from taskweb.mixture.rates import RATE_SCHEMES

    for scheme in RATE_SCHEMES:
        if text == scheme:
            return scheme
    if "=" not in text:
        raise unknown_name("way to set rates", text, RATE_SCHEMES)
    rates: dict[str, float] = {}
    for part in text.split(","):
        task, _, rate = part.strip().rpartition("=")
        try:
            value = float(rate)
        except ValueError:
            task = ""
        if not task or task in rates:
            raise ParameterError(f"Rates are given as task=rate,task=rate, each task once. Got '{part.strip()}' instead.")
        rates[task] = value
    return rates
