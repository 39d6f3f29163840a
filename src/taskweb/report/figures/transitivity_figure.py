"""Chains of transfers as a figure: how often A helps C where A helps B and B helps C, and how often it would by chance."""

from __future__ import annotations

from taskweb.report.charts.line_chart import Line, LineAxes, line_chart
from taskweb.report.figure import Figure, FigureTable
from taskweb.web.analysis.nulls import POPULARITY
from taskweb.web.analysis.transitivity import NullModelShares, Transitivity

_COLUMNS = ("threshold on T", "A helps C", "low", "high", "chains", "by popularity", "by popularity and strengths", "any pair")
_EXPLAINED = (("sources' popularity alone", True), ("strengths of sources and targets", False))


def transitivity_figure(found: Transitivity, name: str = "transitivity") -> Figure:
    """The share of helpful ends over the strength of both steps, beside the shares in webs drawn at random."""
    curve, thresholds = found.curve(), found.thresholds
    values, lows, highs = (tuple(getattr(share, part) for share in curve.positive) for part in ("value", "low", "high"))
    lines = [Line("measured", thresholds, values, lows, highs)]
    for label, by_popularity in _EXPLAINED:
        shares = curve.baselines[POPULARITY] if by_popularity else curve.strictest
        lines.append(Line(label, thresholds, shares.mean, shares.low, shares.high, faint=True))
    axes = LineAxes(
        "A→B and B→C both above this T", "share of A→C that help", y_format=".0%", x_format=".2~f", rule=curve.base_rate
    )
    return Figure(name, "Do transfers chain?", f"{found.verdict} {_REST}", line_chart(lines, axes), _table(found))


_REST = "Shaded: 95% intervals over tasks, and 95% ranges of webs drawn at random. Horizontal line: any pair."


def _table(found: Transitivity) -> FigureTable:
    curve = found.curve()
    columns: tuple[NullModelShares, NullModelShares] = (curve.baselines[POPULARITY], curve.strictest)
    rows = tuple(
        (
            threshold,
            *(_known(value) for value in (share.value, share.low, share.high)),
            triples,
            *(_known(shares.mean[i]) for shares in columns),
            _known(curve.base_rate),
        )
        for i, (threshold, share, triples) in enumerate(zip(found.thresholds, curve.positive, curve.triples, strict=True))
    )
    return FigureTable(_COLUMNS, rows)


def _known(value: float) -> float | None:
    return value if value == value else None  # NaN: no share
