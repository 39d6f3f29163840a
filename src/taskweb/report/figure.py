"""One figure as data: what it shows, in a sentence, as a chart and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class FigureTable:
    """The numbers of a figure as rows, for readers who do not see the chart, and for CSV. None: no score."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its words and numbers, shared by the report, the local page and `taskweb plot`.

    name: lower case words joined by hyphens, unique within a page; sentence: what to see, computed from the data;
    spec: a Vega-Lite specification with its data inside, for a light page and without width of the page.
    """

    name: str
    title: str
    sentence: str
    spec: Mapping[str, Any]
    table: FigureTable
