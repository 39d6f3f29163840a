"""How adapters beside their base look on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from taskweb.cli.tables.evaluations import METRIC_TITLES
from taskweb.cli.tables.fitting import name
from taskweb.cli.tables.formatting import answer, counted, explained, heading, interval, number
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.evaluation import PairedComparison, TaskResult
from taskweb.evaluation.paired_tests import Difference

if TYPE_CHECKING:
    from taskweb.workflows.comparing_adapters import AdaptersEvaluation

_TESTS = {"mcnemar": "exact McNemar", "bootstrap": "paired bootstrap"}


def adapter_tables(found: AdaptersEvaluation, width: int, *, explain: bool = False) -> Iterator[RenderableType]:
    """How far each adapter is from the base; then, for each task, the metrics of the base and of every adapter.

    explain: also what the figures mean and how they are tested.
    """
    names = _short_names([adapter.adapter for adapter in found.adapters])
    yield heading(str(found.model.model), "", width)
    yield from _answer(found, names, width)
    for place, result in enumerate(found.adapters[0].results):
        counts = f"{counted(result.examples, 'example')} · {counted(len(result.templates), 'template')} · {result.origin}"
        yield heading(result.task, counts, width)
        grid = Grid("~model", *(f">{METRIC_TITLES[metric]}" for metric in result.summary))
        if found.base is not None:
            grid.add_row(Text("base", "bold"), *_means(found.base.results[place]))
        for short, adapter in zip(names, found.adapters, strict=True):
            grid.add_row(short, *_means(adapter.results[place]))
        yield grid.fitted(width)
        if found.base is not None:
            yield Text()
            pairs = [adapter.comparisons[place] for adapter in found.adapters]
            yield _differences(names, pairs).fitted(width)
    yield Text()
    yield from explained("model", "mean over templates, in percent", width)
    if found.base is not None:
        yield from explained("difference", "adapter less base, in points, on the same rows; 95% interval", width, lines=1)
    if found.base is not None and explain:
        yield from explained("interval", "bootstrap over rows", width)
        yield from explained("p", "of no difference: exact McNemar for accuracy with one template, else bootstrap", width)


def _answer(found: AdaptersEvaluation, names: Sequence[str], width: int) -> Iterator[Text]:
    """A line for each adapter and task: how far it is from the base by the first metric, or its score."""
    results = found.adapters[0].results
    for task, result in enumerate(results):
        metric = next(iter(result.summary))
        on: list[str | Text] = ["on", name(result.task)] if len(results) > 1 else []
        for short, adapter in zip(names, found.adapters, strict=True):
            if found.base is None:
                said = number(100 * adapter.results[task].summary[metric].mean, ".1f") or "-"
            else:
                said = _verdict(adapter.comparisons[task].differences[metric])
            yield from answer("Adapter", [name(short, "bold"), *METRIC_TITLES[metric].split(), *on, *said.split()], width)


def _verdict(difference: Difference) -> str:
    points = f"{100 * difference.value:+.1f} points (95% interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    if not math.isfinite(difference.low):
        return f"{number(100 * difference.value, '+.1f') or '-'} points against the base"
    if difference.low <= 0 <= difference.high:
        return f"{points}: not clearly different from the base"
    return f"{points}: {'better' if difference.value > 0 else 'worse'} than the base"


def _differences(names: list[str], comparisons: list[PairedComparison]) -> Grid:
    grid = Grid("~adapter", "metric", ">difference", "?>interval", ">p", "??test")
    for short, comparison in zip(names, comparisons, strict=True):
        for metric, found in comparison.differences.items():
            low, high = 100 * found.low, 100 * found.high
            difference = Text(number(100 * found.value, "+.1f"), style="bold" if found.p < 0.05 else "")
            grid.add_row(
                short,
                METRIC_TITLES[metric],
                difference,
                interval(low, high, "+.1f"),
                "" if math.isnan(found.p) else f"{found.p:.3g}",
                Text(_TESTS[found.test], "dim"),
            )
    return grid


def _means(result: TaskResult) -> list[str]:
    return [number(100 * summary.mean, ".1f") or "-" for summary in result.summary.values()]


def _short_names(names: list[str]) -> list[str]:
    """The last part of each name, and the whole name where that is not enough to know it."""
    short = [name.rstrip("/").rpartition("/")[2] for name in names]
    return short if len(set(short)) == len(short) else names
