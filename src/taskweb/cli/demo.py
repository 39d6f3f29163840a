"""`taskweb demo`: the first minute with taskweb."""

from __future__ import annotations

import time

from taskweb.cli import options
from taskweb.cli.console import output_console, progress_for, say

_PAIRS_SHOWN = 5


def demo(
    encoder: options.EncoderPath = None,
    allow_download: options.AllowDownload = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Rank sources for an example target that comes with taskweb, and say what the published web of transfers tells.

    Example: taskweb demo
    """
    start = time.monotonic()
    from rich.text import Text

    from taskweb.cli.analysis_tables import analyses_in_short, pair_table
    from taskweb.cli.tables import ranking_table
    from taskweb.web.analysis import TransferShares, analyze
    from taskweb.web.sources import open_web
    from taskweb.workflows.demo import demo_target
    from taskweb.workflows.evidence import EncoderSettings
    from taskweb.workflows.ranking import TargetSettings, rank

    console = output_console()
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
        encoder=EncoderSettings(encoder, allow_download),
        progress=progress_for(quiet=quiet),
    )
    for part in ranking_table(ranking, console.width):
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
        console.print(
            Text.assemble(
                ("\nTrain on ", "dim"),
                (best, "bold green"),
                (" before your own examples.\nNow yours: ", "dim"),
                ("taskweb rank my_task.jsonl", "bold"),
                (", and for all that a web says: ", "dim"),
                ("taskweb web analyze published", "bold"),
            )
        )
    if verbose:
        say(f"Done in {time.monotonic() - start:.2f} s.")
