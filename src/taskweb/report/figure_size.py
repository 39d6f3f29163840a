"""Sizes of figures: columns of papers, pages on the screen, or any width in mm, inches or points."""

from __future__ import annotations

import re
from dataclasses import dataclass

from taskweb.errors import ParameterError

_POINTS = {"mm": 72 / 25.4, "cm": 72 / 2.54, "in": 72.0, "pt": 1.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?) ?(mm|cm|in|pt)")
_LEAST, _MOST = 144.0, 2880.0
ONE_COLUMN = 300.0  # points; wider figures are broad rather than high


@dataclass(frozen=True, slots=True)
class FigureSize:
    """How a figure is set.

    points: its width, in points of 1/72 inch. text: size of its labels, in points. shape: the most height of a pair of axes, as
    a share of their width. screen: whether it is for a page on the screen, where a point is a pixel, rather than for paper.
    """

    points: float
    text: float
    shape: float
    screen: bool = False


PAGE = FigureSize(760, 12, 1.0, screen=True)
WIDTHS = {"column": FigureSize(3.3 * 72, 7, 0.7), "full": FigureSize(6.75 * 72, 7.5, 0.45), "page": PAGE}
"""By name: one column of a paper in two columns (3.3 in), its whole width (6.75 in), a page on the screen (760 pixels)."""


def figure_size(width: str) -> FigureSize:
    """The size for a width: a name of `WIDTHS`, or a length such as 85mm, 3.5in or 240pt.

    Raises ParameterError for anything else, and for lengths below 2 in or above 40 in.
    """
    if width in WIDTHS:
        return WIDTHS[width]
    if (found := _LENGTH.fullmatch(width.strip().lower())) is None:
        raise ParameterError(
            f"The width must be {', '.join(WIDTHS)}, or a length such as 85mm or 3.5in. Got '{width}' instead."
        )
    points = float(found[1]) * _POINTS[found[2]]
    if not _LEAST <= points <= _MOST:
        raise ParameterError(f"The width must be from 2 to 40 inches. Got '{width}' instead.")
    like = WIDTHS["column" if points <= ONE_COLUMN else "full"]
    return FigureSize(points, like.text, like.shape)
