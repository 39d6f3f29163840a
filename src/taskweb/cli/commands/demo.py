"""`taskweb demo`: the first minutes with taskweb."""

from __future__ import annotations

import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskweb.cli import options
from taskweb.cli.console import output_console, print_json, progress_for, say

if TYPE_CHECKING:
    from rich.console import Console

    from taskweb.workflows.selection_trials import SelectionTrials
    from taskweb.workflows.selector_settings import EncoderSettings

_PAIRS_SHOWN = 5


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Only rank: a second or two, without torch.")] = False,
    encoder: options.EncoderPath = None,
    allow_download: options.AllowDownload = False,
    output: options.TableOrJson = options.TableFormat.table,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Rank sources for an example target, then go the whole way on generated tasks: measure, rank, mix, train, evaluate.

    The second part needs the extra `train` and takes some minutes; it asks whether models trained on the chosen sources answer
    a task that they have never seen better than models trained on others.

    Example: taskweb demo --quick
    """
    start = time.monotonic()
    from taskweb.workflows.selector_settings import EncoderSettings

    console = output_console()
    found = EncoderSettings(encoder, allow_download)
    as_table = output is options.TableFormat.table
    if as_table:
        _first_screen(console, found, quiet=quiet)
    if quick or find_spec("torch") is None or find_spec("transformers") is None:
        if not quick:
            say("The rest of the demo trains models: pip install 'taskweb[train]', then taskweb demo again.", quiet=quiet)
    else:
        trials = _trials(found, quiet=quiet)
        if as_table:
            from taskweb.cli.tables.trial_results import trial_tables

            for part in trial_tables(trials, console.width):
                console.print(part)
        else:
            print_json(trials.to_dict())
    if as_table and not quiet:
        _farewell(console)
    if verbose:
        say(f"Done in {time.monotonic() - start:.2f} s.")


def _first_screen(console: Console, encoder: EncoderSettings, *, quiet: bool) -> None:
    from rich.text import Text

    from taskweb.cli.tables.analyses import analyses_in_short, pair_table
    from taskweb.cli.tables.rankings import ranking_tables
    from taskweb.web.analysis import TransferShares, analyze
    from taskweb.web.opening import open_web
    from taskweb.workflows.demo import demo_target
    from taskweb.workflows.rank_settings import TargetSettings
    from taskweb.workflows.ranking import rank

    target = demo_target()
    if not quiet:
        first = target.examples[0]
        console.print(
            Text.assemble(
                ("\nYour target: ", "dim"),
                (target.name, "bold cyan"),
                (f", {len(target)} examples without labels. The first one:", "dim"),
            )
        )
        console.print(Text(f"  {first.input}", style="italic"))
        console.print(Text(f"  choices: {', '.join(first.choices or ())}", style="italic"))
    ranking = rank(
        target.examples,
        target_settings=TargetSettings(name=target.name),
        encoder=encoder,
        progress=progress_for(quiet=quiet),
    )
    for part in ranking_tables(ranking, console.width):
        console.print(part)
    web = analyze(open_web(), analyses=("shares", "commutativity", "transitivity", "agreement"))
    shares = web.results["shares"]
    if isinstance(shares, TransferShares):
        console.print(
            Text.assemble(
                "\n", ("What the published web says", "bold cyan"), ("   strongest and most harmful transfers", "dim")
            )
        )
        console.print(pair_table(shares.strongest[:_PAIRS_SHOWN], shares.most_harmful[:_PAIRS_SHOWN], console.width))
    console.print()
    for line in analyses_in_short(web):
        console.print(line)
    if not quiet:
        best = ", ".join(ranking.top(5))
        console.print(Text.assemble(("\nTrain on ", "dim"), (best, "bold green"), (" before your own examples.", "dim")))


def _trials(encoder: EncoderSettings, *, quiet: bool) -> SelectionTrials:
    from taskweb.experiments.executors.process import worker_pool
    from taskweb.workflows import selection_trials

    settings = selection_trials.DEMO_SETTINGS
    webs = len(settings.families)
    models = webs * settings.targets * len(settings.seeds)
    say(
        f"\nNow the whole way on {webs} families of generated tasks: measure a web of each, hold tasks out, rank, mix, train, "
        "evaluate.",
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


def _farewell(console: Console) -> None:
    from rich.text import Text

    console.print(
        Text.assemble(
            ("\nNow yours: ", "dim"),
            ("taskweb rank my_task.jsonl", "bold"),
            (", and for all that a web says: ", "dim"),
            ("taskweb web analyze published", "bold"),
        )
    )
