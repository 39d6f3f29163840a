"""`taskweb rank`: sources for a target, best first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import print_csv, print_json, print_tables, say, say_notes
from taskweb.cli.heard_readings import say_readings, tells_readings
from taskweb.cli.options import shared
from taskweb.cli.options.judge_options import Describe, JudgeOptions
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.selectors import Ranking
    from taskweb.tasks import Sampling


@dataclass(frozen=True)
class SamplingOptions:
    """Which of the target's examples are used."""

    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, rich_help_panel=shared.TARGET, help="Use at most N target examples.")
    ] = 32
    sample_seed: Annotated[
        int | None,
        typer.Option(
            "--sample-seed",
            metavar="SEED",
            rich_help_panel=shared.TARGET,
            help="Draw the examples at random with this seed. Default: take the first.",
        ),
    ] = None

    def settings(self) -> Sampling:
        """The settings that the options stand for."""
        from taskweb.tasks import Sampling

        return Sampling(self.limit, self.sample_seed)


@spread
@tells_readings
def rank(
    *,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]", help="A file of examples (JSONL, CSV, Parquet), '-', hf:<id>, or a task of the web."
        ),
    ] = None,
    saved: Annotated[
        Path | None,
        typer.Option(
            "--ranking",
            metavar="DIR|FILE",
            rich_help_panel=shared.OUTPUT,
            help="Print a saved ranking again: the folder of taskweb refine, or a file of --format json.",
        ),
    ] = None,
    accept_changed: shared.AcceptChanged = False,
    ranked: shared.RankOptions,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            metavar="DIR",
            rich_help_panel=shared.WEB,
            help="Folder with your own candidate sources, <task>.jsonl each. At most 100 examples of each are used.",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", metavar="K", min=1, rich_help_panel=shared.OUTPUT, help="Print only the K best.")
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="TASK", rich_help_panel=shared.OUTPUT, help="Also explain the rank of this source."),
    ] = None,
    sampling: SamplingOptions,
    reading: shared.TargetOptions,
    selection: shared.SelectorOptions,
    seed: Annotated[int, typer.Option("--seed", rich_help_panel=shared.SELECTOR, help="Seed of the random selector.")] = 0,
    judging: JudgeOptions,
    describe: Describe = None,
    encoding: shared.EncoderOptions,
    output: shared.TableJsonOrCsv = shared.RankingFormat.table,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Rank source tasks for a target, best first.

    The target is a few examples, one per line: {"input": "...", "choices": ["yes", "no"]}. Labels are not needed.

    Examples:
        taskweb rank my_task.jsonl --top 5
        taskweb rank rte --unseen --explain cb  # why a source stands where it does
    """
    start = time.monotonic()
    from taskweb.errors import ParameterError
    from taskweb.workflows.ranking import rank_with

    if (target is None) == (saved is None):
        raise ParameterError("Give either a TARGET to rank sources for, or --ranking DIR with a saved ranking.")
    if target is None:
        from taskweb.workflows.saved_rankings import read_full_ranking

        assert saved is not None
        _print(read_full_ranking(saved, accept_changed=accept_changed), output, top, quiet=quiet)
        return
    judge = judging.settings(use_cache=not encoding.no_cache, quiet=quiet, describe=describe)
    reads, selects = reading.settings(sampling.settings()), selection.settings(judge, seed)
    settings = ranked.settings(encoding.settings(), reads, selects)
    ranking = rank_with(settings, target, sources=sources, explain=explain, progress=progress_for(quiet=quiet))
    _print(ranking, output, top, quiet=quiet)
    if verbose:
        say(
            f"Ranked {len(ranking)} sources from {ranking.n_examples} examples with {ranking.selector} "
            f"{dict(ranking.parameters)} in {time.monotonic() - start:.2f} s."
        )


def _print(ranking: Ranking, output: shared.RankingFormat, top: int | None, *, quiet: bool) -> None:
    if output is shared.RankingFormat.json:
        from taskweb.workflows.saved_rankings import ranking_json

        print_json(ranking_json(ranking, top))
    else:
        from taskweb.cli.tables.rankings import ranking_csv, ranking_tables

        if output is shared.RankingFormat.csv:
            print_csv(ranking_csv(ranking, top))
        else:
            print_tables(lambda width: ranking_tables(ranking, width, top))
    say_readings()
    say_notes(ranking.notes, quiet=quiet)
