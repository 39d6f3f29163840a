"""How trials of ways to choose sources look on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType

from taskweb.cli.tables.formatting import explained
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.tasks.synthetic import about_family
from taskweb.workflows.trial_records import NULL_FAMILY, STRATEGIES, Difference, SelectionTrials


def trial_tables(trials: SelectionTrials, width: int) -> Iterator[RenderableType]:
    """Accuracy of each way of choosing in each family, differences with intervals, and what they mean."""
    settings = trials.settings
    titles = {name: name if name == "all" else f"{name} {settings.k}" for name in STRATEGIES}
    facts = f"   zero-shot accuracy of {settings.model}, % · {settings.targets} targets x {len(settings.seeds)} seeds"
    yield Text.assemble("\n", ("Which sources to train on", "bold cyan"), (facts, "dim"))
    grid = Grid("family", *(f">{titles[name]}" for name in STRATEGIES), ">distinguished")
    groups = trials.groups()
    targets = (*groups["all_but_null"], *groups["null"])
    for name in settings.families:
        values = {strategy: trials.accuracy(name, strategy) for strategy in STRATEGIES}
        best = max(values.values())
        shown = [Text(f"{100 * v:.1f}", style="bold green" if v == best else "") for v in values.values()]
        distinguished = [trials.distinguishes_sources(place) is True for place in targets if place[0] == name]
        grid.add_row(name, *shown, f"{sum(distinguished)} of {len(distinguished)}")
    yield grid.fitted(width)
    yield Text()
    for name in settings.families:
        yield from explained(name, about_family(name), width)
    yield from explained("distinguished", "targets whose ranking said that the evidence distinguishes sources", width)
    yield from _differences(trials, titles, width)


def _differences(trials: SelectionTrials, titles: dict[str, str], width: int) -> Iterator[RenderableType]:
    groups = trials.groups()
    labels = {
        "all_but_null": f"all but {NULL_FAMILY}" if groups["null"] else "all",
        "told_apart": "distinguished",
        "not_told_apart": "not distinguished",
        "null": NULL_FAMILY,
    }
    others = STRATEGIES[1:]
    yield Text.assemble(
        "\n", (f"The {titles['top']} against the others", "bold cyan"), ("   difference in accuracy, points ± 95%", "dim")
    )
    grid = Grid("targets", ">", *(f">vs {titles[other]}" for other in others))
    for name, places in groups.items():
        if places:
            grid.add_row(labels[name], str(len(places)), *(_difference(trials.difference(other, places)) for other in others))
    yield grid.fitted(width)
    yield Text()
    yield from explained("± 95%", "half the width of Student's interval over targets, averaged over seeds", width)
    yield Text()
    claims = {
        "told_apart": "Where the ranking said that the evidence distinguishes sources",
        "not_told_apart": "Where it said that it does not",
    }
    for name, where in claims.items():
        if places := groups[name]:
            yield _verdict(f"{where}, ", titles, {other: trials.difference(other, places) for other in others})
    if groups["null"]:
        gap = trials.difference("random", groups["null"])
        found, meaning = (
            ("a difference", "which can only be chance") if gap.is_clear else ("no clear difference", "as expected")
        )
        both = f"{titles['top']} and {titles['random']}"
        yield Text(f"Where transfers say nothing ({NULL_FAMILY}), there is {found} between {both}, {meaning}.")


def _difference(gap: Difference) -> Text:
    style = "" if not gap.is_clear else "green" if gap.mean > 0 else "red"
    half_width = f" ± {50 * (gap.high - gap.low):.1f}" if math.isfinite(gap.low) else ""
    return Text(f"{100 * gap.mean:+.1f}{half_width}", style=style)


def _verdict(where: str, titles: dict[str, str], gaps: dict[str, Difference]) -> Text:
    """One sentence on how the top compares with the others."""
    parts: list[str | tuple[str, str]] = []
    for other, gap in gaps.items():
        if gap.is_clear:
            word, style = ("better", "green") if gap.mean > 0 else ("worse", "red")
            parts += [", " if parts else "", (word, style), f" than {titles[other]} by {100 * abs(gap.mean):.1f} points"]
    if unclear := [titles[other] for other, gap in gaps.items() if not gap.is_clear]:
        listed = " or ".join(filter(None, (", ".join(unclear[:-1]), unclear[-1])))
        parts += [", and " if parts else "", f"not clearly different from {listed}"]
    return Text.assemble(where, (titles["top"], "bold"), " is ", *parts, ".")
