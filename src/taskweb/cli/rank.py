"""`taskweb rank`: sources for a target, best first."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import judge_options, options
from taskweb.cli.console import consent_of, output_console, print_json, progress_for, say, say_notes


def rank(
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
    input_column: options.InputColumn = None,
    output_column: options.OutputColumn = None,
    choices_column: options.ChoicesColumn = None,
    input_format: options.InputFormat = None,
    split: options.Split = None,
    name: options.TargetName = None,
    lam: options.Lambda = 0.7,
    pivots: options.Pivots = None,
    n_pivots: options.NPivots = None,
    base: options.Base = "roe",
    pair_scores: options.PairScores = None,
    seed: Annotated[int, typer.Option("--seed", rich_help_panel=options.SELECTOR, help="Seed of the random selector.")] = 0,
    llm_model: judge_options.LlmModel = None,
    llm_url: judge_options.LlmUrl = None,
    describe: judge_options.Describe = None,
    llm_api: judge_options.LlmApi = judge_options.ApiName.chat,
    llm_answers: judge_options.LlmAnswers = judge_options.AnswerReading.auto,
    llm_repeats: judge_options.LlmRepeats = 10,
    llm_temperature: judge_options.LlmTemperature = 1.0,
    llm_answer_tokens: judge_options.LlmAnswerTokens = 8,
    llm_workers: judge_options.LlmWorkers = 4,
    llm_timeout: judge_options.LlmTimeout = 60.0,
    llm_time_limit: judge_options.LlmTimeLimit = 600.0,
    llm_price: judge_options.LlmPrice = None,
    yes: judge_options.Yes = False,
    encoder: options.EncoderPath = None,
    max_tokens: options.MaxTokens = 512,
    allow_download: options.AllowDownload = False,
    no_cache: options.NoCache = False,
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
    from taskweb.errors import unknown_name
    from taskweb.selectors import DEFAULT_SELECTOR
    from taskweb.tasks.loading import Sampling
    from taskweb.tasks.rows import FILE_FORMATS
    from taskweb.workflows.evidence import EncoderSettings, SelectorSettings
    from taskweb.workflows.ranking import TargetSettings
    from taskweb.workflows.ranking import rank as rank_sources

    if input_format is not None and input_format not in FILE_FORMATS:
        raise unknown_name("input format", input_format, FILE_FORMATS)
    judge = judge_options.judge_of(
        llm_model,
        llm_url,
        llm_api,
        llm_answers,
        llm_repeats,
        llm_temperature,
        llm_answer_tokens,
        llm_workers,
        llm_timeout,
        llm_time_limit,
        llm_price,
        use_cache=not no_cache,
        consent=consent_of(yes=yes, quiet=quiet),
        describe=describe,
    )
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
        target_settings=TargetSettings(
            options.columns_of(input_column, output_column, choices_column),
            Sampling(limit, sample_seed),
            input_format,
            split,
            name,
        ),
        selector_settings=SelectorSettings(lam, options.names(pivots), n_pivots, pair_scores, base, seed, judge),
        encoder=EncoderSettings(encoder, allow_download, max_tokens, not no_cache),
        progress=progress_for(quiet=quiet),
    )
    if output is options.RankingFormat.json:
        print_json(ranking.to_dict(top))
    elif output is options.RankingFormat.csv:
        from taskweb.cli.tables import ranking_csv

        sys.stdout.write(ranking_csv(ranking, top))
    else:
        from taskweb.cli.tables import ranking_table

        console = output_console()
        for part in ranking_table(ranking, console.width, top):
            console.print(part)
    say_notes(ranking.notes, quiet=quiet)
    if verbose:
        say(
            f"Ranked {len(ranking)} sources from {ranking.n_examples} examples with {ranking.selector} "
            f"{dict(ranking.parameters)} in {time.monotonic() - start:.2f} s."
        )
