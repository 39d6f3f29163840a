"""`taskweb rank`: sources for a target, best first."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import judge_options, options
from taskweb.cli.console import output_console, print_json, progress_for, say, say_notes
from taskweb.cli.option_groups import spread


@spread
def rank(
    *,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A file of examples (JSONL, CSV, Parquet), '-', hf:<id>, or a task of the web."),
    ],
    web: options.Web = "published",
    setup: options.Setup = "all",
    selector: options.Selector = None,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            metavar="DIR",
            rich_help_panel=options.WEB,
            help="Your own candidates, one <task>.jsonl each; of each, at most 100 examples are used.",
        ),
    ] = None,
    exclude: options.Exclude = None,
    top: Annotated[
        int | None, typer.Option("--top", metavar="K", min=1, rich_help_panel=options.OUTPUT, help="Show the K best only.")
    ] = None,
    unseen: options.Unseen = False,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain", metavar="TASK", rich_help_panel=options.OUTPUT, help="Also say why this source stands there."
        ),
    ] = None,
    examples: options.Examples = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, rich_help_panel=options.TARGET, help="Use at most N target examples.")
    ] = 32,
    sample_seed: Annotated[
        int | None,
        typer.Option(
            "--sample-seed",
            metavar="SEED",
            rich_help_panel=options.TARGET,
            help="Draw the examples at random instead of taking the first.",
        ),
    ] = None,
    reading: options.TargetOptions,
    selection: options.SelectorOptions,
    seed: Annotated[int, typer.Option("--seed", rich_help_panel=options.SELECTOR, help="Seed of the random selector.")] = 0,
    judging: judge_options.JudgeOptions,
    describe: judge_options.Describe = None,
    encoding: options.EncoderOptions,
    output: Annotated[
        options.RankingFormat, typer.Option("--format", rich_help_panel=options.OUTPUT, help="How to print the ranking.")
    ] = options.RankingFormat.table,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Rank source tasks for a target, best first.

    The target is a handful of examples, one per line: {"input": "...", "choices": ["yes", "no"]}. Labels are not needed.

    Example: taskweb rank my_task.jsonl --top 5
    """
    start = time.monotonic()
    from taskweb.selectors import DEFAULT_SELECTOR
    from taskweb.tasks.example_sets import Sampling
    from taskweb.workflows.ranking import rank as rank_sources

    judge = judging.settings(use_cache=not encoding.no_cache, quiet=quiet, describe=describe)
    ranking = rank_sources(
        target,
        web=web,
        setup=setup,
        selector=selector or DEFAULT_SELECTOR,
        sources=sources,
        exclude=exclude or (),
        examples=examples,
        unseen=unseen,
        explain=explain,
        target_settings=reading.settings(Sampling(limit, sample_seed)),
        selector_settings=selection.settings(judge, seed),
        encoder=encoding.settings(),
        progress=progress_for(quiet=quiet),
    )
    if output is options.RankingFormat.json:
        print_json(ranking.to_dict(top))
    elif output is options.RankingFormat.csv:
        from taskweb.cli.tables.rankings import ranking_csv

        sys.stdout.write(ranking_csv(ranking, top))
    else:
        from taskweb.cli.tables.rankings import ranking_tables

        console = output_console()
        for part in ranking_tables(ranking, console.width, top):
            console.print(part)
    say_notes(ranking.notes, quiet=quiet)
    if verbose:
        say(
            f"Ranked {len(ranking)} sources from {ranking.n_examples} examples with {ranking.selector} "
            f"{dict(ranking.parameters)} in {time.monotonic() - start:.2f} s."
        )
