"""How trials of ways to choose sources look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from taskweb.cli.grid import Grid
from taskweb.cli.tables import explained
from taskweb.tasks.synthetic import about_family
from taskweb.workflows.selection_trials import STRATEGIES, Difference, SelectionTrials

NULL_FAMILY = "unrelated"  # there, nothing can be told, and no choice should win


def trial_tables(trials: SelectionTrials, width: int) -> Iterator[RenderableType]:
    """Accuracy of each way of choosing in each family, differences with intervals, and what they come to."""
    settings = trials.settings
    k, others = settings.k, STRATEGIES[1:]
    facts = (
        f"   zero-shot accuracy in percent · {settings.targets} targets x {len(settings.seeds)} seeds each · {settings.model}"
    )
    yield Text.assemble("\n", ("Which sources to train on", "bold cyan"), (facts, "dim"))
    titles = {"top": f"top {k}", "random": f"random {k}", "bottom": f"bottom {k}", "all": "all"}
    grid = Grid("family", *(f">{titles[name]}" for name in STRATEGIES), *(f">top - {name} [95%]" for name in others))
    for name in settings.families:
        values = {strategy: trials.accuracy(name, strategy) for strategy in STRATEGIES}
        best = max(values.values())
        shown = [Text(f"{100 * v:.1f}", style="bold green" if v == best else "") for v in values.values()]
        grid.add_row(name, *shown, *(_shown(trials.difference(other, (name,))) for other in others))
    informative = tuple(name for name in settings.families if name != NULL_FAMILY)
    if len(informative) > 1:
        overall = [trials.difference(other, informative) for other in others]
        label = f"all but {NULL_FAMILY}" if NULL_FAMILY in settings.families else "all families"
        grid.add_row(Text(label, style="bold"), *[""] * len(STRATEGIES), *(_shown(gap) for gap in overall))
    yield grid.fitted(width)
    yield Text()
    for name in settings.families:
        yield from explained(name, about_family(name), width)
    yield from explained("[95%]", "Student's interval over targets, their seeds averaged", width)
    yield Text()
    if len(informative) > 1:
        for other, gap in zip(others, overall, strict=True):
            yield _verdict(titles["top"], titles[other], gap)
    if NULL_FAMILY in settings.families:
        gap = trials.difference("random", (NULL_FAMILY,))
        said = (
            "as it should be, no difference shows" if not gap.tells else "a difference shows, which only chance can have made"
        )
        yield Text(f"Where transfers say nothing ({NULL_FAMILY}), {said} between top and random.")


def _shown(gap: Difference) -> Text:
    style = "" if not gap.tells else "green" if gap.mean > 0 else "red"
    band = f" [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]" if gap.low == gap.low else ""  # not NaN
    return Text(f"{100 * gap.mean:+.1f}{band}", style=style)


def _verdict(top: str, other: str, gap: Difference) -> Text:
    if not gap.tells:
        return Text.assemble((top, "bold"), " and ", (other, "bold"), " cannot be told apart.")
    word, style = ("better", "green") if gap.mean > 0 else ("worse", "red")
    return Text.assemble(
        (top, "bold"), " is ", (word, style), " than ", (other, "bold"), f", by {100 * abs(gap.mean):.1f} points."
    )
