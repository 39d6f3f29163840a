"""Points with their intervals over a few places, in panels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskweb.report.charts.chart_parts import VegaSpec, by_series, known, quantitative, values
from taskweb.report.figure import Figure, FigureTable

_HEIGHT, _WIDTH, _COLUMNS = 230, 240, 3
_MOST_LETTERS = 20  # of all labels together, beyond which they are turned


@dataclass(frozen=True, slots=True)
class Series:
    """Points with one label. values: one per place, NaN for none; lows, highs: their intervals, NaN for none."""

    label: str
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. places: labels along the x axis, left to right; joined: whether a line joins the points."""

    title: str
    x_label: str
    y_label: str
    places: tuple[str, ...]
    series: tuple[Series, ...]
    joined: bool = True


def interval_panels(name: str, title: str, sentence: str, panels: Sequence[Panel]) -> Figure:
    """The panels as one figure, whose table has a row per point."""
    rows = tuple(
        (panel.title, place, series.label, *(number if known(number) else None for number in numbers))
        for panel in panels
        for series in panel.series
        for place, *numbers in zip(panel.places, series.values, series.lows, series.highs, strict=True)
    )
    specs = [_panel(panel) for panel in panels]
    columns = ("panel", "place", "series", "value", "low", "high")
    spec = {
        "concat": specs,
        "columns": _COLUMNS,
        "spacing": 24,
        "resolve": {"scale": {"color": "independent", "shape": "independent"}},
    }
    return Figure(name, title, sentence, spec, FigureTable(columns, rows))


def _panel(panel: Panel) -> VegaSpec:
    labels = [series.label for series in panel.series]
    rows = [
        {"place": place, "series": series.label, "value": value, "low": low, "high": high}
        for series in panel.series
        for place, value, low, high in zip(panel.places, series.values, series.lows, series.highs, strict=True)
        if known(value)
    ]
    turned = sum(map(len, panel.places)) > _MOST_LETTERS
    axis_y = {"labelFlush": True}  # titles stand at one height
    axis = {"labelAngle": -35 if turned else 0, "labelOverlap": False, "grid": False}
    x: VegaSpec = {"field": "place", "type": "ordinal", "scale": {"domain": list(panel.places)}, "title": panel.x_label or None}
    shared: VegaSpec = {"x": {**x, "axis": axis}, **by_series(labels)}
    if len(labels) > 1:
        shared["xOffset"] = {"field": "series", "sort": labels, "scale": {"paddingInner": 0, "paddingOuter": 1.2}}
    unshaped = {key: channel for key, channel in shared.items() if key != "shape"}
    y = quantitative("value", panel.y_label, axis=axis_y)
    ends = {"y": quantitative("low", panel.y_label, axis=axis_y), "y2": {"field": "high"}}
    layers: list[VegaSpec] = [
        {
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.55},
            "encoding": {**unshaped, **ends},
        }
    ]
    if panel.joined:
        layers.append({"mark": {"type": "line", "strokeWidth": 1}, "encoding": {**unshaped, "y": y}})
    layers.append({"mark": {"type": "point", "filled": True, "opacity": 1}, "encoding": {**shared, "y": y}})
    return {
        "title": {"text": panel.title, "anchor": "middle"},
        "data": values(rows),
        "width": _WIDTH,
        "height": _HEIGHT,
        "layer": layers,
    }
