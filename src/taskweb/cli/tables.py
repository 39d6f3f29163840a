"""How rankings and benchmarks look on a terminal."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from taskweb.selectors import Ranking
from taskweb.selectors.base import PivotEvidence
from taskweb.selectors.benchmark import BenchmarkRow
from taskweb.tasks import catalogue
from taskweb.workflows.benchmarking import BenchmarkResult

_BLOCKS = " ▏▎▍▌▋▊▉█"
_BAR_WIDTH = 10
_NOTE_WIDTH = 110


def ranking_table(ranking: Ranking, top: int | None = None) -> Iterator[RenderableType]:
    """A ranking as a title, a table, and what the figures mean."""
    shown = ranking.sources[:top]
    setup = "mean of all setups" if ranking.setup == "all" else ranking.setup
    yield Text.assemble(
        "\n",
        ("Sources for ", "dim"),
        (ranking.target, "bold cyan"),
        (f"   {ranking.selector} · web '{ranking.web}' · {setup}", "dim"),
    )
    measured = ranking.selector == "measured"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title, side in (("", "right"), ("source", "left"), ("about", "left"), ("score", "right"), ("", "left")):
        table.add_column(title, justify=side, no_wrap=True)  # type: ignore[arg-type]
    if measured:
        for title in ("gain (PC)", "seeds that gain (PM)"):
            table.add_column(title, justify="right", no_wrap=True)
    else:
        for title in ("similarity", "popularity"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("similar tasks it helped or hurt", no_wrap=True)
    low, high = min(s.score for s in ranking.sources), max(s.score for s in ranking.sources)
    tasks = catalogue()
    for source in shown:
        name = Text(source.task, style="bold" if source.rank <= 5 else "")  # the paper's best number of sources
        if not source.measured:
            name.append(" *", style="yellow")
        about = tasks[source.task].category if source.task in tasks else ""
        bar = _bar((source.score - low) / (high - low) if high > low else 1.0)
        cells: list[RenderableType] = [
            Text(str(source.rank), style="dim"),
            name,
            Text(about, style="dim"),
            f"{source.score:.3f}",
            Text(bar, style="green"),
        ]
        if measured:
            pc, pm = source.details.get("pc"), source.details.get("pm")
            cells += [_signed(pc, percent=True), "" if pm is None else f"{100 * pm:.0f}%"]
        else:
            cells += [
                "" if source.similarity is None else f"{source.similarity:.2f}",
                _signed(source.popularity),
                _pivots(source.pivots),
            ]
        table.add_row(*cells)
    yield table
    yield Text()
    yield from _lines("score", ranking.meaning)
    if not measured:
        yield from _lines(
            "popularity", "mean transfer T to the web's tasks: above 0 helps, below 0 hurts; ▲ helped, ▼ hurt that similar task"
        )
    if any(not source.measured for source in shown):
        yield from _lines(
            "*",
            "your own candidate, not measured: its transfers are estimated from measured sources with similar "
            "texts, so it lies nearer the middle",
        )
    for note in ranking.notes:
        yield from _lines("note", note)


def ranking_csv(ranking: Ranking, top: int | None = None) -> str:
    """A ranking as CSV: rank, task, score, measured, similarity, popularity, pivots."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("rank", "task", "score", "measured", "similarity", "popularity", "pivots"))
    for source in ranking.sources[:top]:
        pivots = " ".join(f"{p.task}:{p.transfer:+.4f}" for p in source.pivots)
        writer.writerow(
            (
                source.rank,
                source.task,
                repr(source.score),
                str(source.measured).lower(),
                source.similarity,
                source.popularity,
                pivots,
            )
        )
    return out.getvalue()


def benchmark_tables(result: BenchmarkResult, *, per_target: bool = False) -> Iterator[RenderableType]:
    """A benchmark as one table per setup."""
    setups = list(dict.fromkeys(row.setup for row in result.rows))
    for setup in setups:
        rows = [row for row in result.rows if row.setup == setup]
        where = "mean over setups" if setup == "mean" else setup
        counted = max(len(row.per_target()) for row in rows)
        yield Text.assemble(
            "\n", (where, "bold cyan"), (f"   web '{result.web}' · {counted} targets, each left out in turn", "dim")
        )
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
        for title in ("selector", "NDCG", "95%", "Regret@5", "95%", "± draws", "NDCG vs popularity", "NDCG vs taskshop"):
            table.add_column(title, justify="left" if title == "selector" else "right", no_wrap=True)
        best = max(row.figure(0) for row in rows)
        for row in sorted(rows, key=lambda row: -row.figure(0)):
            table.add_row(*_benchmark_cells(row, result.references_of(row), best))
        yield table
        if per_target:
            yield Text()
            yield _per_target(rows)
    yield Text()
    yield from _lines(
        "NDCG",
        "agreement with the true order, 100 = perfect; Regret@5: raw performance lost by taking the five "
        "predicted best, 0 = none; all in percent",
    )
    yield from _lines(
        "draws",
        f"{result.draws.draws} draws of {result.draws.target_examples} target and up to "
        f"{result.draws.source_examples} source examples; ± is their standard deviation",
    )
    yield from _lines("random", "the exact mean over all orders")
    for note in _benchmark_notes(result):
        yield from _lines("note", note)


def _benchmark_cells(row: BenchmarkRow, references: dict[str, BenchmarkRow], best: float) -> Sequence[RenderableType]:
    def interval(metric: int) -> str:
        low, high = row.interval(metric)
        return f"{low:.1f} to {high:.1f}" if low == low else ""  # not NaN

    def against(name: str) -> str:
        if name not in references or name == row.selector:
            return ""
        mean, low, high = row.difference(references[name], 0)
        return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"

    spread = row.draw_spread(0)
    regret = row.figure(1)
    return (
        Text(row.selector, style="bold" if row.figure(0) == best else ""),
        f"{row.figure(0):.2f}",
        Text(interval(0), style="dim"),
        "" if regret != regret else f"{regret:.2f}",  # not NaN
        Text(interval(1), style="dim"),
        Text(f"{spread:.1f}" if spread > 1e-9 else "", style="dim"),  # rounding
        against("popularity"),
        against("taskshop"),
    )


def _per_target(rows: Sequence[BenchmarkRow]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("NDCG / Regret@5")
    for row in rows:
        table.add_column(row.selector, justify="right", no_wrap=True)
    groups = [row.per_category() for row in rows], [row.per_target() for row in rows]
    for title, figures in (("category", groups[0]), ("target", groups[1])):
        table.add_row(Text(f"by {title}", style="dim"))
        for name in dict.fromkeys(key for one in figures for key in one):
            table.add_row(f"  {name}", *(_pair(one.get(name)) for one in figures))
    return table


def _pair(figures: dict[str, float | None] | None) -> str:
    if figures is None or figures["ndcg"] is None:
        return ""
    regret = figures["regret_at_5"]
    return f"{figures['ndcg']:.1f} / " + ("-" if regret is None else f"{regret:.2f}")


def _benchmark_notes(result: BenchmarkResult) -> Iterator[str]:
    yield from result.notes
    reasons: dict[str, str] = {}
    for row in result.rows:
        if row.setup != "mean":
            reasons |= {f"{target} in {row.setup}": reason for target, reason in row.left_out.items()}
    for target, reason in reasons.items():
        yield f"{target} is left out: {reason}"


def _bar(share: float) -> str:
    eighths = round(share * _BAR_WIDTH * 8)
    return "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")


def _signed(value: float | None, *, percent: bool = False) -> Text:
    if value is None:
        return Text("")
    return Text(f"{100 * value:+.1f}%" if percent else f"{value:+.3f}", style="green" if value > 0 else "red")


def _pivots(pivots: Sequence[PivotEvidence]) -> Text:
    text = Text()
    for pivot in pivots:
        text.append("▲" if pivot.transfer > 0 else "▼", style="green" if pivot.transfer > 0 else "red")
        text.append(f"{pivot.task} ", style="dim")
    return text


def _lines(label: str, body: str) -> Iterable[Text]:
    wrapped = textwrap.wrap(body, _NOTE_WIDTH) or [""]
    for i, line in enumerate(wrapped):
        yield Text.assemble((f"{label if i == 0 else '':>10}  ", "cyan"), (line, "dim"))
