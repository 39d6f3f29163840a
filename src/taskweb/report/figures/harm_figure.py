"""How well harm is predicted, as figures: ROC curves of selectors, and how often predictions came true."""

from __future__ import annotations

from collections.abc import Sequence

from taskweb.report.charts.line_chart import Line, LineAxes, line_chart
from taskweb.report.figure import Figure, FigureTable
from taskweb.selectors.harm_results import FALSE_ALARMS, Calibration, HarmDetection

_AT = 5  # where the sentence reads the curve: a quarter of the harmless sources flagged


def harm_figure(found: Sequence[HarmDetection], name: str = "harm") -> Figure:
    """ROC curves, best first. found: at least one selector."""
    best = found[0]
    lines = [Line(row.selector, FALSE_ALARMS, row.found) for row in found]
    axes = LineAxes(
        "share of harmless sources flagged",
        "share of harmful sources flagged",
        x_format=".0%",
        y_format=".0%",
        zero=True,
        diagonal=True,
        points=False,
    )
    sentence = (
        f"The selector {best.selector} finds {best.found[_AT]:.0%} of the harmful sources when it flags "
        f"{FALSE_ALARMS[_AT]:.0%} of the harmless ones{_compared(found)}; on the dotted line, flags are by chance."
    )
    columns = ("selector", "AUC", "low", "high", *(f"found at {share:.0%}" for share in FALSE_ALARMS))
    rows = tuple((row.selector, *map(_known, (row.auc.value, row.auc.low, row.auc.high, *row.found))) for row in found)
    spec = {**line_chart(lines, axes), "height": 320, "usermeta": {"mostWidth": 520}}
    title = "Are harmful sources recognised?"
    return Figure(name, title, sentence, spec, FigureTable(columns, rows, dict.fromkeys(columns[4:], "share")))


def calibration_figure(found: Sequence[Calibration], name: str = "calibration") -> Figure:
    """Observed over predicted probability of harm. found: at least one selector."""
    lines = [
        Line(one.selector, tuple(part.predicted for part in one.bins), tuple(part.observed for part in one.bins))
        for one in found
    ]
    axes = LineAxes(
        "predicted probability of harm", "share that was harmful", x_format=".0%", y_format=".0%", zero=True, diagonal=True
    )
    first = found[0]
    pairs = sum(part.pairs for part in first.bins)
    off = sum(abs(part.predicted - part.observed) * part.pairs for part in first.bins) / pairs
    sentence = (
        f"Probabilities of harm by {first.selector} are off by {100 * off:.0f} points on average, and its 80% intervals "
        f"contain {first.coverage:.0%} of the gains; on the dotted line, what is predicted happens."
    )
    columns = ("selector", "predicted", "observed", "pairs")
    rows = tuple((one.selector, part.predicted, part.observed, part.pairs) for one in found for part in one.bins)
    spec = {**line_chart(lines, axes), "height": 320, "usermeta": {"mostWidth": 520}}
    table = FigureTable(columns, rows, {"predicted": "part", "observed": "part"})
    return Figure(name, "Do predictions come true?", sentence, spec, table)


def _compared(found: Sequence[HarmDetection]) -> str:
    best, others = found[0], [row for row in found[1:] if row.auc.known]
    if not best.auc.known:
        return ""
    said = f" (AUC {best.auc.value:.2f}, 95% interval {best.auc.low:.2f} to {best.auc.high:.2f}"
    return f"{said}; {others[0].selector} {others[0].auc.value:.2f})" if others else f"{said})"


def _known(value: float) -> float | None:
    return None if value != value else value  # NaN: unknown
