"""Every transfer of a web as a figure for paper: source by target."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from taskweb.errors import WebError, unknown_name
from taskweb.report.charts.cell_chart import Cell, CellScale, cell_chart
from taskweb.report.figure import Figure, FigureTable
from taskweb.report.sections.transfers import transfers_sentence
from taskweb.report.web_data import setup_labels, task_orders
from taskweb.web.arrays import FloatArray
from taskweb.web.setup_scores import SetupScores
from taskweb.web.transfer_web import TransferWeb

Quantity = Literal["t", "pc", "pm"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
_TITLES = {"t": "T, combined score", "pc": "PC, relative gain", "pm": "PM, share of gains"}
_ENDS = 0.97  # quantile of the sizes of values at which colours end: a few large ones would bleach all others
_SURE = "Faint cells: as likely to help as to harm; grey: not measured."


def heatmap_figure(
    web: TransferWeb, scores: SetupScores, setup: str, what: Quantity = "t", order: str | None = None, name: str = "heatmap"
) -> Figure:
    """Every transfer of one setup, or of the mean over setups. order: of tasks, by category, cluster or name; None takes the
    first that the web has.

    Raises NameNotFoundError for what does not exist, WebError where the web lacks the quantity.
    """
    if what not in QUANTITIES:
        raise unknown_name("quantity of a heatmap", what, QUANTITIES)
    at = _place(scores, web.check_setup(setup))
    found: FloatArray | None = getattr(scores, what)
    if found is None or not np.isfinite(found[at]).any():
        raise WebError(f"The web '{web.name}' has no {what.upper()} in {setup_labels(scores)[at]}. Draw T: --what t.")
    orders = task_orders(web)
    order = next(iter(orders)) if order is None else order
    if order not in orders:
        raise unknown_name("order of tasks", order, tuple(orders))
    tasks = [web.tasks[i] for i in orders[order]]
    targets, sources = ([task for task in tasks if task in own] for own in (set(web.targets), set(web.sources)))
    cells = _cells(web, found[at], scores.harm[at])
    faded = any(cell.sure < 1 for cell in cells)
    sentence = transfers_sentence(web, scores, at) + (f" {_SURE}" if faded else "")
    spec = cell_chart(cells, sources, targets, _scale(what, found[at], web, faded=faded))
    rows = tuple((cell.column, cell.row, cell.value, cell.sure) for cell in cells)
    table = FigureTable(("source", "target", what.upper(), "how sure its sign is"), rows)
    return Figure(name, f"Transfers of {web.name}: {setup_labels(scores)[at]}", sentence, spec, table)


def _place(scores: SetupScores, setup: str) -> int:
    return scores.names.index(setup) if setup in scores.names else 0  # of a single setup, `all` is that one


def _cells(web: TransferWeb, found: FloatArray, harm: FloatArray) -> list[Cell]:
    sure = np.where(np.isfinite(harm), np.abs(2 * harm - 1), 1.0)
    return [
        Cell(web.sources[j], web.targets[i], float(found[i, j]), round(float(sure[i, j]), 3))
        for i, j in np.argwhere(np.isfinite(found)).tolist()
    ]


def _scale(what: Quantity, found: FloatArray, web: TransferWeb, *, faded: bool) -> CellScale:
    meaning = ("blue: helps, orange: harms", *(("pale: not sure",) if faded else ()))
    if what == "pm":
        return CellScale(_TITLES[what], 0.0, 0.5, 1.0, ".0%", ("0%", "50%", "100%"), meaning)
    known = found[np.isfinite(found)]
    end = float(np.quantile(np.abs(known), _ENDS)) or 1.0
    zscore = web.scale == "zscore" and what == "t"
    title = "T, in standard deviations" if zscore else _TITLES[what]
    form = "+.1f" if zscore else ("+.0%" if what == "pc" else "+.2f")
    marks = (_mark(-end, form, bool((known < -end).any())), "0", _mark(end, form, bool((known > end).any())))
    return CellScale(title, -end, 0.0, end, form, marks, meaning)


def _mark(end: float, form: str, beyond: bool) -> str:
    """What an end of the scale is called. beyond: whether there are values beyond it, which get its colour."""
    sign = ("≤ " if end < 0 else "≥ ") if beyond else ""
    return sign + format(end, form).replace("-", "\N{MINUS SIGN}")
