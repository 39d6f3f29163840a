"""How studies look on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from taskweb.cli.tables.formatting import duration, explained, heading, interval_of, number, signed, with_interval
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.study_answers import ksweep_answer, pivots_answer, sanity_answer
from taskweb.cli.tables.text import Text
from taskweb.web.analysis.estimate import Estimate
from taskweb.web.transfer_web import ALL_SETUPS
from taskweb.workflows.studies import KSweep, PivotStudy, SanityStudy, SweepPoint
from taskweb.workflows.studies.pivots import PivotPoint

_ROUNDING = 1e-9
_CHOICES = {"none": "none (roe)", "similar": "most similar", "random": "random", "all": "all"}


def sanity_tables(study: SanityStudy, width: int) -> Iterator[RenderableType]:
    """The figures of each selector; for a single target also its rankings beside the measured order."""
    single = len(study.targets) == 1
    what = f"{study.targets[0]} left out" if single else f"{len(study.targets)} targets, each left out in turn"
    yield _title("Do selectors rank sources well", study.web, study.setup, what, width)
    yield from sanity_answer(study, width)
    yield Text()
    metrics = ((">NDCG", "ndcg", ".1f"), (">Regret@5", "regret_at_5", ".2f"), (">rank correlation", "rank_correlation", "+.2f"))
    titles = [title for name, _, _ in metrics for title in ((name,) if single else (name, "??>95%"))]
    grid = Grid("~selector", *titles, "???>NDCG ± draws")
    best = max(row.ndcg.value for row in study.rows)
    for row in sorted(study.rows, key=lambda row: -row.ndcg.value):
        cells: list[str | Text] = [Text(row.selector, style="bold" if row.ndcg.value == best else "")]
        for _, name, form in metrics:
            figure: Estimate = getattr(row, name)
            cells += [_figure(figure, form)] if single else [_figure(figure, form), interval_of(figure, form)]
        spread = f"{row.ndcg_draw_sd:.1f}" if row.ndcg_draw_sd > _ROUNDING else ""
        grid.add_row(*cells, Text(spread, style="dim"))
    yield grid.fitted(width)
    if single:
        yield Text()
        yield _rankings(study).fitted(width)
    yield Text()
    yield from explained("NDCG", "agreement with the true order, 100 = perfect", width)
    yield from explained("Regret@5", "raw performance lost by taking the five predicted best, in percent, 0 = none", width)
    if single:
        yield from explained("places", "1 = best; means over draws of examples and setups, so not always whole numbers", width)
    yield from explained("random", "the exact mean over all orders", width)


def _rankings(study: SanityStudy) -> Grid:
    (sources,) = study.rankings.values()
    names = [row.selector for row in study.rows if row.selector != "random"]
    grid = Grid("~source", ">T", ">measured place", *(f">{name}" for name in names))
    for source in sources:
        places = (f"{source.predicted[name]:.1f}" for name in names)
        grid.add_row(
            Text(source.task, style="bold" if source.measured <= 5 else ""), signed(source.t), f"{source.measured:.1f}", *places
        )
    return grid


def pivots_tables(study: PivotStudy, width: int) -> Iterator[RenderableType]:
    """A row per choice of pivots."""
    what = f"{study.n_targets} targets, each left out in turn"
    yield _title("Which pivots does TaskShop need", study.web, study.setup, what, width)
    yield from pivots_answer(study, width)
    yield Text()
    titles = (
        ">NDCG",
        "??>95%",
        "???>± seeds",
        ">vs all pivots",
        "?>vs random",
        ">Regret@5",
        "??>95%",
        "????>vs all pivots",
    )
    grid = Grid("pivots", ">number", *titles)
    for point in study.points:
        grid.add_row(*_pivot_cells(point))
    yield grid.fitted(width)
    yield Text()
    yield from explained("vs", "paired differences over targets, with 95% intervals, in points", width)
    yield from explained("random", f"mean over {study.random_seeds} seeds; ± is the standard deviation over them", width)
    yield from explained("none", "only the similarity of source and target, no transfers", width)


def _pivot_cells(point: PivotPoint) -> Sequence[str | Text]:
    return (
        _CHOICES[point.choice],
        "" if point.n_pivots is None else str(point.n_pivots),
        _figure(point.ndcg, ".1f"),
        interval_of(point.ndcg, ".1f"),
        Text(number(point.ndcg_seed_sd, ".1f"), style="dim"),
        _difference(point.ndcg_to_all, ".1f"),
        _difference(point.ndcg_to_random, ".1f"),
        _figure(point.regret_at_5, ".2f"),
        interval_of(point.regret_at_5, ".2f"),
        _difference(point.regret_to_all, ".2f"),
    )


def ksweep_tables(study: KSweep, width: int) -> Iterator[RenderableType]:
    """The score against the number of sources; for the published results also by who chose them, and with unhelpful ones."""
    yield heading("How many sources", study.web, width)
    yield from ksweep_answer(study, width)
    yield Text()
    yield from _sweep("sources", study.points, width)
    if study.chosen_by:
        yield heading("Who chose the five sources", study.web, width)
        yield from _sweep("chosen by", study.chosen_by, width)
    if study.unhelpful:
        few = f"{len(study.unhelpful[0].per_target)} targets: {', '.join(study.unhelpful[0].per_target)}"
        yield heading("How many of the five are unhelpful", few, width)
        yield from _sweep("unhelpful", study.unhelpful, width)
    yield Text()
    yield from explained(
        "score",
        "zero-shot accuracy in percent, mean over targets, templates and seeds"
        if study.chosen_by
        else "mean over targets and seeds, in percent",
        width,
    )
    yield from explained("95%", f"bootstrap over {study.resampled}, too narrow with only four; differences are paired", width)
    if study.chosen_by:
        yield from explained("examples", "training examples, at most 2,000 from each source; mean over targets", width)


def _sweep(label: str, points: Sequence[SweepPoint], width: int) -> Iterator[RenderableType]:
    has_hours = any(math.isfinite(point.hours) for point in points)
    has_examples = any(math.isfinite(point.examples) for point in points)
    further = (*([">time"] if has_hours else []), *(["???>examples"] if has_examples else []))
    grid = Grid(label, ">score", "?>95%", ">vs all", "??>ratio", *further)
    best = max(point.score.value for point in points)
    for point in points:
        grid.add_row(
            Text(point.label, style="bold" if point.score.value == best else ""),
            _figure(point.score, ".2f"),
            interval_of(point.score, ".1f"),
            _difference(point.to_all, ".2f"),
            number(point.ratio_to_all, ".3f"),
            *([duration(3600 * point.hours) if math.isfinite(point.hours) else ""] if has_hours else []),
            *([number(point.examples, ",.0f")] if has_examples else []),
        )
    yield grid.fitted(width)


def _title(question: str, web: str, setup: str, facts: str, width: int) -> Text:
    where = "mean over setups" if setup == ALL_SETUPS else setup
    return heading(question, f"web '{web}' · {where} · {facts}", width)


def _figure(estimate: Estimate, form: str) -> str:
    return number(estimate.value, form)


def _difference(estimate: Estimate, form: str) -> str:
    return with_interval(estimate.value, estimate.low, estimate.high, f"+{form}")
