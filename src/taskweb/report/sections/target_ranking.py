"""A target: its ranking with intervals, how likely harm is, why, what was measured, and what to measure next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskweb.report.charts.bar_chart import Bar, bar_chart
from taskweb.report.charts.dot_chart import Dot, dot_chart
from taskweb.report.figure import Cell, Figure, FigureTable, Form
from taskweb.report.section import Fact, Facts, Part, Section, TitledTable
from taskweb.report.words import counted, duration, listed, period, probability, shown_name, signed, signed_percent
from taskweb.selectors import RankedSource, Ranking
from taskweb.selectors.base import PivotEvidence

_DRAWN = 25  # sources; the table has all
_LIKELY = 0.5
_NAMED = 3
_SIDES = ("likely to help", "likely to harm")
_INTROS = {
    "measured": "Which sources helped this target: it is a task of the web, and its own transfers are measured.",
    "refine": "Which sources to train on for this target, after runs on the target itself.",
}


@dataclass(frozen=True, slots=True)
class MadeRun:
    """A run on the target. source: None for a baseline. gain: over the baseline of its seed, None where unknown.

    at: when it was measured, in UTC; None where unknown.
    """

    source: str | None
    seed: int | None
    status: str
    metrics: Mapping[str, float | None]
    gain: float | None
    seconds: float | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NextRun:
    """A run that would be worth making. source: None for a baseline. improvement: of the decision, in percent of the score."""

    source: str | None
    seed: int
    improvement: float | None


@dataclass(frozen=True, slots=True)
class TargetFindings:
    """What is known of a target. made: runs on it, in the order in which they were made. next_runs: best first.

    stopped: why no more runs are made, None where that is not known. origin: what distinguishes it from other findings on the
    same target, such as `refined in out`.
    """

    ranking: Ranking
    made: tuple[MadeRun, ...] = ()
    next_runs: tuple[NextRun, ...] = ()
    stopped: str | None = None
    origin: str = ""


def target_rankings(found: Sequence[TargetFindings]) -> list[Section]:
    """A section for each of these findings. Titles of one and the same target say where each ranking is from."""
    targets = [shown_name(one.ranking.target) for one in found]
    titles = [
        f"Target {name}, {shown_name(one.origin)}" if one.origin and targets.count(name) > 1 else f"Target {name}"
        for name, one in zip(targets, found, strict=True)
    ]
    numbered = [
        f"{title} ({titles[:place].count(title) + 1})" if titles.count(title) > 1 else title
        for place, title in enumerate(titles)
    ]
    return [target_ranking(one, place, title) for place, (one, title) in enumerate(zip(found, numbered, strict=True), start=1)]


def target_ranking(found: TargetFindings, number: int, title: str = "") -> Section:
    """The section. number: of the target in the report, for the names of its parts; from 1. title: else the target's name."""
    ranking, name = found.ranking, f"target-{number}"
    parts: list[Part] = [Facts(tuple(_facts(ranking, found.made)))] if ranking.sources else []
    parts += _figures(ranking, name)
    if ranking.sources:
        parts.append(_reasons(ranking, f"{name}-sources"))
    if found.made:
        parts.append(_made(found.made, f"{name}-runs"))
    if found.next_runs:
        parts.append(_coming(found, f"{name}-next"))
    setup = "the mean of all setups" if ranking.setup == "all" else ranking.setup
    intro = _INTROS.get(ranking.selector, f"Which sources to train on for this target, by {ranking.selector} in {setup}.")
    return Section(name, title or f"Target {shown_name(ranking.target)}", intro, tuple(parts), ranking.notes)


def _facts(ranking: Ranking, made: Sequence[MadeRun]) -> Iterator[Fact]:
    yield Fact("Best source", shown_name(ranking.sources[0].task), f"of {counted(len(ranking.sources), 'source')}")
    known = ranking.assessment
    if known is not None:
        suggestion = known.suggestion
        yield Fact("Sources to take", str(suggestion.k) if suggestion.k else "none", suggestion.reason)
        first = min(5, len(known.p_best))
        among = probability(known.best_among(first))
        yield Fact("The truly best one", among, f"probability that it is among the first {first}")
        if _all_alike(made):
            yield Fact("Clear evidence", "no", "all runs on the target scored the same")
        else:
            clear = "yes" if known.distinguishes else "no"
            yield Fact("Clear evidence", clear, "whether sources are distinguished by more than chance")
    if ranking.n_examples:
        yield Fact("Examples", f"{ranking.n_examples:,}", "of the target, that the ranking is based on")


def _figures(ranking: Ranking, name: str) -> Iterator[Figure]:
    gains = [source for source in ranking.sources if _gain(source) is not None]
    if gains:
        yield _gain_figure(ranking, gains, f"{name}-gains")
    elif ranking.sources:
        yield _score_figure(ranking, f"{name}-scores")
    harms = [source for source in ranking.sources if source.details.get("p_harm") is not None]
    if harms:
        yield _harm_figure(harms, f"{name}-harm")


def _gain_figure(ranking: Ranking, sources: Sequence[RankedSource], name: str) -> Figure:
    dots = []
    measured = any(source.details.get("measured_gain") is not None for source in sources)
    for source in sources[:_DRAWN]:
        low, high = (math.nan if end is None else end for end in _interval(source))
        dots.append(Dot(source.task, _gain(source) or 0.0, low, high, "expected" if measured else ""))
        if measured:
            dots.append(Dot(source.task, _detail(source, "measured_gain"), series="measured"))
    rows = tuple((source.task, _gain(source), *_interval(source), source.details.get("measured_gain")) for source in sources)
    columns = ("source", "gain", "low", "high", "measured")
    title = "Measured gain" if ranking.selector == "measured" else "Expected gain"
    spec = dot_chart(dots, "gain over training on the target alone", x_format="+.1~%", rule=0.0)
    table = _without_empty(columns, rows, dict.fromkeys(columns[1:], "gain"))
    return Figure(name, f"{title} of each source", _gain_sentence(sources), spec, table)


def _gain_sentence(sources: Sequence[RankedSource]) -> str:
    first = sources[0]
    (low, high), harm = _interval(first), first.details.get("p_harm")
    level = "80%" if "gain_low" in first.details else "95%"
    start = f"First comes {shown_name(first.task)}, with a gain of {signed_percent(_gain(first) or 0.0)}"
    if low is not None and high is not None:
        start += f" ({level} interval {signed_percent(low)} to {signed_percent(high)})"
    if harm is not None:
        said = probability(harm)
        start += f" and a probability of harm {'of ' if said[0].isdigit() else ''}{said}"
    above = sum((_gain(source) or 0.0) > 0 for source in sources)
    rest = f"; {above} of {counted(len(sources), 'source')} {'has' if above == 1 else 'have'} a gain above zero."
    return start + rest + _only_first(len(sources))


def _score_figure(ranking: Ranking, name: str) -> Figure:
    first = ranking.sources[0]
    sentence = (
        f"The highest score is {first.score:.3f}, of {shown_name(first.task)}. The score orders sources; how large gains are "
        f"is not known.{_only_first(len(ranking.sources))}"
    )
    spec = dot_chart([Dot(source.task, source.score) for source in ranking.sources[:_DRAWN]], "score")
    rows = tuple((source.task, source.score) for source in ranking.sources)
    return Figure(name, "Score of each source", sentence, spec, FigureTable(("source", "score"), rows))


def _harm_figure(sources: Sequence[RankedSource], name: str) -> Figure:
    risky = [source for source in sources if _detail(source, "p_harm") > _LIKELY]
    safest = min(sources, key=lambda source: _detail(source, "p_harm"))
    if risky:
        named = [shown_name(source.task) for source in sorted(risky, key=lambda one: -_detail(one, "p_harm"))[:_NAMED]]
        more = f" and {len(risky) - _NAMED} more" if len(risky) > _NAMED else ""
        which = f"{listed(named) if not more else ', '.join(named)}{more}"
        sentence = f"{counted(len(risky), 'source is', 'sources are')} more likely to harm than to help: {which}."
    else:
        sentence = "No source is more likely to harm than to help."
    sentence += f" The least likely to harm is {shown_name(safest.task)}, {probability(_detail(safest, 'p_harm'))}."
    harms = [(source.task, _detail(source, "p_harm")) for source in sources[:_DRAWN]]
    bars = [Bar(task, harm, _SIDES[harm > _LIKELY]) for task, harm in harms]
    spec = bar_chart(bars, "probability of harm", x_format=".0%", most=1, series=_SIDES)
    rows = tuple((source.task, source.details.get("p_harm")) for source in sources)
    table = FigureTable(("source", "probability of harm"), rows, {"probability of harm": "probability"})
    return Figure(name, "Probability of harm", sentence + _only_first(len(sources)), spec, table)


def _reasons(ranking: Ranking, name: str) -> TitledTable:
    columns = (
        "source", "rank", "score", "gain", "probability of harm", "the best one", "similarity", "popularity",
        "similar tasks it helped", "similar tasks it harmed",
    )  # fmt: skip
    rows = tuple(
        (
            source.task if source.measured else f"{source.task} (not measured)",
            source.rank,
            source.score,
            _gain(source),
            source.details.get("p_harm"),
            source.details.get("p_best"),
            source.similarity,
            source.popularity,
            _pivots(source.pivots, helped=True),
            _pivots(source.pivots, helped=False),
        )
        for source in ranking.sources
    )
    forms: dict[str, Form] = {"gain": "gain", "probability of harm": "probability", "the best one": "probability"}
    return TitledTable(name, "Why this order", _why(ranking), _without_empty(columns, rows, forms))


def _why(ranking: Ranking) -> str:
    first = ranking.sources[0]
    known = []
    if first.similarity is not None:
        rank = 1 + sum((one.similarity or 0.0) > first.similarity for one in ranking.sources)
        known.append(f"by similarity of its texts it is number {rank} ({first.similarity:.2f})")
    if first.popularity is not None:
        rank = 1 + sum((one.popularity or -1.0) > first.popularity for one in ranking.sources)
        known.append(f"by popularity number {rank} (mean T {signed(first.popularity, 3)})")
    if helped := [pivot for pivot in first.pivots if pivot.transfer > 0]:
        known.append(f"and it helped the similar {listed([_pivot(pivot) for pivot in helped[:_NAMED]])}")
    if not known:
        return f"{ranking.meaning[:1].upper()}{ranking.meaning[1:]}."
    return f"First is {shown_name(first.task)}: {', '.join(known)}."


def _made(made: Sequence[MadeRun], name: str) -> TitledTable:
    metrics = list(dict.fromkeys(metric for run in made for metric in run.metrics))
    columns = ("source", "run", "seed", "status", *metrics, "gain", "seconds", "measured (UTC)")
    rows = tuple(
        (
            run.source or "none (baseline)",
            place,
            run.seed,
            run.status,
            *(run.metrics.get(metric) for metric in metrics),
            run.gain,
            run.seconds,
            None if run.at is None else f"{run.at:%Y-%m-%d %H:%M}",
        )
        for place, run in enumerate(made, start=1)
    )
    seconds = sum(run.seconds or 0.0 for run in made)
    sentence = f"{counted(len(made), 'run')} on the target{f' in {duration(seconds)}' if seconds else ''}, in this order"
    times = [run.at for run in made if run.at is not None]
    if len(times) == len(made):
        sentence += f", measured {period(times)}"
    best = max((run for run in made if run.gain is not None), key=lambda run: run.gain or 0.0, default=None)
    if _all_alike(made):
        sentence += "; all scored the same, so nothing distinguishes sources"
    elif best is not None and (best.gain or 0.0) <= 0:
        sentence += "; no source raised the score"
    elif best is not None:
        sentence += (
            f"; the largest gain was {signed_percent(best.gain or 0.0)}, after training on {shown_name(best.source or '')}"
        )
    if failed := sum(run.status != "finished" for run in made):
        sentence += f"; {failed} did not finish"
    return TitledTable(name, "What was measured", f"{sentence}.", _without_empty(columns, rows, {"gain": "gain"}))


def _all_alike(made: Sequence[MadeRun]) -> bool:
    """Whether several runs, with and without sources, have one and the same score."""
    scored = [run for run in made if run.metrics]
    return len({run.source for run in scored}) > 1 and all(run.metrics == scored[0].metrics for run in scored)


def _coming(found: TargetFindings, name: str) -> TitledTable:
    first = next((run for run in found.next_runs if run.source is not None), None)
    baseline = any(run.source is None and (first is None or run.seed == first.seed) for run in found.next_runs)
    sentence = f"It stopped because {found.stopped}. " if found.stopped else ""
    if first is None:
        sentence += "The baseline of a new seed comes next."
    else:
        sentence += f"The next run to make is {shown_name(first.source or '')} with seed {first.seed}"
        sentence += ", and the baseline that its gain is measured from" if baseline else ""
        if first.improvement is not None:
            sentence += f", expected to improve the decision by {first.improvement:.2g}% of the score"
        sentence += "."
    columns = ("source", "seed", "expected improvement, % of the score")
    rows = tuple((run.source or "none (baseline)", run.seed, run.improvement) for run in found.next_runs)
    return TitledTable(name, "What to measure next", sentence, FigureTable(columns, rows))


def _gain(source: RankedSource) -> float | None:
    gain = source.details.get("gain")
    return source.details.get("pc") if gain is None else gain


def _interval(source: RankedSource) -> tuple[float | None, float | None]:
    """Of a prediction (80%), or of measured transfers (95%)."""
    names = ("gain_low", "gain_high") if "gain_low" in source.details else ("pc_low", "pc_high")
    low, high = (source.details.get(name) for name in names)
    return low, high


def _detail(source: RankedSource, name: str) -> float:
    value = source.details.get(name)
    return float("nan") if value is None else value


def _pivots(pivots: Sequence[PivotEvidence], *, helped: bool) -> str:
    return ", ".join(_pivot(pivot) for pivot in pivots if (pivot.transfer > 0) == helped)


def _pivot(pivot: PivotEvidence) -> str:
    return f"{shown_name(pivot.task)} (T {signed(pivot.transfer)})"


def _only_first(count: int) -> str:
    return f" The first {_DRAWN} are drawn; the table has all." if count > _DRAWN else ""


def _without_empty(columns: Sequence[str], rows: Sequence[tuple[Cell, ...]], forms: Mapping[str, Form]) -> FigureTable:
    """The table without columns that have no entry."""
    kept = [i for i in range(len(columns)) if any(row[i] not in (None, "") for row in rows)]
    return FigureTable(tuple(columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows), forms)
