"""How an evaluation looks on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from taskweb.cli.tables.formatting import answer, counted, explained, heading, too_long
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.evaluation import Summary, TaskResult
from taskweb.tasks.overflow import CutReport

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


def evaluation_tables(
    model: str, results: Sequence[TaskResult], record: Mapping[str, Any], width: int, *, explain: bool = False
) -> Iterator[RenderableType]:
    """The scores with their intervals; then each task with its templates, and the confusion table over all templates.

    record: of the evaluation, which says how choices were scored. explain: also all that these figures depend on.
    """
    yield heading(model, "", width)
    if len(results) == 1:
        yield from answer("Score", _scores(results[0]), width)
    else:
        yield _overview(results).fitted(width)
    for result in results:
        yield from _task(result, width)
    yield Text()
    yield from (_full_legend if explain else _short_legend)(results, record, width)


def _scores(result: TaskResult) -> list[str | Text]:
    """The first metric, then the others."""
    found: list[str | Text] = []
    for metric, summary in result.summary.items():
        with_interval = f"{_percent(summary.mean)} (95% interval {_interval(summary)})"
        found += [*METRIC_TITLES[metric].split(), Text(with_interval, style="" if found else "bold"), "and"]
    templates = f", mean of {counted(len(result.templates), 'template')}" if len(result.templates) > 1 else ""
    return [*found[:-1], *f"on {counted(result.examples, 'example')}{templates}".split()]


def _overview(results: Sequence[TaskResult]) -> Grid:
    grid = Grid("~task", "metric", ">score", ">95% interval", "?>examples", "?>templates")
    for result in results:
        for place, (metric, summary) in enumerate(result.summary.items()):
            grid.add_row(
                "" if place else result.task,
                METRIC_TITLES[metric],
                Text(_percent(summary.mean), "" if place else "bold"),
                Text(_interval(summary), "dim"),
                *(("", "") if place else (f"{result.examples:,}", str(len(result.templates)))),
            )
    return grid


def _task(result: TaskResult, width: int) -> Iterator[RenderableType]:
    """Each template, their mean with spread and interval, and the confusion table."""
    names = list(result.summary)
    counts = f"{counted(result.examples, 'example')} · {counted(len(result.templates), 'template')} · {result.origin}"
    if result.single_choice:
        counts += f" · {counted(result.single_choice, 'row')} with one choice left out"
    yield heading(result.task, counts, width)
    grid = Grid("~template", *(f">{METRIC_TITLES[name]}" for name in names), "?>examples", "?>too long")
    for template in result.templates:
        count = template.cut.cut + template.cut.dropped
        grid.add_row(
            template.name,
            *(_percent(template.metrics[name]) for name in names),
            Text(str(len(template.predictions)), "dim"),
            f"{count:,}" if count else "",
        )
    grid.add_row(Text("mean", "bold"), *(Text(_percent(result.summary[name].mean), "bold") for name in names))
    if len(result.templates) > 1:
        grid.add_row(Text("spread", "dim"), *(Text(_percent(result.summary[name].spread), "dim") for name in names))
    grid.add_row(Text("interval", "dim"), *(Text(_interval(result.summary[name]), "dim") for name in names))
    yield grid.fitted(width)
    if result.confusion and len(result.labels) <= _MOST_CLASSES:
        yield Text()
        table = Grid("~right \\ answered", *(f">~{label}" for label in result.labels))
        for label, row in zip(result.labels, result.confusion, strict=True):
            table.add_row(label, *map(str, row))
        yield from table.parts(width)


def _short_legend(results: Sequence[TaskResult], record: Mapping[str, Any], width: int) -> Iterator[Text]:
    """At most three lines."""
    several = any(len(result.templates) > 1 for result in results)
    over = "over templates, in percent; interval" if several else "in percent; interval"
    yield from explained("mean", f"{over}: 95%, bootstrap over examples", width, lines=1)
    total = sum((result.cut for result in results), CutReport())
    if total:
        yield from explained("too long", too_long(total), width, lines=1)
    if _how_scored(record):
        yield from explained("more", "--explain says how the choices were scored", width, lines=1)


def _full_legend(results: Sequence[TaskResult], record: Mapping[str, Any], width: int) -> Iterator[Text]:
    yield from explained("mean", "over templates, in percent; spread: standard deviation over templates", width)
    yield from explained("interval", "95%, bootstrap over examples, with the same templates", width)
    if line := _how_scored(record):
        yield from explained("score", line, width)
    for result in results:
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
