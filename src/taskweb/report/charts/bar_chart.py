"""Amounts as bars, one name per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskweb.report.charts.chart_parts import VegaSpec, by_series, known, quantitative, values

_STEP, _OF_SEVERAL = 22, 14


@dataclass(frozen=True, slots=True)
class Bar:
    """An amount of one name, 0 or more. series: where a name has several. text: what stands at the end of the bar."""

    name: str
    value: float
    series: str = ""
    text: str = ""


def bar_chart(
    bars: Sequence[Bar], x_title: str, *, x_format: str = "", most: float | None = None, series: Sequence[str] = ()
) -> VegaSpec:
    """The bars as a Vega-Lite specification without a width, in the order given. most: where the x axis ends.

    series: their order, and so their colours; without it, as they occur.
    """
    labels = list(series) or list(dict.fromkeys(bar.series for bar in bars))
    rows = [{"name": bar.name, "series": bar.series, "value": bar.value, "text": bar.text} for bar in bars if known(bar.value)]
    order = list(dict.fromkeys(bar.name for bar in bars))
    encoding: VegaSpec = {
        "y": {"field": "name", "type": "nominal", "sort": order, "title": None},
        "x": quantitative(
            "value",
            x_title,
            zero=True,
            scale={} if most is None else {"domain": [0, most]},
            axis={"grid": True, "tickCount": 6, **({"format": x_format} if x_format else {})},
        ),
        **by_series(labels, shapes=False),
    }
    grouped = len(bars) > len(order)
    if grouped:
        encoding["yOffset"] = {"field": "series", "sort": labels}
    tooltip = [
        {"field": "name", "type": "nominal", "title": " "},
        {"field": "value", "type": "quantitative", "title": x_title, **({"format": x_format} if x_format else {})},
    ]
    layers: list[VegaSpec] = [{"mark": {"type": "bar", "cornerRadiusEnd": 2}, "encoding": {**encoding, "tooltip": tooltip}}]
    if any(bar.text for bar in bars):
        label = {"type": "text", "align": "left", "dx": 4, "style": "label"}
        colourless = {name: channel for name, channel in encoding.items() if name != "color"}
        layers.append({"mark": label, "encoding": {**colourless, "text": {"field": "text", "type": "nominal"}}})
    step = _OF_SEVERAL * len(labels) + 6 if grouped else _STEP
    return {"data": values(rows), "height": {"step": step, "for": "position"}, "layer": layers}
