"""`taskweb demo`: the first minute with taskweb."""

from __future__ import annotations

from taskweb.cli import options
from taskweb.cli.console import output_console, progress_for


def demo(
    encoder: options.EncoderPath = None,
    allow_download: options.AllowDownload = False,
    quiet: options.Quiet = False,
) -> None:
    """Rank sources for an example target that comes with taskweb: does a leaflet support a claim?

    Example: taskweb demo
    """
    from rich.text import Text

    from taskweb.cli.tables import ranking_table
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
    if not quiet:
        best = ", ".join(ranking.top(5))
        console.print(
            Text.assemble(
                ("\nTrain on ", "dim"),
                (best, "bold green"),
                (" before your own examples. Now yours: ", "dim"),
                ("taskweb rank my_task.jsonl", "bold"),
            )
        )
