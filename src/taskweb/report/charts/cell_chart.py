"""Numbers of pairs as coloured cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskweb.report.charts.chart_parts import VegaSpec, values

UNKNOWN = "not measured"
_FAINTEST = 0.25
_FEW = 60
_STEP, _HIGHEST, _LEAST_STEP = 18, 1080, 3


@dataclass(frozen=True, slots=True)
class Cell:
    """A pair. sure: from 0, where it is as likely to help as to harm, to 1; less sure cells are fainter."""

    column: str
    row: str
    value: float
    sure: float = 1.0

    def shown(self, middle: float) -> float:
        """The value whose colour the cell gets: the less sure it is, the closer to the middle."""
        return middle + (self.value - middle) * (_FAINTEST + (1 - _FAINTEST) * self.sure)


@dataclass(frozen=True, slots=True)
class CellScale:
    """How values become colours: low, middle and high end of the scale; values beyond get the colour of its end.

    title: the quantity; marks: what its low, middle and high end are called; meaning: what colours say, in short lines.
    """

    title: str
    low: float
    middle: float
    high: float
    value_format: str
    marks: tuple[str, str, str]
    meaning: tuple[str, ...]


def cell_chart(cells: Sequence[Cell], columns: Sequence[str], rows: Sequence[str], scale: CellScale) -> VegaSpec:
    """The cells as a Vega-Lite specification without a width; columns, rows: their order, left to right and top to bottom."""
    data = [{"column": cell.column, "row": cell.row, "value": cell.value, "shown": cell.shown(scale.middle)} for cell in cells]
    known = {(cell.column, cell.row) for cell in cells}
    data += [{"column": column, "row": row} for column in columns for row in rows if (column, row) not in known]
    encoding: dict[str, Any] = {
        "x": _names("column", columns, "source", {"labelAngle": -90}),
        "y": _names("row", rows, "target", {}),
        "color": _colours(scale),
        "tooltip": [
            {"field": "column", "type": "nominal", "title": "source"},
            {"field": "row", "type": "nominal", "title": "target"},
            {"field": "value", "type": "quantitative", "title": scale.title, "format": scale.value_format},
        ],
    }
    step = _STEP if len(rows) <= _FEW else max(_LEAST_STEP, _HIGHEST / len(rows))
    places = {channel: encoding[channel] for channel in ("x", "y")}
    coloured: VegaSpec = {"transform": [{"filter": "isValid(datum.value)"}], "mark": "rect", "encoding": encoding}
    grey: VegaSpec = {"fill": {"datum": UNKNOWN, "type": "nominal", "scale": {"range": "missing"}, "title": None}}
    unknown: VegaSpec = {"transform": [{"filter": "!isValid(datum.value)"}], "mark": "rect", "encoding": {**places, **grey}}
    layers = [coloured, unknown] if len(data) > len(cells) else [coloured]
    return {"data": values(data), "height": {"step": step}, "layer": layers}


def _colours(scale: CellScale) -> VegaSpec:
    """Values to colours, with a legend that marks both ends and the middle, and says what they mean."""
    low, middle, high = (json.dumps(mark, ensure_ascii=False) for mark in scale.marks)
    centre = json.dumps(scale.middle)
    return {
        "field": "shown",
        "type": "quantitative",
        "scale": {
            "domain": [scale.low, scale.high],
            "domainMid": scale.middle,
            "range": "diverging",
            "interpolate": "rgb",
            "clamp": True,
        },
        "legend": {
            "type": "gradient",
            "title": [scale.title, *scale.meaning],
            "values": [scale.low, scale.middle, scale.high],
            "labelExpr": f"datum.value < {centre} ? {low} : datum.value > {centre} ? {high} : {middle}",
            "gradientThickness": 8,
        },
    }


def _names(field: str, order: Sequence[str], title: str, axis: VegaSpec) -> VegaSpec:
    every = {"labelOverlap": "greedy" if len(order) > _FEW else False}
    scale = {"domain": list(order), "paddingInner": 0.04 if len(order) <= _FEW else 0.0}
    return {"field": field, "type": "nominal", "sort": None, "scale": scale, "title": title, "axis": {**every, **axis}}
