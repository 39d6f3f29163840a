"""How figures and explanations are written in every table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from taskweb.cli.tables.fitting import clipped, filled, shortened
from taskweb.cli.tables.text import Text

if TYPE_CHECKING:
    from taskweb.tasks.overflow import CutReport
    from taskweb.web.analysis.estimate import Estimate

_LABEL_WIDTH = 12
_MOST_WIDTH = 124
_UNITS = ((86400, "days"), (3600, "h"), (60, "min"))


def explained(label: str, body: str, width: int, *, lines: int | None = None) -> Iterator[Text]:
    """A label and what it means, wrapped to the width of the terminal.

    lines: the most lines; if there were more, the last one ends in an ellipsis.
    """
    room = max(20, min(width, _MOST_WIDTH) - _LABEL_WIDTH)
    wrapped = list(filled(body.split(), room)) or [Text()]
    if lines is not None and len(wrapped) > lines:
        wrapped = [*wrapped[: lines - 1], Text(f"{clipped(wrapped[lines - 1].plain, room - 2)} …")]
    for i, line in enumerate(wrapped):
        yield Text.assemble((f"{label if i == 0 else '':>{_LABEL_WIDTH - 2}}  ", "cyan"), (line.plain, "dim"))


def answer(label: str, pieces: Iterable[str | Text], width: int) -> Iterator[Text]:
    """A line of the answer, before all tables: its label and pieces, none of which is broken that fits into a line."""
    for i, line in enumerate(filled(pieces, max(20, min(width, _MOST_WIDTH) - _LABEL_WIDTH))):
        yield Text.assemble((f"{f'{label}:' if i == 0 and label else '':>{_LABEL_WIDTH - 2}}  ", "bold cyan"), line)


def heading(name: str, facts: str, width: int, before: str = "") -> Text:
    """The first line of a table: a name, and facts about it in the next line where one is too narrow."""
    start = Text.assemble("\n", (before, "dim"), shortened(Text(name, style="bold cyan"), max(8, width - len(before))))
    if not facts:
        return start
    wide = len(before) + shortened(name, width).cell_len + 3 + Text(facts).cell_len <= width
    lines = [Text(facts)] if wide else list(filled(facts.split(), max(20, width - 2)))
    between = "   " if wide else "\n  "
    return Text.assemble(start, *((f"{between}{line.plain}", "dim") for line in lines))


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


def too_long(total: CutReport) -> str:
    """How many inputs are longer than a model reads, and what becomes of them, in a few words."""
    what = ((total.cut, "cut"), (total.dropped, "left out"))
    done = " and ".join(f"{count:,} {word}" if total.cut and total.dropped else word for count, word in what if count)
    return f"{total.cut + total.dropped:,} of {total.inputs:,} inputs have over {total.limit:,} tokens: {done}"


def duration(seconds: float) -> str:
    """A span of time for people: seconds, minutes, hours or days; tenths below a second."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(seconds, 0.1):.1f} s" if 0 < seconds < 1 else f"{seconds:.0f} s"
