"""Models that were trained here: the mixture as requested and realised, losses, and the curve of each source task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taskweb.report.charts.bar_chart import Bar, bar_chart
from taskweb.report.charts.dot_chart import Dot, dot_chart
from taskweb.report.charts.line_chart import Line, LineAxes, line_chart
from taskweb.report.figure import Figure, FigureTable, Form
from taskweb.report.section import Part, Section, TitledTable
from taskweb.report.words import counted, duration, listed, percent, shown_name

_MOST_TASKS = 30  # drawn; tables have all
_MOST_LINES = 7  # as many colours as can be distinguished
_SHARES: dict[str, Form] = {"requested": "part", "realised": "part"}
_UNEQUAL = 0.005  # a difference of shares that is no rounding


@dataclass(frozen=True, slots=True)
class MixedTask:
    """A task of a mixture. requested, realised: its share of the training examples; train, held_out: examples."""

    task: str
    metric: str
    requested: float
    realised: float
    train: int
    held_out: int


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A metric of a source task (task '' for the whole mixture) on held-out examples, after an update."""

    step: int
    task: str
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class ModelFindings:
    """A trained model. shares: empty where the folder does not say them. losses: updates and their training loss."""

    name: str
    base: str
    method: str
    seed: int
    updates: int
    seconds: float
    tokens: int
    shares: tuple[MixedTask, ...]
    losses: tuple[tuple[int, float], ...]
    points: tuple[CurvePoint, ...]


def trained_models(models: Sequence[ModelFindings]) -> Section:
    """The section."""
    parts: list[Part] = [_models(models)]
    parts += _losses(models)
    for number, model in enumerate(models, start=1):
        parts += _mixture(model, f"mixture-{number}")
        parts += _curves(model, f"curves-{number}")
    intro = "What was trained, on which mixture, and how well the source tasks were learnt."
    unknown = [shown_name(model.name) for model in models if not model.shares]
    notes = (f"Not known, as an earlier version trained it: the mixture of {listed(unknown)}.",) if unknown else ()
    return Section("models", "Trained models", intro, tuple(parts), notes)


def _models(models: Sequence[ModelFindings]) -> TitledTable:
    rows = tuple(
        (
            model.name,
            model.base,
            model.method,
            model.seed,
            model.updates,
            model.tokens,
            model.seconds,
            _last(model, "", "score"),
        )
        for model in models
    )
    columns = ("model", "base", "method", "seed", "updates", "tokens", "seconds", "score on held-out examples")
    time = sum(model.seconds for model in models)
    sentence = f"{counted(len(models), 'model')}, trained in {duration(time)} together."
    scored = [(score, model.name) for model in models if (score := _last(model, "", "score")) is not None]
    if len(scored) > 1:
        (best, name), (worst, _) = max(scored), min(scored)
        sentence += f" On held-out examples of its sources, {shown_name(name)} scores highest, {percent(best)}"
        sentence += f"; the lowest is {percent(worst)}." if best > worst else ", as do the others."
    return TitledTable("trained", "Models", sentence, FigureTable(columns, rows))


def _losses(models: Sequence[ModelFindings]) -> Iterator[Figure]:
    known = [model for model in models if len(model.losses) > 1]
    if not known:
        return
    lines = [
        Line(model.name, tuple(float(step) for step, _ in model.losses), tuple(loss for _, loss in model.losses))
        for model in known[:_MOST_LINES]
    ]
    first = known[0]
    sentence = (
        f"The loss of {shown_name(first.name)} goes from {first.losses[0][1]:.2f} at update {first.losses[0][0]} to "
        f"{first.losses[-1][1]:.2f} at update {first.losses[-1][0]}."
    )
    rows = tuple((model.name, step, loss) for model in known for step, loss in model.losses)
    axes = LineAxes("update", "training loss", points=all(len(line.xs) < 40 for line in lines))
    yield Figure("losses", "Training loss", sentence, line_chart(lines, axes), FigureTable(("model", "update", "loss"), rows))


def _mixture(model: ModelFindings, name: str) -> Iterator[Figure]:
    shares = sorted(model.shares, key=lambda one: (-one.requested, one.task))
    if not shares:
        return
    bars = [
        Bar(share.task, value, series)
        for share in shares[:_MOST_TASKS]
        for series, value in (("requested", share.requested), ("realised", share.realised))
    ]
    largest = shares[0]
    examples = sum(share.train for share in shares)
    sentence = (
        f"The model {shown_name(model.name)} was trained on {counted(examples, 'example')} of {counted(len(shares), 'task')}; "
        f"the largest share was requested for {shown_name(largest.task)}, {percent(largest.requested)}"
    )
    off = max(shares, key=lambda one: abs(one.realised - one.requested))
    if abs(off.realised - off.requested) > _UNEQUAL:
        sentence += (
            f"; the share that differs most is that of {shown_name(off.task)}, requested {_share(off.requested)} and realised "
            f"{_share(off.realised)}."
        )
    else:
        sentence += "; all shares are as requested."
    rows = tuple((one.task, one.requested, one.realised, one.train, one.held_out) for one in shares)
    table = FigureTable(("task", "requested", "realised", "training examples", "held out"), rows, _SHARES)
    spec = bar_chart(bars, "share of the training examples", x_format=".0%", series=("requested", "realised"))
    yield Figure(name, f"Mixture of {shown_name(model.name)}", sentence, spec, table)


def _curves(model: ModelFindings, name: str) -> Iterator[Figure]:
    chosen = _metrics(model)
    if not chosen:
        return
    courses = {
        (task, metric): [(p.step, p.value) for p in model.points if (p.task, p.metric) == (task, metric)]
        for task, metric in chosen
    }
    rows = tuple((task, metric, step, value) for (task, metric), course in courses.items() for step, value in course)
    table = FigureTable(("task", "metric", "update", "value"), rows)
    title = f"Source tasks of {shown_name(model.name)}, on held-out examples"
    last = {key: course[-1] for key, course in courses.items()}
    (best, _), (_, high) = max(last.items(), key=lambda one: one[1][1])
    (worst, _), (_, low) = min(last.items(), key=lambda one: one[1][1])
    sentence = (
        f"After {counted(max(step for step, _ in last.values()), 'update')}, {shown_name(best)} scores highest, {percent(high)}"
    )
    sentence += f", and {shown_name(worst)} lowest, {percent(low)}." if worst != best else "."
    if all(len(course) == 1 for course in courses.values()):
        ordered = sorted(last.items(), key=lambda one: -one[1][1])[:_MOST_TASKS]
        spec = dot_chart([Dot(f"{task}, {metric}", value) for (task, metric), (_, value) in ordered], "score", x_format=".0%")
    else:
        drawn = list(courses.items())[:_MOST_LINES]
        lines = [
            Line(task, tuple(float(step) for step, _ in course), tuple(value for _, value in course))
            for (task, _), course in drawn
        ]
        spec = line_chart(lines, LineAxes("update", "score", y_format=".0%"))
        if len(courses) > len(drawn):
            sentence += f" The {len(drawn)} largest of {len(courses)} tasks are drawn; the table has all."
    yield Figure(name, title, sentence, spec, table)


def _metrics(model: ModelFindings) -> list[tuple[str, str]]:
    """One metric of each task that was evaluated, those with the largest share first."""
    metric_of = {share.task: share.metric for share in model.shares}
    shares = {share.task: share.requested for share in model.shares}
    found: dict[str, str] = {}
    for point in model.points:
        if point.task and point.metric != "loss" and metric_of.get(point.task, point.metric) == point.metric:
            found.setdefault(point.task, point.metric)
    return sorted(found.items(), key=lambda one: -shares.get(one[0], 0.0))


def _last(model: ModelFindings, task: str, metric: str) -> float | None:
    return next((p.value for p in reversed(model.points) if (p.task, p.metric) == (task, metric)), None)


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"
