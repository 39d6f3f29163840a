"""Figures with their intervals, one name per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskweb.report.charts.chart_parts import VegaSpec, by_series, known, quantitative, values

_STEP = 22


@dataclass(frozen=True, slots=True)
class Dot:
    """A figure of one name. low, high: the ends of its interval, NaN for none. series: where one name has several figures."""

    name: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    series: str = ""


def dot_chart(dots: Sequence[Dot], x_title: str, *, x_format: str = "", rule: float | None = None) -> VegaSpec:
    """The figures as a Vega-Lite specification without a width, in the order given. rule: a vertical line of reference."""
    labels = list(dict.fromkeys(dot.series for dot in dots))
    rows = [
        {"name": dot.name, "series": dot.series, "value": dot.value, "low": dot.low, "high": dot.high}
        for dot in dots
        if known(dot.value)
    ]
    axis = {"grid": True, "tickCount": 6, **({"format": x_format} if x_format else {})}
    order = list(dict.fromkeys(dot.name for dot in dots))
    y: VegaSpec = {"field": "name", "type": "nominal", "sort": order, "title": None, "axis": {"grid": False}}
    shared: VegaSpec = {"y": y, **by_series(labels)}
    if len(labels) > 1:
        shared["yOffset"] = {"field": "series", "sort": labels}
    ends = {"x": quantitative("low", x_title, axis=axis), "x2": {"field": "high"}}
    colours = {name: channel for name, channel in shared.items() if name != "shape"}
    tooltip = _tooltip(x_title, x_format.replace("~", ""))  # with all digits
    layers: list[VegaSpec] = []
    if rule is not None:
        at = {"x": {"datum": rule, "type": "quantitative"}}
        layers.append({"data": {"values": [{}]}, "mark": {"type": "rule", "style": "rule"}, "encoding": at})
    filtered = [{"filter": "isValid(datum.low) && isValid(datum.high)"}]
    layers += [
        {"transform": filtered, "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55}, "encoding": {**colours, **ends}},
        {
            "mark": {"type": "point", "filled": True, "opacity": 1},
            "encoding": {**shared, "x": quantitative("value", x_title, axis=axis), "tooltip": tooltip},
        },
    ]
    step = max(_STEP, 14 * len(labels))
    return {"data": values(rows), "height": {"step": step, "for": "position"}, "layer": layers}


def _tooltip(title: str, form: str) -> list[dict[str, Any]]:
    shown = {"type": "quantitative", **({"format": form} if form else {})}
    return [
        {"field": "name", "type": "nominal", "title": " "},
        {"field": "value", "title": title, **shown},
        {"field": "low", "title": "from", **shown},
        {"field": "high", "title": "to", **shown},
    ]
