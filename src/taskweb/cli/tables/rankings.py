"""How rankings and benchmarks look on a terminal."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from taskweb.cli.tables.grid import Grid
from taskweb.selectors import Ranking
from taskweb.selectors.assessment import Outlook
from taskweb.selectors.base import PivotEvidence
from taskweb.selectors.benchmark import REFERENCES, BenchmarkRow
from taskweb.tasks import catalogue
from taskweb.workflows.benchmarking import BenchmarkResult

_BLOCKS = " ▏▎▍▌▋▊▉█"
_BAR_WIDTH = 10
_LABEL_WIDTH = 12


def ranking_table(ranking: Ranking, width: int, top: int | None = None) -> Iterator[RenderableType]:
    """A ranking as a title, a table that fits `width`, and what the figures mean."""
    shown = ranking.sources[:top]
    setup = "mean of all setups" if ranking.setup == "all" else ranking.setup
    facts = f"   {ranking.selector} · web '{ranking.web}' · {setup}"
    yield Text.assemble("\n", ("Sources for ", "dim"), (ranking.target, "bold cyan"), (facts, "dim"))
    measured = ranking.selector == "measured"
    doubt = ranking.assessment
    further = ("?>gain (PC)", "?>seeds that gain (PM)") if measured else _EVIDENCE
    if doubt is not None and doubt.outlooks:
        further = ("?>gain", "??>80%", "?>harm", *further)
    grid = Grid(">", "source", "??about", ">score", "??", *further)
    low, high = min(s.score for s in ranking.sources), max(s.score for s in ranking.sources)
    tasks = catalogue()
    for source in shown:
        name = Text(source.task, style="bold" if source.rank <= 5 else "")  # the paper's best number of sources
        if not source.measured:
            name.append(" *", style="yellow")
        pc, pm = source.details.get("pc"), source.details.get("pm")
        figures: tuple[str | Text, ...]
        if measured:
            figures = (signed(pc, percent=True), "" if pm is None else f"{100 * pm:.0f}%")
        else:
            similarity = "" if source.similarity is None else f"{source.similarity:.2f}"
            figures = (similarity, signed(source.popularity), _pivots(source.pivots))
            if doubt is not None and doubt.outlooks:
                figures = (*_outlook(doubt.outlooks.get(source.task)), *figures)
        grid.add_row(
            Text(str(source.rank), style="dim"),
            name,
            Text(tasks[source.task].category if source.task in tasks else "", style="dim"),
            f"{source.score:.3f}",
            Text(_bar((source.score - low) / (high - low) if high > low else 1.0), style="green"),
            *figures,
        )
    table = grid.fitted(width)
    columns = [str(column.header).strip() for column in table.columns]
    yield table
    yield Text()
    yield from explained("score", ranking.meaning, width)
    if "harm" in columns:
        yield from explained("gain, harm", _OUTLOOK, width)
    if "popularity" in columns:
        yield from explained("popularity", _POPULARITY if ranking.scale == "combined" else _POPULARITY_OF_Z_SCORES, width)
    if "similar tasks it helped or hurt" in columns:
        deeds = "helped or hurt" if ranking.scale == "combined" else "was above or below average for"
        yield from explained("▲ ▼", f"{deeds} that similar task when trained on before it", width)
    if any(not source.measured for source in shown):
        yield from explained("*", _UNMEASURED, width)
    if doubt is not None:
        yield from explained("take", f"{doubt.suggestion.k or 'none'}: {doubt.suggestion.reason}", width)
        likely = [f"{100 * doubt.best_among(k):.0f}% among {k}" for k in (3, 5, 10) if k < len(doubt.chances)]
        first = f"number 1 is the best of all with {100 * doubt.best_among(1):.0f}% probability"
        yield from explained("the best", "; ".join([first, *likely]), width)
    if ranking.explanation is not None:
        yield Text()
        for i, sentence in enumerate(ranking.explanation.words()):
            yield from explained("why" if i == 0 else "", sentence, width)


_EVIDENCE = ("?>similarity", "?>popularity", "???similar tasks it helped or hurt")
_OUTLOOK = "what sources of like score did for tasks left out: median gain (PC), the middle 80%, and how often they harmed"
_POPULARITY = "mean transfer T to the web's tasks: above 0 helps, below 0 hurts"
_POPULARITY_OF_Z_SCORES = "mean standardised score over the web's tasks; without baselines it tells no gain"
_UNMEASURED = (
    "your own candidate, not measured: its transfers are estimated from sources with similar texts, "
    "so it lies nearer the middle"
)


def ranking_csv(ranking: Ranking, top: int | None = None) -> str:
    """A ranking as CSV: rank, task, score, measured, similarity, popularity, pivots; then gains and chances where known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    further = ("gain", "gain_low", "gain_high", "p_harm", "p_best") if ranking.assessment is not None else ()
    writer.writerow(("rank", "task", "score", "measured", "similarity", "popularity", "pivots", *further))
    for source in ranking.sources[:top]:
        pivots = " ".join(f"{p.task}:{p.transfer:+.4f}" for p in source.pivots)
        known = str(source.measured).lower()
        details = (source.details.get(name) for name in further)
        writer.writerow(
            (source.rank, source.task, repr(source.score), known, source.similarity, source.popularity, pivots, *details)
        )
    return out.getvalue()


def benchmark_tables(result: BenchmarkResult, width: int, *, per_target: bool = False) -> Iterator[RenderableType]:
    """A benchmark as one table per setup that fits `width`, and one for their mean where there are several."""
    setups = list(dict.fromkeys(row.setup for row in result.rows))
    for setup in setups if len(setups) > 2 else setups[:1]:
        rows = [row for row in result.rows if row.setup == setup]
        where = "mean over setups" if setup == "mean" else setup
        yield Text.assemble("\n", (where, "bold cyan"), (f"   web '{result.web}', each target left out in turn", "dim"))
        grid = Grid(
            "selector",
            ">NDCG",
            "??>95%",
            ">Regret@5",
            "??>95%",
            "???>± draws",
            "?>targets",
            *(f"????>NDCG vs {r}" for r in REFERENCES),
        )
        best = max(row.figure(0) for row in rows)
        for row in sorted(rows, key=lambda row: -row.figure(0)):
            grid.add_row(*_benchmark_cells(row, result.references_of(row), best))
        yield grid.fitted(width)
        if per_target:
            yield Text()
            yield _per_target(rows, width)
    yield Text()
    yield from explained("NDCG", "agreement with the true order, 100 = perfect", width)
    yield from explained("Regret@5", "raw performance lost by taking the five predicted best, 0 = none; all in percent", width)
    drawn = result.draws
    sizes = f"{drawn.target_examples} target and up to {drawn.source_examples} source examples"
    yield from explained("draws", f"{drawn.draws} draws of {sizes}; ± is their standard deviation", width)
    yield from explained("random", "the exact mean over all orders", width)


def _benchmark_cells(row: BenchmarkRow, references: dict[str, BenchmarkRow], best: float) -> Sequence[str | Text]:
    def interval(metric: int) -> Text:
        low, high = row.interval(metric)
        return Text(f"{low:.1f} to {high:.1f}" if low == low else "", style="dim")  # not NaN

    def against(name: str) -> str:
        if name not in references or name == row.selector:
            return ""
        mean, low, high = row.difference(references[name], 0)
        band = f" ({low:+.1f} to {high:+.1f})" if low == low else ""  # not NaN
        return f"{mean:+.1f}{band}" if mean == mean else ""  # not NaN

    spread, regret = row.draw_spread(0), row.figure(1)
    return (
        Text(row.selector, style="bold" if row.figure(0) == best else ""),
        f"{row.figure(0):.2f}",
        interval(0),
        "" if regret != regret else f"{regret:.2f}",  # not NaN
        interval(1),
        Text(f"{spread:.1f}" if spread > 1e-9 else "", style="dim"),  # rounding
        Text(str(len(row.per_target())), style="dim"),
        *(against(name) for name in REFERENCES),
    )


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


def _bar(share: float) -> str:
    eighths = round(share * _BAR_WIDTH * 8)
    return "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")


def signed(value: float | None, *, percent: bool = False) -> Text:
    """A gain in green or a loss in red; nothing for what is missing."""
    if value is None:
        return Text("")
    return Text(f"{100 * value:+.1f}%" if percent else f"{value:+.3f}", style="green" if value > 0 else "red")


def _outlook(outlook: Outlook | None) -> tuple[Text, str, Text]:
    if outlook is None:
        return Text(""), "", Text("")
    band = f"{100 * outlook.low:+.1f} to {100 * outlook.high:+.1f}"
    return (
        signed(outlook.gain, percent=True),
        band,
        Text(f"{100 * outlook.harm:.0f}%", style="red" if outlook.harm >= 0.5 else ""),
    )


def _pivots(pivots: Sequence[PivotEvidence]) -> Text:
    text = Text()
    for pivot in pivots:
        text.append("▲" if pivot.transfer > 0 else "▼", style="green" if pivot.transfer > 0 else "red")
        text.append(f"{pivot.task} ", style="dim")
    return text


def explained(label: str, body: str, width: int) -> Iterator[Text]:
    """A label and what it means, wrapped to the width of the terminal."""
    for i, line in enumerate(textwrap.wrap(body, max(20, min(width, 124) - _LABEL_WIDTH)) or [""]):
        yield Text.assemble((f"{label if i == 0 else '':>{_LABEL_WIDTH - 2}}  ", "cyan"), (line, "dim"))
