"""Figures from plain numbers: points with their intervals over a few places, in panels side by side."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from taskweb.errors import InputError, MissingDependencyError
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.paths import default_cache_folder

FigureFormat = Literal["svg", "png"]
_XDG = (("CACHE", ".cache"), ("CONFIG", ".config"))
_COLOURS = ("#0b6e99", "#c8553d", "#7a7a7a", "#4f772d")
_MARKERS = ("o", "s", "^", "D")
_PANEL_INCHES = (4.2, 3.4)
_PNG_DOTS_PER_INCH = 160
_APART = 0.14  # places between two series at one place


@dataclass(frozen=True, slots=True)
class Series:
    """Points with one label. values: one per place, NaN for none; lows, highs: their intervals, NaN for none."""

    label: str
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. places: labels along the x axis, left to right; joined: whether a line joins the points."""

    title: str
    x_label: str
    y_label: str
    places: tuple[str, ...]
    series: tuple[Series, ...]
    joined: bool = True


def figure_format(path: Path) -> FigureFormat:
    """The format given by the name, svg or png. Call it before long work: it also checks for matplotlib.

    Raises InputError for another ending, MissingDependencyError without matplotlib.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ("svg", "png"):
        raise InputError(f"A figure is written as .svg or .png, but {path} has another ending. Give another name.")
    _matplotlib()
    return "svg" if ending == "svg" else "png"


def write_figure(path: Path, panels: Sequence[Panel], *, title: str, note: str = "") -> None:
    """Draw panels side by side into an SVG or PNG file, written whole or not at all. Equal input gives equal bytes.

    Raises InputError where the file cannot be written, MissingDependencyError without matplotlib.
    """
    form = figure_format(path)
    matplotlib = _matplotlib()
    from matplotlib.figure import Figure

    width, height = _PANEL_INCHES
    with matplotlib.rc_context({"svg.hashsalt": "taskweb", "svg.fonttype": "none", "font.size": 9}), whole_file(path) as part:
        figure = Figure(figsize=(width * len(panels), height), layout="constrained")
        figure.suptitle(title, fontsize=10)
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel)
        if note:
            figure.supxlabel(note, fontsize=7, color="#555555")
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(part, format=form, dpi=_PNG_DOTS_PER_INCH, metadata=metadata)


def _draw(axes: Any, panel: Panel) -> None:
    for i, series in enumerate(panel.series):
        at = [place + _APART * (i - (len(panel.series) - 1) / 2) for place in range(len(panel.places))]
        colour, marker = _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]
        axes.plot(
            at, series.values, marker=marker, color=colour, ls="-" if panel.joined else "none", lw=1, ms=5, label=series.label
        )
        for x, low, high in zip(at, series.lows, series.highs, strict=True):
            if math.isfinite(low) and math.isfinite(high):
                axes.plot([x, x], [low, high], color=colour, lw=1.2, alpha=0.6)
    axes.set_xticks(range(len(panel.places)), panel.places)
    if max(map(len, panel.places), default=0) > 5 and len(panel.places) > 4:  # labels would overlap
        axes.tick_params(axis="x", rotation=30)
    axes.set_xlim(-0.5, len(panel.places) - 0.5)
    axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel.series) > 1:
        axes.legend(frameon=False, fontsize=8)


def _matplotlib() -> Any:
    """The library. Where it has no folder of its own yet, its list of fonts goes to taskweb's cache."""
    home = Path.home()
    caches, settings = (Path(os.environ.get(f"XDG_{kind}_HOME") or home / folder) for kind, folder in _XDG)
    if not ((caches / "matplotlib").exists() or (settings / "matplotlib").exists()):
        os.environ.setdefault("MPLCONFIGDIR", str(default_cache_folder() / "matplotlib"))
    try:
        import matplotlib
    except ImportError:
        raise MissingDependencyError("matplotlib", "report", "Drawing a figure") from None
    return matplotlib
