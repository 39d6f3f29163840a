"""What the charts share: rows without missing numbers, colours and shapes by series, axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

VegaSpec = dict[str, Any]
_STRONG = 0.6  # of the way to an end of the diverging colours, from which text on them has the colour of text on accents
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


def known(value: float | None) -> bool:
    """Whether a number is one: neither None nor NaN nor infinite."""
    return value is not None and math.isfinite(value)


def values(rows: Iterable[Mapping[str, Any]]) -> VegaSpec:
    """Rows as the data of a specification; numbers that are not known are left out of their row."""
    return {
        "values": [
            {name: entry for name, entry in row.items() if not isinstance(entry, float) or math.isfinite(entry)} for row in rows
        ]
    }


def quantitative(field: str, title: str | None, *, zero: bool = False, **settings: Any) -> VegaSpec:
    """A channel with numbers. zero: whether the axis begins at zero. settings: `axis` and `scale` entries are merged."""
    scale = {"zero": zero, "nice": True, **settings.pop("scale", {})}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, **settings}


def by_series(labels: Sequence[str], *, shapes: bool = True) -> VegaSpec:
    """Colour, and shape, by the field `series` in the order of the labels; a legend only where there are several."""
    legend = {"title": None, "symbolOpacity": 1} if len(labels) > 1 else None
    channel = {"field": "series", "type": "nominal", "sort": list(labels), "scale": {"domain": list(labels)}, "legend": legend}
    if not shapes:
        return {"color": channel}
    ranges = [SHAPES[i % len(SHAPES)] for i in range(len(labels))]
    return {"color": channel, "shape": {**channel, "scale": {"domain": list(labels), "range": ranges}}}


def joined(parts: Sequence[str]) -> str:
    """Names as a phrase: a, b and c."""
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def numbers_in_cells(field: str, form: str, low: float, middle: float, high: float) -> list[VegaSpec]:
    """Layers of numbers that can be read on cells of diverging colours, also on their dark or light ends.

    low, middle, high: of the colours' scale.
    """
    strong = (
        f"datum['{field}'] < {middle - _STRONG * (middle - low)} || datum['{field}'] > {middle + _STRONG * (high - middle)}"
    )
    text = {"text": {"field": field, "type": "quantitative", "format": form}}
    return [
        {"transform": [{"filter": f"!({strong})"}], "mark": {"type": "text", "fontSize": 11}, "encoding": text},
        {"transform": [{"filter": strong}], "mark": {"type": "text", "fontSize": 11, "style": "on-strong"}, "encoding": text},
    ]
