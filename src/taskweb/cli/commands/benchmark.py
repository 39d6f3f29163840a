"""`taskweb benchmark`: how good selectors are on a web, one target left out at a time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import judge_options, options
from taskweb.cli.console import output_console, print_json, progress_for, say, say_notes
from taskweb.cli.option_groups import spread


@spread
def benchmark(
    *,
    web: options.Web = "published",
    setup: options.Setup = "all",
    selector: Annotated[
        list[str] | None,
        typer.Option(
            "--selector",
            metavar="NAME",
            rich_help_panel=options.SELECTOR,
            help="Evaluate this selector. Repeatable. Default: all that need no table.",
        ),
    ] = None,
    examples: options.Examples = None,
    targets: Annotated[
        str | None, typer.Option("--targets", metavar="T,T", help="Only these targets. Default: all but those tuned on.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", metavar="N", min=1, help="Draw examples N times and average.")] = 10,
    target_examples: Annotated[
        int, typer.Option("--target-examples", metavar="N", min=1, help="Target examples in each draw.")
    ] = 32,
    source_examples: Annotated[
        int, typer.Option("--source-examples", metavar="N", min=1, help="Most source examples in each draw.")
    ] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")] = 0,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", metavar="FILE", help="Evaluate a CSV of selector,target,source,score.")
    ] = None,
    per_target: Annotated[
        bool, typer.Option("--per-target", rich_help_panel=options.OUTPUT, help="Also show every target and category.")
    ] = False,
    selection: options.SelectorOptions,
    judging: judge_options.JudgeOptions,
    encoding: options.EncoderOptions,
    output: Annotated[
        options.TableFormat, typer.Option("--format", rich_help_panel=options.OUTPUT, help="How to print the figures.")
    ] = options.TableFormat.table,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure how well selectors rank sources, leaving one target out at a time.

    NDCG and Regret@5 in percent, with 95% intervals over targets, and paired differences to popularity and TaskShop.

    Example: taskweb benchmark --setup t5l/finetune --selector roe
    """
    start = time.monotonic()
    from taskweb.selectors.benchmark import DrawSettings
    from taskweb.workflows.benchmarking import run_benchmark

    judge = judging.settings(use_cache=not encoding.no_cache, quiet=quiet)
    result = run_benchmark(
        web=web,
        setup=setup,
        selectors=selector or (),
        examples=examples,
        targets=options.names(targets),
        draws=DrawSettings(draws, target_examples, source_examples, seed),
        predictions=predictions,
        selector_settings=selection.settings(judge),
        encoder=encoding.settings(),
        progress=progress_for(quiet=quiet),
    )
    if output is options.TableFormat.json:
        print_json(result.to_dict())
    else:
        from taskweb.cli.tables.benchmarks import benchmark_tables

        console = output_console()
        for part in benchmark_tables(result, console.width, per_target=per_target):
            console.print(part)
    say_notes((*result.notes, *result.left_out()), quiet=quiet)
    if verbose:
        say(f"Evaluated {len(result.rows)} rows in {time.monotonic() - start:.1f} s.")
