"""`taskweb benchmark`: how good selectors are on a web, one target left out at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import print_json, print_tables, say, say_notes
from taskweb.cli.options import shared
from taskweb.cli.options.judge_options import JudgeOptions
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.selectors.benchmark import DrawSettings


@dataclass(frozen=True)
class DrawOptions:
    """How examples are drawn."""

    draws: Annotated[int, typer.Option("--draws", metavar="N", min=1, help="Draw examples N times and average.")] = 10
    target_examples: Annotated[
        int, typer.Option("--target-examples", metavar="N", min=1, help="Target examples in each draw.")
    ] = 32
    source_examples: Annotated[
        int, typer.Option("--source-examples", metavar="N", min=1, help="Maximum examples of a source in each draw.")
    ] = 100
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")] = 0

    def settings(self) -> DrawSettings:
        """The settings that the options stand for."""
        from taskweb.selectors.benchmark import DrawSettings

        return DrawSettings(self.draws, self.target_examples, self.source_examples, self.seed)


@spread
def benchmark(
    *,
    web: shared.Web = "published",
    setup: shared.Setup = "all",
    selector: Annotated[
        list[str] | None,
        typer.Option(
            "--selector",
            metavar="NAME",
            rich_help_panel=shared.SELECTOR,
            help="Evaluate this selector. Repeatable. Default: all that need no table.",
        ),
    ] = None,
    examples: shared.Examples = None,
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            metavar="T,T",
            help="Leave out only these targets. Default: all except those that hyperparameters were chosen on.",
        ),
    ] = None,
    drawing: DrawOptions,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", metavar="FILE", help="Evaluate predictions from a CSV of selector,target,source,score."),
    ] = None,
    per_target: Annotated[
        bool, typer.Option("--per-target", rich_help_panel=shared.OUTPUT, help="Also print every target and category.")
    ] = False,
    selection: shared.SelectorOptions,
    judging: JudgeOptions,
    encoding: shared.EncoderOptions,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Measure how well selectors rank sources, leaving one target out at a time.

    Prints NDCG and Regret@5 in percent, 95% intervals over targets, and paired differences to popularity and TaskShop.

    Example: taskweb benchmark --setup t5l/finetune --selector roe
    """
    start = time.monotonic()
    from taskweb.workflows.benchmarking import BenchmarkSettings, benchmark_with

    settings = BenchmarkSettings(
        web,
        setup,
        tuple(selector or ()),
        examples,
        shared.names(targets),
        drawing.settings(),
        predictions,
        selection.settings(judging.settings(use_cache=not encoding.no_cache, quiet=quiet)),
        encoding.settings(),
    )
    result = benchmark_with(settings, progress_for(quiet=quiet))
    if output is shared.TableFormat.json:
        print_json(result.to_dict())
    else:
        from taskweb.cli.tables.benchmarks import benchmark_tables

        print_tables(lambda width: benchmark_tables(result, width, per_target=per_target))
    say_notes((*result.notes, *result.left_out()), quiet=quiet)
    if verbose:
        say(f"Evaluated {len(result.rows)} rows in {time.monotonic() - start:.1f} s.")
