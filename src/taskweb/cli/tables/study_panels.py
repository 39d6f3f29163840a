"""How studies are drawn: which figures go into which panel, and what they show in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from taskweb.cli.tables.study_answers import best_number
from taskweb.report.charts.interval_panels import Panel, Series, interval_panels
from taskweb.report.figure import Figure
from taskweb.web.analysis.estimate import Estimate
from taskweb.web.transfer_web import ALL_SETUPS
from taskweb.workflows.studies import KSweep, PivotStudy, SanityStudy, SweepPoint
from taskweb.workflows.studies.pivots import PivotPoint

_NDCG, _REGRET = "NDCG (percent, higher is better)", "Regret@5 (percent, lower is better)"
_UNITS = (("hours", 1.0), ("minutes", 1 / 60), ("seconds", 1 / 3600))


def _intervals(resampled: str = "targets") -> str:
    return f"Bars: 95% intervals, bootstrap over {resampled}."


def sanity_figure(study: SanityStudy) -> Figure:
    """NDCG, Regret@5 and rank correlation of each selector."""
    rows = sorted(study.rows, key=lambda row: -row.ndcg.value)
    places = tuple(row.selector for row in rows)
    panels = [
        Panel(title, "", label, places, (_series("", figures),), joined=False)
        for title, label, figures in (
            ("Order of sources", _NDCG, [row.ndcg for row in rows]),
            ("Performance lost", _REGRET, [row.regret_at_5 for row in rows]),
            ("Rank correlation", "Spearman", [row.rank_correlation for row in rows]),
        )
    ]
    targets = f"{study.targets[0]} left out" if len(study.targets) == 1 else f"{len(study.targets)} targets, each left out"
    note = _intervals() if len(study.targets) > 1 else f"Means over {study.draws.draws} draws of examples."
    first, *others = rows
    found = f"{first.selector} orders sources best, with an NDCG of {first.ndcg.value:.1f}%"
    found += f"; the next is {others[0].selector} with {others[0].ndcg.value:.1f}%." if others else "."
    title = f"Sanity of selectors: {_where(study.web, study.setup)}, {targets}"
    return interval_panels("sanity", title, f"{found} {note}", panels)


def pivots_figure(study: PivotStudy) -> Figure:
    """NDCG and Regret@5 against the number of pivots, the most similar and random ones; both curves end at all pivots."""
    (everything,), (none,) = study.of("all"), study.of("none")
    counts = [point.n_pivots for point in study.of("similar")]
    places = ("none", *map(str, counts), "all")

    def panel(title: str, label: str, metric: str) -> Panel:
        def along(points: Sequence[PivotPoint]) -> list[Estimate]:
            return [getattr(point, metric) for point in (none, *points, everything)]

        similar, random = _series("most similar", along(study.of("similar"))), _series("random", along(study.of("random")))
        return Panel(title, "pivots", label, places, (similar, random))

    panels = [panel("Order of sources", _NDCG, "ndcg"), panel("Performance lost", _REGRET, "regret_at_5")]
    title = f"Pivots of TaskShop: {_where(study.web, study.setup)}, {study.n_targets} targets, each left out"
    found = f"With all pivots the NDCG is {everything.ndcg.value:.1f}%, without any {none.ndcg.value:.1f}%."
    note = f"{_intervals()} Random pivots: mean over {study.random_seeds} seeds."
    return interval_panels("pivots", title, f"{found} {note}", panels)


def ksweep_figure(study: KSweep) -> Figure:
    """The score, and its gain over the most sources, against their number; where known also hours, choices and harm."""
    most = study.points[-1].label
    gain = f"gain over {most} (points)"
    panels = [_sweep_panel("How many sources", "sources", "score (percent)", study.points, "score")]
    if len(study.points) > 1:
        panels.append(_sweep_panel(f"Difference to {most}", "sources", gain, study.points, "to_all"))
    if hours := [point.hours for point in study.points if math.isfinite(point.hours)]:
        longest = max(hours)
        unit, size = next((unit, size) for unit, size in _UNITS if longest >= size or size == _UNITS[-1][1])
        spans = [Estimate(point.hours / size) for point in study.points]
        panels.append(Panel("Time", "sources", unit, panels[0].places, (_series("", spans),)))
    if study.chosen_by:
        panels.append(_sweep_panel("Who chose the five", "chosen by", gain, study.chosen_by, "to_all", joined=False))
    if study.unhelpful:
        title = f"Unhelpful ones of five, {len(study.unhelpful[0].per_target)} targets"
        panels.append(_sweep_panel(title, "unhelpful sources", gain, study.unhelpful, "to_all"))
    note = f"{_intervals(study.resampled)} Differences are paired."
    found = best_number(study.points)
    return interval_panels("ksweep", f"Number of sources: {study.web}", f"{found[0].upper()}{found[1:]} {note}", panels)


def _sweep_panel(
    title: str, x_label: str, y_label: str, points: Sequence[SweepPoint], figure: str, *, joined: bool = True
) -> Panel:
    shown = [point for point in points if getattr(point, figure).known]
    return Panel(
        title,
        x_label,
        y_label,
        tuple(point.label for point in shown),
        (_series("", [getattr(point, figure) for point in shown]),),
        joined,
    )


def _series(label: str, figures: Sequence[Estimate]) -> Series:
    values, lows, highs = zip(*((one.value, one.low, one.high) for one in figures), strict=True)
    return Series(label, values, lows, highs)


def _where(web: str, setup: str) -> str:
    return f"web '{web}', {'mean over setups' if setup == ALL_SETUPS else setup}"
