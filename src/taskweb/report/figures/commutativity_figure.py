"""Transfers and their reverse as a figure: a point per pair of tasks."""

from __future__ import annotations

import numpy as np

from taskweb.report.charts.chart_parts import VegaSpec, quantitative, values
from taskweb.report.figure import Figure, FigureTable
from taskweb.web.analysis.commutativity import Commutativity
from taskweb.web.analysis.square import square_of
from taskweb.web.transfer_web import TransferWeb

_MOST_POINTS = 1500  # more cannot be distinguished, and are slow to draw
_KINDS = ("both help", "both harm", "one helps, one harms")
_COLUMNS = ("A", "B", "T of A→B", "T of B→A", "kind")


def commutativity_figure(web: TransferWeb, found: Commutativity, name: str = "commutativity") -> Figure:
    """T of a transfer over T of its reverse, averaged over setups; of many pairs, as many at random as can be seen."""
    square = square_of(web)
    t = square.mean
    pairs = np.argwhere(np.triu(np.isfinite(t) & np.isfinite(t.T), 1))
    rest = "A point is a pair of tasks; on the dashed line a transfer equals its reverse."
    if len(pairs) > _MOST_POINTS:
        rest += f" Shown are {_MOST_POINTS:,} of {len(pairs):,} pairs, chosen at random."
        pairs = np.sort(np.random.default_rng(0).choice(pairs, _MOST_POINTS, replace=False), axis=0)
    rows = tuple(
        (square.tasks[a], square.tasks[b], float(t[a, b]), float(t[b, a]), _kind(t[a, b], t[b, a])) for a, b in pairs.tolist()
    )
    title = "Is a transfer as strong as its reverse?"
    return Figure(name, title, f"{found.verdict} {rest}", _spec(rows), FigureTable(_COLUMNS, rows))


def _kind(forth: float, back: float) -> str:
    return _KINDS[2] if (forth > 0) != (back > 0) else _KINDS[0] if forth > 0 else _KINDS[1]


def _spec(rows: tuple[tuple[str, str, float, float, str], ...]) -> VegaSpec:
    names = ("a", "b", "forth", "back", "kind")
    reach = max((abs(value) for row in rows for value in row[2:4]), default=1.0)
    scale = {"domain": [-1.05 * reach, 1.05 * reach], "nice": False}
    forth = quantitative("forth", "T of A→B", scale=scale, axis={"grid": True, "tickCount": 6})
    back = quantitative("back", "T of B→A", scale=scale, axis={"grid": True, "tickCount": 6})
    kinds = {"domain": list(_KINDS)}
    legend = {"title": None, "symbolOpacity": 1}
    colour = {"field": "kind", "type": "nominal", "scale": {**kinds, "range": "category"}, "legend": legend}
    shape = {**colour, "scale": {**kinds, "range": ["circle", "square", "diamond"]}}
    line = {"mark": {"type": "line", "style": "rule", "strokeDash": [4, 3]}, "encoding": {"x": forth, "y": back}}
    tooltip = [
        {"field": "a", "title": "A"},
        {"field": "b", "title": "B"},
        {"field": "forth", "title": "T of A→B", "type": "quantitative", "format": "+.3f"},
        {"field": "back", "title": "T of B→A", "type": "quantitative", "format": "+.3f"},
    ]
    return {
        "data": values(dict(zip(names, row, strict=True)) for row in rows),
        "height": 380,
        "usermeta": {"mostWidth": 520},
        "layer": [
            {"data": {"values": [{"forth": -reach, "back": -reach}, {"forth": reach, "back": reach}]}, **line},
            {
                "mark": {"type": "point", "filled": True, "size": 34, "opacity": 0.75},
                "encoding": {"x": forth, "y": back, "color": colour, "shape": shape, "tooltip": tooltip},
            },
        ],
    }
