"""How adapters beside their base look on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType

from taskweb.cli.tables.evaluations import METRIC_TITLES
from taskweb.cli.tables.formatting import counted, explained, interval, number
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.evaluation import PairedComparison, TaskResult

if TYPE_CHECKING:
    from taskweb.workflows.comparing_adapters import AdaptersEvaluation

_TESTS = {"mcnemar": "exact McNemar", "bootstrap": "paired bootstrap"}


def adapter_tables(found: AdaptersEvaluation, width: int) -> Iterator[RenderableType]:
    """For each task: the metrics of the base and of every adapter, and how far each adapter is from the base."""
    names = _short_names([adapter.adapter for adapter in found.adapters])
    for number_of_task, result in enumerate(found.adapters[0].results):
        counts = f"   {counted(result.examples, 'example')} · {counted(len(result.templates), 'template')} · {result.origin}"
        yield Text.assemble("\n", (result.task, "bold cyan"), (counts, "dim"))
        grid = Grid("model", *(f">{METRIC_TITLES[name]}" for name in result.summary))
        if found.base is not None:
            grid.add_row(Text("base", "bold"), *_means(found.base.results[number_of_task]))
        for name, adapter in zip(names, found.adapters, strict=True):
            grid.add_row(name, *_means(adapter.results[number_of_task]))
        yield grid.fitted(width)
        if found.base is not None:
            yield Text()
            pairs = [adapter.comparisons[number_of_task] for adapter in found.adapters]
            yield _differences(names, pairs).fitted(width)
    yield Text()
    yield from explained("model", "mean over templates, in percent", width)
    if found.base is not None:
        yield from explained("difference", "adapter less base, in points, on the same rows; 95%, bootstrap over rows", width)
        yield from explained("p", "of no difference: exact McNemar for accuracy with one template, else bootstrap", width)


def _differences(names: list[str], comparisons: list[PairedComparison]) -> Grid:
    grid = Grid("adapter", "metric", ">difference", "?>interval", ">p", "??test")
    for name, comparison in zip(names, comparisons, strict=True):
        for metric, found in comparison.differences.items():
            low, high = 100 * found.low, 100 * found.high
            difference = Text(number(100 * found.value, "+.1f"), style="bold" if found.p < 0.05 else "")
            grid.add_row(
                name,
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
