"""Lines over a number, each with its interval as an area where it is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from taskweb.report.charts.chart_parts import VegaSpec, by_series, known, quantitative, values

_HEIGHT = 260


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ys: NaN where unknown; lows, highs: its 95% interval, one per x or none. faint: something to compare with."""

    label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    faint: bool = False

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row per known point."""
        for i, (x, y) in enumerate(zip(self.xs, self.ys, strict=True)):
            if known(y):
                ends = {"low": self.lows[i], "high": self.highs[i]} if self.lows and known(self.lows[i]) else {}
                yield {"series": self.label, "x": x, "y": y, **ends}


@dataclass(frozen=True, slots=True)
class LineAxes:
    """The axes. x_log, y_log: logarithmic. y_format: as of d3-format. zero: whether y begins at 0.

    x_values: where the x axis has labels. rule: a horizontal line of reference. diagonal: the line from (0, 0) to (1, 1).
    """

    x_title: str
    y_title: str
    x_log: bool = False
    y_log: bool = False
    x_format: str = ""
    y_format: str = ""
    zero: bool = False
    x_values: tuple[float, ...] = field(default=())
    rule: float | None = None
    diagonal: bool = False
    points: bool = True


def line_chart(lines: Sequence[Line], axes: LineAxes) -> VegaSpec:
    """The lines as a Vega-Lite specification without a width."""
    labels = [line.label for line in lines]
    x = quantitative("x", axes.x_title, scale=_scale(log=axes.x_log), axis=_x_axis(axes))
    y_axis = {"format": axes.y_format} if axes.y_format else {}
    y = quantitative("y", axes.y_title, zero=axes.zero and not axes.y_log, scale=_scale(log=axes.y_log), axis=y_axis)
    tooltip = [{"field": "series", "title": " "}, {"field": "x", "title": axes.x_title}, _figure("y", axes)]
    faint = [line.label for line in lines if line.faint]
    dash = {"condition": {"test": {"field": "series", "oneOf": faint}, "value": [4, 3]}, "value": [1, 0]}
    layers: list[VegaSpec] = [*_references(axes)]
    if any(line.lows for line in lines):
        area = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, **by_series(labels, shapes=False)}
        filtered = [{"filter": "isValid(datum.low) && isValid(datum.high)"}]
        layers.append({"transform": filtered, "mark": {"type": "area", "opacity": 0.14}, "encoding": area})
    main = {"x": x, "y": y, **by_series(labels, shapes=False)}
    layers.append({"mark": {"type": "line", "clip": True}, "encoding": {**main, "strokeDash": dash}})
    if axes.points:
        shaped = {"x": x, "y": y, "tooltip": tooltip, **by_series(labels)}
        mark = {"type": "point", "filled": True, "opacity": 1}
        layers.append({"mark": mark, "encoding": shaped})
    return {"data": values(row for line in lines for row in line.rows()), "height": _HEIGHT, "layer": layers}


def _references(axes: LineAxes) -> Iterator[VegaSpec]:
    if axes.rule is not None:
        yield {"data": {"values": [{"y": axes.rule}]}, "mark": {"type": "rule", "style": "rule"}, "encoding": _y_only()}
    if axes.diagonal:
        ends = {"values": [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]}
        encoding = {name: {"field": name, "type": "quantitative"} for name in ("x", "y")}
        yield {"data": ends, "mark": {"type": "line", "style": "rule", "strokeDash": [2, 3]}, "encoding": encoding}


def _y_only() -> VegaSpec:
    return {"y": {"field": "y", "type": "quantitative"}}


def _scale(*, log: bool) -> VegaSpec:
    return {"type": "log", "nice": False} if log else {}


def _x_axis(axes: LineAxes) -> VegaSpec:
    found: VegaSpec = {"grid": False, "tickCount": 6}
    if axes.x_values:
        found |= {"values": list(axes.x_values), "labelOverlap": False}
    if axes.x_format:
        found["format"] = axes.x_format
    return found


def _figure(name: str, axes: LineAxes) -> VegaSpec:
    shown = {"field": name, "type": "quantitative", "title": axes.y_title}
    return shown | ({"format": axes.y_format} if axes.y_format else {})
