"""How far setups agree as a figure: the correlation of their rankings of sources, setup by setup."""

from __future__ import annotations

from taskweb.report.charts.chart_parts import VegaSpec, known, numbers_in_cells, values
from taskweb.report.figure import Cell, Figure, FigureTable
from taskweb.web.analysis.agreement import Agreement

_COLUMNS = ("setup", "other setup", "what they share", "targets", "correlation", "low", "high", "by noise alone")


def agreement_figure(found: Agreement, name: str = "agreement") -> Figure:
    """The correlation of rankings of every two setups. found: with at least two setups."""
    rest = "A cell is the mean correlation over targets; 1 is the same ranking, 0 none in common."
    rows = tuple(
        (
            pair.first,
            pair.second,
            pair.relation,
            pair.targets,
            *(_known(value) for value in (pair.of_rankings.value, pair.of_rankings.low, pair.of_rankings.high, pair.ceiling)),
        )
        for pair in found.pairs
    )
    return Figure(name, "Do setups agree?", f"{found.verdict} {rest}", _spec(found), FigureTable(_COLUMNS, rows))


def _spec(found: Agreement) -> VegaSpec:
    setups = list(found.setups)
    cells = [
        {
            "one": one,
            "other": other,
            "value": pair.of_rankings.value,
            "range": f"{pair.of_rankings.low:.2f} to {pair.of_rankings.high:.2f}",
            "ceiling": f"{pair.ceiling:.2f}" if known(pair.ceiling) else "unknown",
            "relation": pair.relation,
        }
        for pair in found.pairs
        for one, other in ((pair.first, pair.second), (pair.second, pair.first))
        if pair.of_rankings.known
    ]
    scale = {"domain": setups, "paddingInner": 0.04}
    sides = {"type": "nominal", "sort": None, "scale": scale, "title": None}
    x = {"field": "one", **sides, "axis": {"labelAngle": -40, "labelLimit": 110, "orient": "bottom"}}
    y = {"field": "other", **sides, "axis": {"labelLimit": 110}}
    colours = {"domain": [-1, 1], "range": "diverging", "interpolate": "rgb"}
    legend = {"title": "correlation", "format": ".1f", "gradientLength": 140, "gradientThickness": 8, "values": [-1, 0, 1]}
    tooltip = [
        {"field": "one", "title": "setup"},
        {"field": "other", "title": "other setup"},
        {"field": "relation", "title": "they share"},
        {"field": "value", "type": "quantitative", "title": "correlation", "format": ".2f"},
        {"field": "range", "title": "95% interval"},
        {"field": "ceiling", "title": "by noise alone"},
    ]
    colour = {"field": "value", "type": "quantitative", "scale": colours, "legend": legend}
    layers: list[VegaSpec] = [{"mark": {"type": "rect", "cornerRadius": 2}, "encoding": {"color": colour, "tooltip": tooltip}}]
    if len(setups) <= 10:
        layers += numbers_in_cells("value", ".2f", -1.0, 0.0, 1.0)
    step = 34 if len(setups) <= 10 else max(10, 400 // len(setups))
    encoding = {"x": x, "y": y}
    return {
        "data": values(cells),
        "height": {"step": step},
        "usermeta": {"mostWidth": max(360, 84 * min(len(setups), 8))},
        "encoding": encoding,
        "layer": layers,
    }


def _known(value: float) -> Cell:
    return value if known(value) else None
