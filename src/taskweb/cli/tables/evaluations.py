"""How an evaluation looks on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType

from taskweb.cli.tables.formatting import counted, explained
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.evaluation import Summary, TaskResult

_MOST_CLASSES = 12
METRIC_TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "f1": "F1",
    "exact_match": "exact match",
    "token_f1": "token F1",
    "pearson": "Pearson",
    "spearmanr": "Spearman",
}
_NORMALISED = {
    "none": "",
    "unconditional": ", less the same given an empty prompt",
    "chars": ", per character of the choice",
    "bytes": ", per UTF-8 byte of the choice",
}


def result_tables(result: TaskResult, record: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """Each template, their mean with spread and interval, and the confusion table over all templates.

    record: of the evaluation, which says how choices were scored.
    """
    names = list(result.summary)
    counts = f"   {counted(result.examples, 'example')} · {counted(len(result.templates), 'template')} · {result.origin}"
    if result.single_choice:
        counts += f" · {counted(result.single_choice, 'row')} with one choice left out"
    yield Text.assemble("\n", (result.task, "bold cyan"), (counts, "dim"))
    too_long = ["?>too long"] if result.cut else []
    grid = Grid("template", *(f">{METRIC_TITLES[name]}" for name in names), "?>examples", *too_long)
    for template in result.templates:
        count = template.cut.cut + template.cut.dropped
        grid.add_row(
            template.name,
            *(_percent(template.metrics[name]) for name in names),
            Text(str(len(template.predictions)), "dim"),
            *([f"{count:,}" if count else ""] if too_long else []),
        )
    grid.add_row(Text("mean", "bold"), *(Text(_percent(result.summary[name].mean), "bold") for name in names))
    if len(result.templates) > 1:
        grid.add_row(Text("spread", "dim"), *(Text(_percent(result.summary[name].spread), "dim") for name in names))
    grid.add_row(Text("interval", "dim"), *(Text(_interval(result.summary[name]), "dim") for name in names))
    yield grid.fitted(width)
    if result.confusion and len(result.labels) <= _MOST_CLASSES:
        yield Text()
        table = Grid("right \\ answered", *(f">{label}" for label in result.labels))
        for label, row in zip(result.labels, result.confusion, strict=True):
            table.add_row(label, *map(str, row))
        yield table.fitted(width)
    yield Text()
    yield from explained("mean", "over templates, in percent; spread: standard deviation over templates", width)
    yield from explained("interval", "95%, bootstrap over examples, with the same templates", width)
    if "accuracy" in names and (line := _how_scored(record)):
        yield from explained("score", line, width)
    if result.cut:
        yield from explained("too long", result.cut.line(f"{result.task} under all templates"), width)


def _how_scored(record: Mapping[str, Any]) -> str:
    """What the score of a choice is, in words; empty for an encoder, which has a head for that."""
    if record["score"] is None:
        return ""
    what = f"{record['score']} of the log-probabilities of a choice's tokens{_NORMALISED[record['normalise']]}"
    return f"{what}; end mark {record['end_mark']}; {record['prompt_format']} prompts"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _interval(summary: Summary) -> str:
    return "-" if math.isnan(summary.low) else f"{_percent(summary.low)} to {_percent(summary.high)}"
