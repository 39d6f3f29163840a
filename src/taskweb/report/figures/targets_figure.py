"""How good selectors are target by target, as a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from taskweb.report.charts.chart_parts import VegaSpec, numbers_in_cells, values
from taskweb.report.figure import Figure, FigureTable
from taskweb.selectors.benchmark_results import BenchmarkResults

_MOST_NAMED = 60  # targets


def targets_figure(results: BenchmarkResults, name: str = "targets") -> Figure:
    """NDCG of every selector on every target, the hardest targets for the best selector last. results: of one setup."""
    selectors = sorted(results.selectors, key=lambda row: (-row.ndcg.value, row.selector))
    best = selectors[0]
    targets = list(dict.fromkeys(target for row in selectors for target in row.per_target))
    order = sorted(targets, key=lambda target: (-best.per_target.get(target, -math.inf), target))
    cells = [
        {"selector": row.selector, "target": target, "ndcg": row.per_target[target]}
        for row in selectors
        for target in order
        if target in row.per_target
    ]
    names = [row.selector for row in selectors]
    figures = tuple((target, *(row.per_target.get(target) for row in selectors)) for target in order)
    table = FigureTable(("target", *(f"NDCG of {one}" for one in names)), figures)
    return Figure(
        name,
        "Target by target",
        _sentence(order, best.selector, best.per_target),
        _spec(cells, names, order, _chance(results)),
        table,
    )


def _chance(results: BenchmarkResults) -> float:
    """NDCG of a random order, about a half where it was not judged."""
    return next((row.ndcg.value for row in results.selectors if row.selector == "random" and row.ndcg.known), 50.0)


def _sentence(order: list[str], selector: str, ndcg: Mapping[str, float]) -> str:
    known = [target for target in order if target in ndcg]
    if len(known) < 2:
        return "Too few targets were judged to compare them."
    easy, hard = known[0], known[-1]
    return (
        f"The selector {selector} orders the sources of {easy} best (NDCG {ndcg[easy]:.0f}%) and those of {hard} "
        f"worst ({ndcg[hard]:.0f}%); blue is better than a random order, orange worse."
    )


def _spec(cells: list[dict[str, object]], selectors: list[str], targets: list[str], chance: float) -> VegaSpec:
    def side(field: str, names: list[str], **axis: object) -> VegaSpec:
        scale = {"domain": names, "paddingInner": 0.04}
        return {
            "field": field,
            "type": "nominal",
            "sort": None,
            "scale": scale,
            "title": None,
            "axis": {"labelLimit": 130, **axis},
        }

    colours = {"domain": [0, chance, 100], "range": "diverging", "interpolate": "rgb"}
    legend = {"title": "NDCG, %", "gradientLength": 140, "gradientThickness": 8, "values": [0, round(chance), 100]}
    tooltip = [
        {"field": "target"},
        {"field": "selector"},
        {"field": "ndcg", "type": "quantitative", "format": ".1f", "title": "NDCG, %"},
    ]
    colour = {"field": "ndcg", "type": "quantitative", "scale": colours, "legend": legend}
    layers: list[VegaSpec] = [{"mark": {"type": "rect", "cornerRadius": 2}, "encoding": {"color": colour, "tooltip": tooltip}}]
    named = len(targets) <= _MOST_NAMED
    if named:
        layers += numbers_in_cells("ndcg", ".0f", 0.0, chance, 100.0)
    across = side("selector", selectors, labelAngle=-40, orient="bottom")
    return {
        "data": values(cells),
        "height": {"step": 20 if named else max(3, 1200 // len(targets))},
        "usermeta": {"mostWidth": 150 + 92 * len(selectors)},
        "encoding": {"x": across, "y": side("target", targets, labelOverlap=not named)},
        "layer": layers,
    }
