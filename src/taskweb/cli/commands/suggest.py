"""`taskweb suggest`: which source to run next on a target that is trained on with other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import completion
from taskweb.cli.commands.rank import SamplingOptions
from taskweb.cli.console import print_json, print_tables, say_notes
from taskweb.cli.heard_readings import say_readings, tells_readings
from taskweb.cli.next_commands import say_next
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.workflows.suggesting import NextRun

_OWN_RUNS = "my_runs.csv"


@spread
@tells_readings
def suggest(
    *,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            autocompletion=completion.targets,
            help="A file of examples (JSONL, CSV, Parquet), '-', hf:<id>, or a task of the web.",
        ),
    ],
    ranked: shared.RankOptions,
    runs: Annotated[
        Path | None,
        typer.Option(
            "--runs",
            metavar="FILE",
            help="CSV of the runs made so far: source, seed, score, perhaps seconds. Baselines have the source 'none'.",
        ),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            metavar="DIR",
            rich_help_panel=shared.WEB,
            help="Folder with your own candidate sources, <task>.jsonl each. At most 100 examples of each are used.",
        ),
    ] = None,
    evidence: shared.Evidence = None,
    k: Annotated[int, typer.Option("--k", metavar="K", min=1, help="Number of sources to decide on.")] = 5,
    until: Annotated[
        float | None,
        typer.Option("--until", metavar="PERCENT", help="Stop once less than this is left to gain, in percent of the score."),
    ] = None,
    sampling: SamplingOptions,
    reading: shared.TargetOptions,
    selection: shared.SelectorOptions,
    encoding: shared.EncoderOptions,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
) -> None:
    """Say which source to run next on the target, from the runs made so far.

    A run trains on the source, then on the target, and its score is the target's. Gains are over the baseline of the same seed.

    Examples:
        taskweb suggest my_task.jsonl  # the first run
        taskweb suggest my_task.jsonl --runs my_runs.csv --k 3  # the next one
    """
    from taskweb.workflows.suggesting import read_own_runs, suggester

    settings = ranked.settings(encoding.settings(), reading.settings(sampling.settings()), selection.settings(None))
    own = [] if runs is None else read_own_runs(runs)
    progress = progress_for(quiet=quiet)
    found = suggester(
        target, settings=settings, sources=sources, k=k, until=until, runs=own, evidence=evidence, progress=progress
    )
    if output is shared.TableFormat.json:
        print_json(found.to_dict())
    else:
        from taskweb.cli.tables.suggestions import suggestion_tables

        print_tables(lambda width: suggestion_tables(found, width))
    say_readings()
    say_notes(found.notes, quiet=quiet)
    if found.stopped is None:
        _say_next(target, runs, found.suggest(1)[0], quiet=quiet)


def _say_next(target: str, runs: Path | None, run: NextRun, *, quiet: bool) -> None:
    """The same command with the run that it asks for."""
    from taskweb.web.records.tidy_rows import BASELINE

    row = f"{run.source or BASELINE},{run.seed},SCORE"
    if runs is None:
        remark = f"with two lines in {_OWN_RUNS}: source,seed,score and {row}"
        say_next("suggest", target, "--runs", _OWN_RUNS, remark=remark, quiet=quiet)
    else:
        say_next("suggest", target, remark=f"once {runs} contains the run: {row}", quiet=quiet)
