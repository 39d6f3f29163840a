"""How a benchmark of selectors looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table

from taskweb.cli.tables.formatting import explained, interval, interval_of, number, with_interval
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.selectors.benchmark import MEAN, METRIC_NAMES, REFERENCES, BenchmarkRow
from taskweb.selectors.harm_results import HarmResults
from taskweb.workflows.benchmarking import BenchmarkResult

_NDCG, _REGRET = range(len(METRIC_NAMES))
_ROUNDING = 1e-9
_TITLES = (
    "selector",
    ">NDCG",
    "??>95%",
    ">Regret@5",
    "??>95%",
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
        yield Text.assemble("\n", (where, "bold cyan"), (f"   web '{result.web}', each target left out in turn", "dim"))
        grid = Grid(*_TITLES)
        best = max(row.figure(_NDCG) for row in rows)
        for row in sorted(rows, key=lambda row: -row.figure(_NDCG)):
            grid.add_row(*_cells(row, result.references_of(row), best))
        yield grid.fitted(width)
        if per_target:
            yield Text()
            yield _per_target(rows, width)
    if result.harm is not None:
        yield from _harm(result.harm, width)
    yield Text()
    yield from explained("NDCG", "agreement with the true order, 100 = perfect", width)
    yield from explained("Regret@5", "raw performance lost by taking the five predicted best, 0 = none; all in percent", width)
    drawn = result.draws
    sizes = f"{drawn.target_examples} target and up to {drawn.source_examples} source examples"
    yield from explained("draws", f"{drawn.draws} draws of {sizes}; ± is their standard deviation", width)
    yield from explained("random", "the exact mean over all orders", width)


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
    yield Text.assemble("\n", ("Detecting harm", "bold cyan"), ("   sources with a gain below zero, mean over setups", "dim"))
    grid = Grid("selector", ">AUC", ">95%", "?>targets")
    for row in found.detection:
        grid.add_row(row.selector, f"{row.auc.value:.3f}", interval_of(row.auc, ".2f"), Text(str(row.n_targets), style="dim"))
    yield grid.fitted(width)
    yield from explained("AUC", "how often a harmful source gets a higher risk than a harmless one; 0.5 = by chance", width)
    for one in found.calibration:
        what = f"{one.selector}: 80% intervals contain {100 * one.coverage:.0f}% of the gains"
        yield from explained("calibration", what, width)


def _per_target(rows: Sequence[BenchmarkRow], width: int) -> Table:
    table = Grid("NDCG / Regret@5", *(f">{row.selector}" for row in rows))
    for title, figures in (("category", [row.per_category() for row in rows]), ("target", [row.per_target() for row in rows])):
        table.add_row(Text(f"by {title}", style="dim"))
        for name in dict.fromkeys(key for one in figures for key in one):
            table.add_row(f"  {name}", *(_pair(one.get(name)) for one in figures))
    return table.fitted(width)


def _pair(figures: dict[str, float | None] | None) -> str:
    if figures is None or figures["ndcg"] is None:
        return ""
    regret = figures["regret_at_5"]
    return f"{figures['ndcg']:.1f} / " + ("-" if regret is None else f"{regret:.2f}")
