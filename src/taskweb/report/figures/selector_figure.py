"""How good selectors are, as a figure: NDCG and Regret@5 with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from taskweb.report.charts.interval_panels import Panel, Series, interval_panels
from taskweb.report.figure import Figure
from taskweb.report.words import signed
from taskweb.selectors.benchmark_results import BenchmarkResults, SelectorResult
from taskweb.web.analysis.estimate import Estimate


def selector_figure(results: BenchmarkResults, name: str = "benchmark") -> Figure:
    """The selectors of one setup, those with the highest NDCG first. results: with one row per selector, at least one."""
    rows = sorted(results.selectors, key=lambda row: (-row.ndcg.value, row.selector))
    places = tuple(row.selector for row in rows)
    panels = [
        _panel("Order of sources", "NDCG (percent, higher is better)", places, [row.ndcg for row in rows]),
        _panel("Performance lost", "Regret@5 (percent, lower is better)", places, [row.regret_at_5 for row in rows]),
    ]
    targets = f"{rows[0].n_targets} targets, each left out"
    title = f"Selectors on {results.web or 'a web'}: {targets}"
    sentence = f"{_found(rows)} Bars: 95% intervals, bootstrap over targets."
    return interval_panels(name, title, sentence, panels)


def _panel(title: str, label: str, places: tuple[str, ...], figures: Sequence[Estimate]) -> Panel:
    values, lows, highs = (tuple(getattr(figure, part) for figure in figures) for part in ("value", "low", "high"))
    return Panel(title, "", label, places, (Series("", values, lows, highs),), joined=False)


def _found(rows: Sequence[SelectorResult]) -> str:
    best = rows[0]
    start = f"The selector {best.selector} orders sources best, with an NDCG of {best.ndcg.value:.1f}%"
    known = [(name, found) for name, found in best.differences.items() if found.known]
    if not known:
        return f"{start}."
    reference, by = min(known, key=lambda one: one[1].value)
    range_ = f"{signed(by.value, 1)} points, 95% interval {signed(by.low, 1)} to {signed(by.high, 1)}"
    clear = "more than" if by.low > 0 else "which the data do not distinguish from"
    return f"{start}, {clear} {reference} ({range_})."
