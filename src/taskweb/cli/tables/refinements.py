"""How measuring on a target looks: before it starts, after every run, and at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from rich.console import RenderableType

from taskweb.cli.tables.formatting import answer, counted, duration, explained, heading
from taskweb.cli.tables.suggestions import beliefs, best_now, meanings, next_runs
from taskweb.cli.tables.text import Text
from taskweb.web.records.run import Run
from taskweb.workflows.refining.measuring import Measuring
from taskweb.workflows.refining.refining import Refinement
from taskweb.workflows.refining.report import LEVEL, MOST_TRAININGS, Report, ReportedScore

_MOST_SHOWN = 8


def dry_run_tables(found: Measuring, trainings: Mapping[str, int | None], width: int) -> Iterator[RenderableType]:
    """What the runs would come to, and the ranking before a further run."""
    yield _title(found, width)
    yield from answer("Run next", _next(found), width)
    yield from answer("Trainings", _trainings(found, trainings).split(), width)
    yield from answer("Time", _time(found).split(), width)
    yield Text()
    yield from _beliefs(found, width, most=None)
    yield from meanings(found.settings.k, width)


def run_tables(found: Measuring, width: int) -> Iterator[RenderableType]:
    """The run that was just made, what is believed now, and what is next."""
    for place, run in enumerate(found.latest):
        line = Text(run_line(found, run, len(found.made) - len(found.latest) + 1 + place), style="bold")
        yield Text.assemble("" if place else "\n", line)
    if found.stopped is not None:
        report = f"; the report follows, with up to {MOST_TRAININGS} trainings" if found.seeds else ""
        yield from explained("stopped", f"{found.stopped}{report}", width)
        return
    if len(found.made) == len(found.latest):
        yield _title(found, width)
    yield from _beliefs(found, width, most=_MOST_SHOWN)
    if (same := found.no_difference) is not None:
        yield from explained("note", same, width)
    yield from answer("Run next", _next(found), width)
    if left := found.seconds_left:
        yield from explained("time left", f"about {duration(left)}", width)


def run_line(found: Measuring, run: Run, place: int) -> str:
    """A run that was made, in one line. place: which one it was, from 1."""
    of = found.settings.budget
    name = "the baseline" if run.source is None else run.source
    number = f"run {place}" + ("" if of.runs is None else f" of {of.runs}")
    seconds = duration(sum(run.durations.values()))
    if not math.isfinite(score := found.score(run)):
        return f"{number}: {name} with seed {run.seed} {run.status}: {run.reason or 'no score'} ({seconds})"
    gain = found.gain(run)
    change = "" if gain is None else f", gain {100 * gain:+.1f}%"
    return f"{number}: {name} with seed {run.seed} scored {100 * score:.1f}{change} ({seconds})"


def refinement_tables(found: Refinement, width: int) -> Iterator[RenderableType]:
    """What to train on with its scores on the report rows, why measuring stopped, and what is believed of each source."""
    measuring = found.measuring
    yield _title(measuring, width)
    yield from best_now(measuring.suggester.to_dict()["sources"], measuring.settings.k, width)
    for i, line in enumerate(_report(found.report, zero_shot=measuring.runs.setup.trains_only_sources)):
        yield from answer("Report" if i == 0 else "", line.split(), width)
    yield from answer("Stopped", (measuring.stopped or "").split(), width)
    yield Text()
    yield from _beliefs(measuring, width, most=None)
    yield from meanings(measuring.settings.k, width)
    yield from explained("saved", f"{found.folder}: the ranking and the runs", width)


def _title(found: Measuring, width: int) -> Text:
    facts = f"{counted(len(found.made), 'run')} so far" if found.made else "before any run"
    return heading(found.suggester.target, facts, width, "Sources for ")


def _beliefs(found: Measuring, width: int, most: int | None) -> Iterator[RenderableType]:
    sources = found.suggester.to_dict()["sources"]
    shown = [source for source in sources if most is None or source["rank"] <= most or source["runs"]]
    yield beliefs(shown, found.settings.k).fitted(width)
    if hidden := len(sources) - len(shown):
        yield Text(f"   and {hidden} more", style="dim")
    yield Text()


def _next(found: Measuring) -> list[str | Text]:
    return ["nothing:", *found.stopped.split()] if found.stopped is not None else next_runs(found.batch())


def _trainings(found: Measuring, trainings: Mapping[str, int | None]) -> str:
    if trainings["target"] is None:
        return f"as many as fit into {found.settings.budget}, then at most {trainings['report']} for the report"
    return (
        f"{trainings['target']} on the target and at most {trainings['sources']} on sources are left of "
        f"{found.settings.budget}, then at most {trainings['report']} for the report"
    )


def _time(found: Measuring) -> str:
    left, each = found.seconds_left, found.costs.mean_of_run()
    if found.settings.budget.runs is None:
        return f"at most {duration(left or 0.0)}, the last run and the report on top"
    if left is None or each is None:
        return "not known before the first run: it depends on model, examples and machine. It is shown after every run"
    return f"about {left / 3600:.2g} h ({duration(each)} a run so far), the report on top"


def _report(report: Report | None, *, zero_shot: bool) -> Iterator[str]:
    if report is None:
        yield "none: nothing was measured"
        return
    names = " and ".join(report.metrics)
    alone = "the model as it is" if zero_shot else "the target alone"
    if report.chosen.source is None:
        yield f"no source is expected to help; {alone}: {_scored(report.alone)}, {names} on {report.rows:,} rows"
        return
    after = "" if zero_shot else ", then the target"
    yield f"trained on {report.chosen.source}{after}: {_scored(report.chosen)}, {names} on {report.rows:,} rows"
    yield f"{alone}: {_scored(report.alone)}. Nothing was decided by these rows"


def _scored(score: ReportedScore) -> str:
    if not math.isfinite(score.score):
        return f"no score ({score.reason})"
    if not math.isfinite(score.low):
        return f"{100 * score.score:.1f}"
    return f"{100 * score.score:.1f} ({100 * LEVEL:.0f}% interval {100 * score.low:.1f} to {100 * score.high:.1f})"
