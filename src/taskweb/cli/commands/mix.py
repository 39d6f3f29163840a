"""`taskweb mix`: a training mixture of the sources that are best for a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import options
from taskweb.cli.console import output_console, print_json, progress_for, say_notes
from taskweb.cli.option_groups import spread

if TYPE_CHECKING:
    from taskweb.mixture.rates import RateScheme
    from taskweb.workflows.choosing import Number

CHOICE = "Which sources"
AMOUNT = "How much of each"
FILES = "What is written"


@spread
def mix(
    *,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]", help="What to rank sources for, as in taskweb rank; its examples are kept out of the mixture."
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="The folder to write.")] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--sources",
            metavar="DIR|FILE|hf:ID",
            rich_help_panel=CHOICE,
            help="Examples: a folder with one <task>.jsonl each, a file, or a Hub data set; NAME=FILE renames. Repeatable.",
        ),
    ] = None,
    ranking: Annotated[
        str | None,
        typer.Option(
            "--ranking",
            metavar="FILE",
            rich_help_panel=CHOICE,
            help="Take the best of a ranking that taskweb rank --format json has made ('-' reads it from a pipe).",
        ),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", metavar="T,T", rich_help_panel=CHOICE, help="Mix these, whatever their rank.")
    ] = None,
    k: Annotated[
        str | None,
        typer.Option(
            "--k",
            metavar="N|auto",
            rich_help_panel=CHOICE,
            help="How many of the best; auto: those likelier to help than to harm, at most 5. Default: 5.",
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="TASK=KIND",
            rich_help_panel=CHOICE,
            help="classification, multiple_choice, regression, span_qa or generation, where examples do not tell. Repeatable.",
        ),
    ] = None,
    examples_per_task: Annotated[
        int | None,
        typer.Option(
            "--examples-per-task", metavar="N", rich_help_panel=AMOUNT, help="On average; all where fewer. Default: 2000."
        ),
    ] = None,
    total: Annotated[
        int | None,
        typer.Option("--total", metavar="N", rich_help_panel=AMOUNT, help="Examples in all, instead of per task."),
    ] = None,
    cap: Annotated[
        int | None, typer.Option("--cap", metavar="N", rich_help_panel=AMOUNT, help="At most N examples of one task.")
    ] = None,
    rates: Annotated[
        str,
        typer.Option(
            "--rates",
            metavar="NAME|T=R,T=R",
            rich_help_panel=AMOUNT,
            help="uniform, proportional, temperature, score, or a rate for each task; they sum to 1.",
        ),
    ] = "uniform",
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", metavar="X", rich_help_panel=AMOUNT, help="Of rates by temperature or score: higher is more even."
        ),
    ] = 2.0,
    held_out: Annotated[
        float,
        typer.Option("--held-out", metavar="SHARE", rich_help_panel=AMOUNT, help="Share of each task kept to evaluate on."),
    ] = 0.05,
    most_held_out: Annotated[
        int, typer.Option("--most-held-out", metavar="N", rich_help_panel=AMOUNT, help="And at most N examples of each.")
    ] = 200,
    seed: Annotated[int, typer.Option("--seed", rich_help_panel=AMOUNT, help="Of every draw.")] = 0,
    file_format: Annotated[
        str,
        typer.Option("--file-format", metavar="NAME", rich_help_panel=FILES, help="jsonl, parquet or datasets."),
    ] = "jsonl",
    export: Annotated[
        list[str] | None,
        typer.Option(
            "--export",
            metavar="NAME",
            rich_help_panel=FILES,
            help="Also for another tool, in a folder of that name: chat, llama-factory, axolotl, open-instruct, interleave.",
        ),
    ] = None,
    export_rates: Annotated[
        str,
        typer.Option("--export-rates", metavar="NAME", rich_help_panel=FILES, help="Rates to export: asked or realised."),
    ] = "asked",
    web: options.Web = "published",
    setup: options.Setup = "all",
    selector: options.Selector = None,
    exclude: options.Exclude = None,
    unseen: options.Unseen = False,
    examples: options.Examples = None,
    reading: options.TargetOptions,
    encoding: options.EncoderOptions,
    output: options.TableOrJson = options.TableFormat.table,
    quiet: options.Quiet = False,
) -> None:
    """Mix the sources that are best for a target into a training set.

    Rows of the target, duplicates and unlabelled rows are left out and counted. The same command gives the same bytes.

    Example: taskweb mix my_task.jsonl --sources my_sources/ --to my_mixture
    """
    from taskweb.errors import ParameterError
    from taskweb.mixture.kinds import parse_kinds
    from taskweb.mixture.mixture_reader import read_manifest
    from taskweb.mixture.mixture_writer import check_place
    from taskweb.mixture.sampling import MixtureSettings
    from taskweb.selectors import DEFAULT_SELECTOR
    from taskweb.workflows.mixing import mix as mix_sources
    from taskweb.workflows.rank_settings import RankSettings
    from taskweb.workflows.saved_mixtures import check_exports, write_with_exports

    if lacking := [option for option, value in (("--sources", sources), ("--to", to)) if not value]:
        raise ParameterError(f"{' and '.join(lacking)} must be given: taskweb mix TARGET --sources DIR --to FOLDER")
    assert to is not None
    target_settings = reading.settings()
    check_place(to)
    check_exports(file_format, export or (), export_rates)
    mixture = mix_sources(
        target,
        sources=sources or (),
        ranking=ranking,
        tasks=options.names(tasks),
        k=parse_k(k),
        kinds=parse_kinds(kind or ()),
        settings=MixtureSettings(examples_per_task, total, cap, parse_rates(rates), temperature, held_out, most_held_out, seed),
        rank_settings=RankSettings(
            web,
            setup,
            selector or DEFAULT_SELECTOR,
            tuple(exclude or ()),
            examples,
            unseen,
            encoder=encoding.settings(),
        ),
        target_settings=target_settings,
        progress=progress_for(quiet=quiet),
    )
    notes = write_with_exports(mixture, to, file_format=file_format, exports=export or (), export_rates=export_rates)
    from taskweb.cli.tables.mixtures import mixture_notes, mixture_tables

    if output is options.TableFormat.json:
        print_json({"folder": str(to), **read_manifest(to)})
    else:
        console = output_console()
        for part in mixture_tables(mixture, to, console.width):
            console.print(part)
    say_notes([*mixture_notes(mixture), *notes], quiet=quiet)


def parse_k(text: str | None) -> Number:
    """A number of sources, `auto` or nothing. Raises ParameterError for anything else."""
    from taskweb.errors import ParameterError
    from taskweb.workflows.choosing import AUTO

    if text is None or text == AUTO:
        return text
    try:
        return int(text)
    except ValueError:
        raise ParameterError(f"--k must be a number of sources or '{AUTO}'. Got '{text}' instead.") from None


def parse_rates(text: str) -> RateScheme | dict[str, float]:
    """The name of a way to set rates, or `task=rate` pairs separated by commas. Raises for neither."""
    from taskweb.errors import ParameterError, unknown_name
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
