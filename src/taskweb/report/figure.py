"""One figure as data: what it shows, in a sentence, as a chart and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Cell = str | float | int | None
Form = Literal["gain", "share", "probability", "part", "points"]
"""How fractions are shown. gain: +3.4%; share: 34%; probability: as a share, or below 1%; part: 3.4%; points: +3.4."""


@dataclass(frozen=True, slots=True)
class FigureTable:
    """The numbers of a figure as rows, for readers who do not see the chart, and for CSV. None: no score.

    forms: how the numbers of a column are shown, by its name; CSV has them as they are.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    forms: Mapping[str, Form] = field(default_factory=dict)


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
