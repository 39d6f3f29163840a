"""How a web and its scores look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from taskweb.cli.tables import explained, signed
from taskweb.workflows.webs import WebDescription


def description_table(description: WebDescription) -> Iterator[RenderableType]:
    """What a web holds, a row per setup."""
    facts = description.to_dict()
    web = description.web
    both = [task for task in web.targets if task in web.sources]
    yield Text.assemble(
        "\n",
        (web.name, "bold cyan"),
        (f"   {len(web.tasks)} tasks: {len(web.targets)} targets, {len(web.sources)} sources, {len(both)} of them both", "dim"),
    )
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for title in ("setup", "pairs measured", "mean T", "reliability", "hours"):
        table.add_column(title, justify="left" if title == "setup" else "right", no_wrap=True)
    for setup in web.setups:
        t = web.transfer(setup)
        known = t[t == t]
        table.add_row(
            setup,
            f"{facts['pairs'][setup]:,}",
            signed(float(known.mean())) if len(known) else "",
            _figure(facts["split_half_reliability"], setup, "{:.2f}"),
            _figure(facts["hours"], setup, "{:,.0f}"),
        )
    yield table
    yield Text()
    if facts["runs"] is None:
        yield from explained("runs", "this web is a summary over seeds and holds no runs")
    else:
        runs = facts["runs"]
        seeds = f", {len(runs['seeds'])} seeds" if runs["seeds"] else ""
        yield from explained(
            "runs",
            f"{runs['total']:,} in all, {runs['baselines']:,} of them baselines{seeds}; "
            f"{runs['finished']:,} finished, {runs['failed']:,} failed, {runs['diverged']:,} diverged",
        )
    yield from explained(
        "reliability", "rank correlation of a target's sources between two halves of its seeds, mean over targets; 1 = the seeds agree"
    )
    for note in web.notes:
        yield from explained("note", note)


def scores_table(rows: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    """Transfer scores, a row per pair."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for title in ("setup", "source", "target"):
        table.add_column(title, no_wrap=True)
    for title in ("T", "gain (PC)", "± se", "seeds that gain (PM)", "sign test", "score", "seeds"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["setup"],
            row["source"],
            row["target"],
            signed(row["t"]),
            signed(row["pc"], percent=True),
            _cell(row["pc_se"], "{:.1%}"),
            _cell(row["pm"], "{:.0%}"),
            _cell(row["sign_p"], "p {:.2f}"),
            _cell(row["score"], "{:.4f}"),
            _cell(row["n_seeds"], "{:.0f}"),
        )
    yield table
    yield Text()
    yield from explained("T", "0.5 PC + 0.1 PM - 0.05: above 0 the source helped")
    yield from explained("sign test", "how often as many seeds on one side, or more, come up by chance alone; small = not by chance")


def _figure(by_setup: dict[str, float | None] | None, setup: str, form: str) -> str:
    return "" if by_setup is None else _cell(by_setup[setup], form)


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
