"""How well selectors rank the sources of this web: order, performance lost, harm, calibration, and what measuring adds."""

from __future__ import annotations

from collections.abc import Sequence

from taskweb.report.figure import Figure
from taskweb.report.figures.harm_figure import calibration_figure, harm_figure
from taskweb.report.figures.measuring_figure import measuring_figure
from taskweb.report.figures.selector_figure import selector_figure
from taskweb.report.figures.targets_figure import targets_figure
from taskweb.report.section import Section
from taskweb.selectors.benchmark_results import BenchmarkResults


def selector_benchmark(results: BenchmarkResults, notes: Sequence[str] = ()) -> Section:
    """The section. results: with selectors or replays; those of the mean over setups are shown, or of the only setup."""
    shown = results.in_setup()
    figures: list[Figure] = []
    if shown.selectors:
        figures += [selector_figure(shown), targets_figure(shown)]
    detection = [] if shown.harm is None else [row for row in shown.harm.detection if row.selector != "random"]
    if detection:
        figures.append(harm_figure(detection))
    if shown.harm is not None and shown.harm.calibration:
        figures.append(calibration_figure(shown.harm.calibration))
    if shown.measured:
        figures.append(measuring_figure(shown))
    intro = "Every target is left out in turn: selectors rank its sources without knowing its transfers, which then judge them."
    return Section("selectors", "Selectors", intro, tuple(figures), tuple(notes))
