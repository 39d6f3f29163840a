"""How the first screen of the demo looks: the example target, what the published web says, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from taskweb.cli.tables.analyses import analyses_in_short, pair_table
from taskweb.cli.tables.text import Text
from taskweb.selectors import Ranking
from taskweb.tasks import ExampleSet
from taskweb.web.analysis import TransferShares, WebAnalysis

_PAIRS_SHOWN = 5
_SOURCES_SHOWN = 5


def target_lines(target: ExampleSet) -> Iterator[RenderableType]:
    """The name of the target, how many examples it has, and the first one."""
    facts = f", {len(target)} examples without labels. The first one:"
    yield Text.assemble(("\nYour target: ", "dim"), (target.name, "bold cyan"), (facts, "dim"))
    first = target.examples[0]
    yield Text(f"  {first.input}", style="italic")
    yield Text(f"  choices: {', '.join(first.choices or ())}", style="italic")


def web_tables(analysis: WebAnalysis, width: int) -> Iterator[RenderableType]:
    """The strongest and the most harmful transfers, and the other analyses in one line each."""
    shares = analysis.results["shares"]
    if isinstance(shares, TransferShares):
        facts = "   strongest and most harmful transfers"
        yield Text.assemble("\n", ("What the published web says", "bold cyan"), (facts, "dim"))
        yield pair_table(shares.strongest[:_PAIRS_SHOWN], shares.most_harmful[:_PAIRS_SHOWN], width)
    yield Text()
    yield from analyses_in_short(analysis)


def advice(ranking: Ranking) -> Text:
    """Which sources to train on."""
    best = ", ".join(ranking.top(_SOURCES_SHOWN))
    return Text.assemble(("\nTrain on ", "dim"), (best, "bold green"), (" before your own examples.", "dim"))


def next_commands() -> Text:
    """What to type next."""
    return Text.assemble(
        ("\nNext, rank sources for your own task: ", "dim"),
        ("taskweb rank my_task.jsonl", "bold"),
        (", or see everything that a web says: ", "dim"),
        ("taskweb web analyze published", "bold"),
    )
