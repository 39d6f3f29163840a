"""A section of a report as data: a heading, a sentence, and parts in the order in which they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from taskweb.report.figure import Figure, FigureTable

ViewKind = Literal["heatmap", "graph", "story"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure in large type. note: what it is or how it was found, in a few words."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A few facts side by side."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class TitledTable:
    """A table that is shown as such: sortable, and with a filter where it is long. name: as of a `Figure`."""

    name: str
    title: str
    sentence: str
    table: FigureTable


@dataclass(frozen=True, slots=True)
class View:
    """What a reader explores: drawn by a script from the web inside the page (`web_data`).

    name: as of a `Figure`; kind: which script draws it; sentence: what to see before anything is chosen; settings: plain JSON
    values for the script.
    """

    name: str
    title: str
    sentence: str
    kind: ViewKind
    settings: Mapping[str, Any] = field(default_factory=dict)


Part = Figure | TitledTable | Facts | View


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report.

    name: lower case words joined by hyphens, unique within a page; it is the section's address. intro: one sentence on what the
    section answers. notes: what a reader should know about how it was made, one each; the page makes sentences of them.
    """

    name: str
    title: str
    intro: str
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
