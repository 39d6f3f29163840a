"""What measuring a few runs of a target adds, as a figure: NDCG and Regret@5 by the number of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from taskweb.report.charts.line_chart import Line, LineAxes, line_chart
from taskweb.report.figure import Figure, FigureTable
from taskweb.selectors.benchmark_results import BenchmarkResults, MeasuredResult
from taskweb.web.analysis.estimate import Estimate

_NAMES = {"kg": "knowledge gradient", "ucb": "upper confidence bound", "uniform": "every source in turn", "random": "at random"}
_COLUMNS = ("runs chosen by", "measured runs", "NDCG", "low", "high", "Regret@5", "low", "high")
Quantity = Callable[[MeasuredResult], Estimate]


def measuring_figure(results: BenchmarkResults, name: str = "measuring") -> Figure:
    """The policies of one setup over the number of measured runs. results: with replays of at least one policy."""
    rows = sorted(results.measured, key=lambda row: row.measured)
    policies = list(dict.fromkeys(row.policy for row in results.measured))
    marks = tuple(float(mark) for mark in sorted({row.measured for row in rows}))

    def panel(title: str, label: str, quantity: Quantity) -> dict[str, object]:
        axes = LineAxes("measured runs of the target", label, x_values=marks)
        return {**line_chart([_line(rows, policy, quantity) for policy in policies], axes), "title": title}

    panels = [
        panel("Order of sources", "NDCG (percent, higher is better)", lambda row: row.ndcg),
        panel("Performance lost", "Regret@5 (percent, lower is better)", lambda row: row.regret_at_5),
    ]
    spec = {"concat": panels, "columns": 2, "spacing": 24}
    title = f"What measuring adds on {results.web or 'a web'}: {rows[0].n_targets} targets, each left out"
    sentence = f"{_found(rows, policies[0])} Shaded: 95% intervals, bootstrap over targets."
    return Figure(name, title, sentence, spec, _table(rows))


def _line(rows: Sequence[MeasuredResult], policy: str, quantity: Quantity) -> Line:
    own = [row for row in rows if row.policy == policy]
    figures = [quantity(row) for row in own]
    values, lows, highs = (tuple(getattr(figure, part) for figure in figures) for part in ("value", "low", "high"))
    return Line(_NAMES.get(policy, policy), tuple(float(row.measured) for row in own), values, lows, highs)


def _found(rows: Sequence[MeasuredResult], policy: str) -> str:
    known = [row for row in rows if row.policy == policy and row.ndcg.known]
    if len(known) < 2:
        return "There are too few numbers of runs to compare."
    first, last = known[0], known[-1]
    change = last.ndcg.value - first.ndcg.value
    how = "raises" if change > 0 else "lowers"
    return (
        f"Measuring {last.measured} runs of the target {how} the NDCG from {first.ndcg.value:.1f}% with {first.measured} runs "
        f"to {last.ndcg.value:.1f}%, and changes Regret@5 from {first.regret_at_5.value:.1f}% to {last.regret_at_5.value:.1f}%."
    )


def _table(rows: Sequence[MeasuredResult]) -> FigureTable:
    def plain(figure: Estimate) -> tuple[float | None, ...]:
        return tuple(end if end == end else None for end in (figure.value, figure.low, figure.high))

    return FigureTable(_COLUMNS, tuple((row.policy, row.measured, *plain(row.ndcg), *plain(row.regret_at_5)) for row in rows))
