"""How a benchmark of selectors looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table

from taskweb.cli.tables.fitting import name
from taskweb.cli.tables.formatting import answer, counted, explained, heading, interval, interval_of, number, with_interval
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.selectors.benchmark import MEAN, METRIC_NAMES, REFERENCES, BenchmarkRow
from taskweb.selectors.harm_results import HarmResults
from taskweb.workflows.benchmarking import BenchmarkResult

_NDCG, _REGRET = range(len(METRIC_NAMES))
_ROUNDING = 1e-9
_TITLES = (
    "~selector",
    ">NDCG",
    "??>95% interval",
    ">Regret@5",
    "??>95% of Regret@5",
    "???>± draws",
    "?>targets",
    *(f"????>NDCG vs {name}" for name in REFERENCES),
)


def benchmark_tables(result: BenchmarkResult, width: int, *, per_target: bool = False) -> Iterator[RenderableType]:
    """A benchmark as one table per setup that fits `width`, and one for their mean where there are several."""
    setups = list(dict.fromkeys(row.setup for row in result.rows))
    for setup in setups if len(setups) > 2 else setups[:1]:
        rows = [row for row in result.rows if row.setup == setup]
        where = "mean over setups" if setup == MEAN else setup
        yield heading(where, f"web '{result.web}', each target left out in turn", width)
        ordered = sorted(rows, key=lambda row: -row.figure(_NDCG))
        yield from _answer(ordered[0], result.references_of(ordered[0]), width)
        yield Text()
        grid = Grid(*_TITLES)
        best = ordered[0].figure(_NDCG)
        for row in ordered:
            grid.add_row(*_cells(row, result.references_of(row), best))
        yield grid.fitted(width)
        if per_target:
            yield Text()
            yield from _per_target(rows, width)
    if result.harm is not None:
        yield from _harm(result.harm, width)
    yield Text()
    yield from explained("NDCG", "agreement with the true order, 100 = perfect; random: exact mean", width, lines=1)
    yield from explained("Regret@5", "score lost by taking the five predicted best, 0 = none; in percent", width, lines=1)
    drawn = result.draws
    sizes = f"{drawn.target_examples} target and up to {drawn.source_examples} source examples"
    yield from explained(
        "draws", f"{counted(drawn.draws_for(len(ordered[0].targets)), 'draw')} of {sizes}; ±: spread", width, lines=1
    )


def _answer(best: BenchmarkRow, references: dict[str, BenchmarkRow], width: int) -> Iterator[Text]:
    """The best selector, and by how much it is better than the others that are known."""
    figures = f"NDCG {with_interval(best.figure(_NDCG), *best.interval(_NDCG), '.1f')}, Regret@5 {best.figure(_REGRET):.2f}"
    yield from answer("Best", [name(best.selector, "bold green"), *figures.split()], width)
    for reference in REFERENCES:
        if difference := _difference(best, references.get(reference)):
            points = f"by {difference} points of NDCG"
            low = best.difference(references[reference], _NDCG)[1]
            sure = "" if low > 0 else ", not clearly"
            yield from answer("", ["better", "than", name(reference), *f"{points}{sure}".split()], width)


def _cells(row: BenchmarkRow, references: dict[str, BenchmarkRow], best: float) -> Sequence[str | Text]:
    spread = row.draw_spread(_NDCG)
    return (
        Text(row.selector, style="bold" if row.figure(_NDCG) == best else ""),
        f"{row.figure(_NDCG):.2f}",
        interval(*row.interval(_NDCG), ".1f"),
        number(row.figure(_REGRET), ".2f"),
        interval(*row.interval(_REGRET), ".1f"),
        Text(f"{spread:.1f}" if spread > _ROUNDING else "", style="dim"),
        Text(str(len(row.per_target())), style="dim"),
        *(_difference(row, references.get(name)) for name in REFERENCES),
    )


def _difference(row: BenchmarkRow, reference: BenchmarkRow | None) -> str:
    if reference is None or reference.selector == row.selector:
        return ""
    return with_interval(*row.difference(reference, _NDCG), "+.1f")


def _harm(found: HarmResults, width: int) -> Iterator[RenderableType]:
    """How well harm is predicted: a row per selector, and how often predictions came true."""
    yield heading("Detecting harm", "sources with a gain below zero, mean over setups", width)
    grid = Grid("selector", ">AUC", ">95%", "?>targets")
    for row in found.detection:
        grid.add_row(
            name(row.selector), f"{row.auc.value:.3f}", interval_of(row.auc, ".2f"), Text(str(row.n_targets), style="dim")
        )
    yield grid.fitted(width)
    yield from explained("AUC", "how often a harmful source gets a higher risk than a harmless one; 0.5 = by chance", width)
    for one in found.calibration:
        what = f"{one.selector}: 80% intervals contain {100 * one.coverage:.0f}% of the gains"
        yield from explained("calibration", what, width)


def _per_target(rows: Sequence[BenchmarkRow], width: int) -> Iterator[Table]:
    table = Grid("~NDCG / Regret@5", *(f">{row.selector}" for row in rows))
    for title, figures in (("category", [row.per_category() for row in rows]), ("target", [row.per_target() for row in rows])):
        table.add_row(Text(f"by {title}", style="dim"))
        for key in dict.fromkeys(key for one in figures for key in one):
            table.add_row(f"  {key}", *(_pair(one.get(key)) for one in figures))
    yield from table.parts(width)


def _pair(figures: dict[str, float | None] | None) -> str:
    if figures is None or figures["ndcg"] is None:
        return ""
    regret = figures["regret_at_5"]
    return f"{figures['ndcg']:.1f} / " + ("-" if regret is None else f"{regret:.2f}")
