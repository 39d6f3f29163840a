"""How figures and explanations are written in every table."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from taskweb.cli.tables.text import Text
from taskweb.web.analysis.estimate import Estimate

_LABEL_WIDTH = 12
_MOST_WIDTH = 124
_UNITS = ((86400, "days"), (3600, "h"), (60, "min"))


def explained(label: str, body: str, width: int) -> Iterator[Text]:
    """A label and what it means, wrapped to the width of the terminal."""
    for i, line in enumerate(textwrap.wrap(body, max(20, min(width, _MOST_WIDTH) - _LABEL_WIDTH)) or [""]):
        yield Text.assemble((f"{label if i == 0 else '':>{_LABEL_WIDTH - 2}}  ", "cyan"), (line, "dim"))


def signed(value: float | None, *, percent: bool = False) -> Text:
    """A gain in green or a loss in red; empty for None and NaN."""
    if value is None or not math.isfinite(value):
        return Text("")
    return Text(f"{100 * value:+.1f}%" if percent else f"{value:+.3f}", style="green" if value > 0 else "red")


def number(value: float, form: str) -> str:
    """A figure in a format; empty for NaN."""
    return f"{value:{form}}" if math.isfinite(value) else ""


def interval(low: float, high: float, form: str, unit: str = "") -> Text:
    """Both ends of an interval; empty where they are NaN."""
    return Text(f"{low:{form}} to {high:{form}}{unit}" if math.isfinite(low) else "", style="dim")


def interval_of(estimate: Estimate, form: str) -> Text:
    """The interval of an estimate."""
    return interval(estimate.low, estimate.high, form)


def with_interval(value: float, low: float, high: float, form: str) -> str:
    """A figure, and its interval in brackets where it has one; empty for NaN."""
    ends = interval(low, high, form).plain
    return number(value, form) + (f" ({ends})" if ends else "")


def counted(count: int, noun: str) -> str:
    """A number of things, in words."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """A span of time for people: seconds, minutes, hours or days; tenths below a second."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(seconds, 0.1):.1f} s" if 0 < seconds < 1 else f"{seconds:.0f} s"
