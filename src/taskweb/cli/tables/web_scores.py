"""How a web and its scores look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType

from taskweb.cli.tables.formatting import counted, explained, heading, signed
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.web.published import PUBLISHED
from taskweb.workflows.webs import WebDescription

_RELIABILITY = "rank correlation of a target's sources between two halves of the seeds, mean over targets; 1 = the seeds agree"
_SIGN_TEST = "probability of as many seeds on one side by chance; small: no chance"


def description_table(description: WebDescription, width: int) -> Iterator[RenderableType]:
    """What a web contains, a row per setup."""
    facts, web = description.to_dict(), description.web
    both = [task for task in web.targets if task in web.sources]
    roles = f"{counted(len(web.targets), 'target')}, {counted(len(web.sources), 'source')}, {len(both)} are both"
    yield heading(web.name, f"{counted(len(web.tasks), 'task')}: {roles}", width)
    table = Grid("~setup", ">pairs measured", ">mean T", ">reliability", "?>hours")
    for setup in web.setups:
        t = web.transfer(setup)
        known = t[np.isfinite(t)]
        table.add_row(
            setup,
            f"{facts['pairs'][setup]:,}",
            signed(float(known.mean())) if len(known) else "",
            _of_setup(facts["split_half_reliability"], setup, "{:.2f}"),
            _of_setup(facts["hours"], setup, "{:,.0f}"),
        )
    yield table.fitted(width)
    yield Text()
    yield from explained("runs", _runs_in_words(facts["runs"], web.name), width)
    yield from explained("reliability", _RELIABILITY, width)


def scores_table(rows: Sequence[Mapping[str, Any]], width: int) -> Iterator[RenderableType]:
    """Transfer scores, a row per pair; with a column for the setup where there are several."""
    names = ("setup", "source", "target") if len({row["setup"] for row in rows}) > 1 else ("source", "target")
    table = Grid(*(f"~{name}" for name in names), ">T", ">PC", "?>± se", ">PM", "?>sign test", "?>score", "?>seeds")
    for row in rows:
        table.add_row(
            *(str(row[name]) for name in names),
            signed(row["t"]),
            signed(row["pc"], percent=True),
            _cell(row["pc_se"], "{:.1%}"),
            _cell(row["pm"], "{:.0%}"),
            _cell(row["sign_p"], "p {:.2f}"),
            _cell(row["score"], "{:.4f}"),
            _cell(row["n_seeds"], "{:.0f}"),
        )
    yield table.fitted(width)
    yield Text()
    yield from explained("T", "0.5 PC + 0.1 PM - 0.05, above 0 helps; PM: share of seeds that gain", width, lines=1)
    yield from explained("PC", "mean gain over the baseline of the same seed; se: its standard error", width, lines=1)
    if "sign test" not in table.left_out(width) and any(row["sign_p"] is not None for row in rows):
        yield from explained("sign test", _SIGN_TEST, width, lines=1)


def _runs_in_words(runs: Mapping[str, Any] | None, web: str) -> str:
    if runs is None and web == PUBLISHED:
        return "this web is a summary over seeds and contains no runs"
    if runs is None:
        return "only a store counts them: taskweb web import FILE --to STORE"
    seeds = f", {counted(len(runs['seeds']), 'seed')}" if runs["seeds"] else ""
    statuses = f"{runs['finished']:,} finished, {runs['failed']:,} failed, {runs['diverged']:,} diverged"
    return f"{runs['total']:,} in total, {runs['baselines']:,} of them baselines{seeds}; {statuses}"


def _of_setup(by_setup: Mapping[str, float | None] | None, setup: str, form: str) -> str:
    return "" if by_setup is None else _cell(by_setup[setup], form)


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
