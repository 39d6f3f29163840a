"""The last screen of the demo: models trained on chosen, on random and on all sources, compared."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from rich.console import RenderableType

from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.workflows.trial_records import NULL_FAMILY, Difference, SelectionTrials, TrialSettings, TrialTarget

# What shows which sources of a family help.
_SHOWN_BY = {
    "helpful": "the texts",
    "popular": "other targets",
    "common_domains": "texts and other targets",
    "mixed": "texts, in part",
    "lookalike": "transfers only",
    NULL_FAMILY: "nothing",
}


# Rows of differences: how they are called, their group of targets, and what the chosen are compared with.
_ROWS = (
    ("{}", "all_but_null", "random"),
    ("{}", "all_but_null", "all"),
    ("{} *", "told_apart", "random"),
    ("{} *", "told_apart", "all"),
    (f"{{}}, {NULL_FAMILY}", "null", "random"),
)


def comparison_lines(settings: TrialSettings) -> Iterator[RenderableType]:
    """What is compared with what."""
    updates = f"{settings.updates} updates of {settings.training.batch_size} examples each"
    yield Text(f"   Steps 2 to 7 for each, with {settings.k} chosen, {settings.k} random and all sources:")
    yield Text(f"   {updates}, {settings.evaluation_examples} examples to evaluate on.\n")


def comparison_tables(trials: SelectionTrials, width: int) -> Iterator[RenderableType]:
    """Accuracy by family, then the differences with their intervals and what can be told."""
    yield _accuracies(trials).fitted(width)
    yield Text()
    groups = trials.groups()
    rows = [
        (label, groups[name], other) for label, name, other in _ROWS if groups[name] and other in trials.settings.strategies
    ]
    grid = Grid(f"{trials.settings.k} chosen against", ">targets", ">points", ">95% interval", "")
    for label, places, other in rows:
        gap = trials.difference(other, places)
        ends = f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f}" if math.isfinite(gap.low) else ""
        name = _names_of(trials.settings)[other]
        grid.add_row(label.format(name), str(len(places)), f"{100 * gap.mean:+.1f}", ends, _verdict(gap))
    yield grid.fitted(width)
    for note in _notes(trials, groups):
        yield Text(note, style="dim")


def _names_of(settings: TrialSettings) -> dict[str, str]:
    return {"top": f"{settings.k} chosen", "random": f"{settings.k} random", "all": "all"}


def _accuracies(trials: SelectionTrials) -> Grid:
    names = {name: shown for name, shown in _names_of(trials.settings).items() if name in trials.settings.strategies}
    grid = Grid("accuracy, %", *(f">{shown}" for shown in names.values()), "?which sources help is shown by")
    for family in trials.settings.families:
        values = (f"{100 * trials.accuracy(family, name):.0f}" for name in names)
        grid.add_row(family, *values, Text(_SHOWN_BY.get(family, ""), style="dim"))
    return grid


def _notes(trials: SelectionTrials, groups: Mapping[str, Collection[TrialTarget]]) -> Iterator[str]:
    if groups["told_apart"]:
        yield "* where the ranking says that its evidence distinguishes sources"
    if groups["null"]:
        found = "any difference is chance" if trials.difference("random", groups["null"]).is_clear else "none is expected"
        yield f"{NULL_FAMILY}: nothing shows which sources help, so {found}"
    kinds = len({family for family, _ in groups["all_but_null"]})
    yield f"{len(groups['all_but_null'])} targets of {kinds} kinds of generated tasks; of other tasks this says nothing"


def _verdict(gap: Difference) -> Text:
    if not gap.is_clear:
        return Text("cannot be told", style="yellow")
    return Text("better", style="green") if gap.mean > 0 else Text("worse", style="red")
