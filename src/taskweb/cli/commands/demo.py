"""`taskweb demo`: the first minutes with taskweb."""

from __future__ import annotations

import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli.console import output_console, print_json, print_tables, say
from taskweb.cli.options import shared
from taskweb.cli.progress.work_progress import progress_for

if TYPE_CHECKING:
    from taskweb.workflows.selector_settings import EncoderSettings
    from taskweb.workflows.trial_records import SelectionTrials


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Only rank: a second or two, without torch.")] = False,
    encoder: shared.EncoderPath = None,
    allow_download: shared.AllowDownload = False,
    output: shared.TableOrJson = shared.TableFormat.table,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Rank sources for an example target, then measure, rank, mix, train and evaluate on generated tasks.

    The second part needs the extra `train` and some minutes. It tests whether the chosen sources are better than others.

    Examples:
        taskweb demo
        taskweb demo --quick  # a second or two, without torch
    """
    start = time.monotonic()
    from taskweb.workflows.selector_settings import EncoderSettings

    settings = EncoderSettings(encoder, allow_download)
    as_table = output is shared.TableFormat.table
    if as_table:
        _print_first_ranking(settings, quiet=quiet)
    if quick or find_spec("torch") is None or find_spec("transformers") is None:
        if not quick:
            say("The rest of the demo trains models: pip install 'taskweb[train]', then taskweb demo again.", quiet=quiet)
    else:
        trials = _trials(settings, quiet=quiet)
        if as_table:
            from taskweb.cli.tables.trial_results import trial_tables

            print_tables(lambda width: trial_tables(trials, width))
        else:
            print_json(trials.to_dict())
    if as_table and not quiet:
        from taskweb.cli.tables.first_screen import next_commands

        output_console().print(next_commands())
    if verbose:
        say(f"Done in {time.monotonic() - start:.2f} s.")


def _print_first_ranking(encoder: EncoderSettings, *, quiet: bool) -> None:
    """Rank sources for the example target, and print this with what the published web says."""
    from taskweb.cli.tables.first_screen import advice, target_lines, web_tables
    from taskweb.cli.tables.rankings import ranking_tables
    from taskweb.web.analysis import analyze
    from taskweb.web.opening import open_web
    from taskweb.workflows.demo import demo_target
    from taskweb.workflows.rank_settings import TargetSettings
    from taskweb.workflows.ranking import rank

    target = demo_target()
    if not quiet:
        print_tables(lambda _width: target_lines(target))
    ranking = rank(
        target.examples,
        target_settings=TargetSettings(name=target.name),
        encoder=encoder,
        progress=progress_for(quiet=quiet),
    )
    print_tables(lambda width: ranking_tables(ranking, width))
    web = analyze(open_web(), analyses=("shares", "commutativity", "transitivity", "agreement"))
    print_tables(lambda width: web_tables(web, width))
    if not quiet:
        output_console().print(advice(ranking))


def _trials(encoder: EncoderSettings, *, quiet: bool) -> SelectionTrials:
    """Measure, rank, mix, train and evaluate on generated tasks."""
    from taskweb.experiments.executors.process import worker_pool
    from taskweb.workflows import selection_trials

    settings = selection_trials.DEMO_SETTINGS
    webs = len(settings.families)
    models = webs * settings.targets * len(settings.seeds)
    say("", quiet=quiet)
    say(
        f"Now with {webs} families of generated tasks: measure a web of each, leave tasks out, rank, mix, train, evaluate.",
        quiet=quiet,
    )
    with (
        tempfile.TemporaryDirectory(prefix="taskweb-demo-") as folder,
        progress_for(quiet=quiet, least=0)("Measuring and training", webs + models) as advance,
        worker_pool(2) as pool,
    ):
        return selection_trials.run_trials(
            settings, Path(folder), pool, encoder=encoder, on_progress=lambda _done, _total: advance(1)
        )
