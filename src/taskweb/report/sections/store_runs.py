"""The runs of a store: how long they took, what failed, and how many were made in an hour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from taskweb.report.charts.dot_chart import Dot, dot_chart
from taskweb.report.charts.line_chart import Line, LineAxes, line_chart
from taskweb.report.figure import Figure, FigureTable
from taskweb.report.section import Fact, Facts, Part, Section, TitledTable
from taskweb.report.words import counted, duration, percent, shown_name
from taskweb.web.run_statistics import RunStatistics, SetupRuns

_DRAWN = 30  # setups
_FEWEST_TO_CHART, _PARTS = 20, 40  # runs, and parts of their order
_OFTEN = 1.5  # times as long, to be said


def store_runs(found: RunStatistics, store: str) -> Section:
    """The section. found: of at least one run. store: its name."""
    parts: list[Part] = [Facts(tuple(_facts(found)))]
    timed = [setup for setup in found.setups if setup.seconds]
    if timed:
        parts.append(_durations(timed))
    if len(found.seconds) >= _FEWEST_TO_CHART:
        parts.append(_course(found))
    if found.failures:
        parts.append(_failures(found))
    intro = f"How all runs of the store {shown_name(store)} went, whichever plan they are of."
    notes = () if timed else ("How long runs took is not known: the store does not say it.",)
    return Section("runs", "Runs", intro, tuple(parts), notes)


def _facts(found: RunStatistics) -> Iterator[Fact]:
    finished, failed, diverged = (found.total(status) for status in ("finished", "failed", "diverged"))
    every = finished + failed + diverged
    yield Fact("Finished", f"{finished:,}", f"of {counted(every, 'run')}")
    yield Fact("Failed", f"{failed:,}", f"{percent(failed / every)} of all" if failed else "none ended with an error")
    if diverged:
        yield Fact("Diverged", f"{diverged:,}", "their loss became infinite or not a number")
    if found.seconds:
        yield Fact("A run takes", duration(float(np.median(found.seconds))), "median, from its first to its last second")
        yield Fact("Time of all", duration(sum(found.seconds)), "one after the other")
        yield Fact("Throughput", f"{_per_hour(found.seconds):,.3g}", "runs per hour, one after the other")


def _per_hour(seconds: tuple[float, ...]) -> float:
    return 3600 * len(seconds) / sum(seconds)


def _durations(setups: list[SetupRuns]) -> Figure:
    spread = []
    for one in setups:
        middle, low, high = map(float, np.quantile(one.seconds, (0.5, 0.1, 0.9)))
        spread.append((one, middle, low, high))
    spread.sort(key=lambda entry: -entry[1])
    slowest, quickest = spread[0], spread[-1]
    sentence = f"Half of the runs of {shown_name(slowest[0].setup)} take {duration(slowest[1])} or more"
    if quickest is not slowest:
        sentence += f", those of {shown_name(quickest[0].setup)} {duration(quickest[1])} or more"
    sentence += ". Lines: from the quickest tenth of the runs to the slowest."
    rows = tuple((one.setup, len(one.seconds), middle, low, high, _per_hour(one.seconds)) for one, middle, low, high in spread)
    columns = ("setup", "runs", "median seconds", "quickest tenth", "slowest tenth", "runs per hour")
    unit, size = _unit(slowest[3])
    dots = [Dot(one.setup, middle / size, low / size, high / size) for one, middle, low, high in spread[:_DRAWN]]
    if len(spread) > _DRAWN:
        sentence += f" The slowest {_DRAWN} setups are drawn; the table has all."
    return Figure("durations", "Duration of a run", sentence, dot_chart(dots, f"{unit} per run"), FigureTable(columns, rows))


def _course(found: RunStatistics) -> Figure:
    """The duration of runs over their order: whether a machine became slower, or runs longer."""
    seconds = np.array(found.seconds)
    parts = np.array_split(seconds, min(_PARTS, len(seconds) // 5))
    ends = np.cumsum([len(part) for part in parts])
    medians, lows, highs = (tuple(float(np.quantile(part, share)) for part in parts) for share in (0.5, 0.1, 0.9))
    unit, size = _unit(max(highs))
    first, last = medians[0], medians[-1]
    sentence = f"The last runs take {duration(last)} each and the first ones {duration(first)} (medians)"
    if last > _OFTEN * first:
        sentence += f": they became {last / first:.1f} times as long."
    elif first > _OFTEN * last:
        sentence += f": they became shorter, to {percent(last / first)}."
    else:
        sentence += ", about as long."
    scaled = [tuple(value / size for value in values) for values in (medians, lows, highs)]
    axes = LineAxes("runs in the order of the store", f"{unit} per run", x_format=",.0f", zero=True, points=False)
    spec = line_chart([Line("median", tuple(map(float, ends)), scaled[0], scaled[1], scaled[2])], axes)
    rows = tuple((int(end), middle, low, high) for end, middle, low, high in zip(ends, medians, lows, highs, strict=True))
    table = FigureTable(("up to run", "median seconds", "quickest tenth", "slowest tenth"), rows)
    return Figure("course", "Duration in the order of the runs", sentence, spec, table)


def _failures(found: RunStatistics) -> TitledTable:
    most = found.failures[0]
    total = sum(one.runs for one in found.failures)
    sentence = f"{counted(total, 'run')} did not finish"
    if len(found.failures) > 1:
        sentence += f", for {len(found.failures)} reasons; the most frequent one, of {counted(most.runs, 'run')}, is"
    else:
        sentence += ", all for one reason"
    sentence += f": {shown_name(most.reason)}."
    columns = ("reason", "runs", "for example: setup", "source", "target")
    rows = tuple((one.reason, one.runs, one.setup, one.source or "none (baseline)", one.target) for one in found.failures)
    return TitledTable("failures", "What failed", sentence, FigureTable(columns, rows))


def _unit(seconds: float) -> tuple[str, float]:
    """The unit for durations up to this one."""
    return next(
        ((name, size) for name, size in (("hours", 3600.0), ("minutes", 60.0)) if seconds >= 2 * size), ("seconds", 1.0)
    )
