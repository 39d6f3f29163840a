"""Small HTML tables by which notebooks show a ranking, a web or a mixture.

They have no colours of their own, so they look right on light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Entry = str | int | float | None
_ROWS = 10
_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CELL = "padding:2px 10px;white-space:nowrap;max-width:24em;overflow:hidden;text-overflow:ellipsis"
_HEAD = f"{_CELL};font-weight:600;border-bottom:1px solid currentColor;vertical-align:bottom"
_QUIET = "padding:4px 10px;text-align:left;opacity:.75"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a small table. entries: None or NaN where there is nothing. form: of its numbers, as of `format`."""

    title: str
    entries: Sequence[Entry]
    form: str = ""

    @property
    def filled(self) -> bool:
        """Whether there is any entry."""
        return any(_known(entry) for entry in self.entries)

    @property
    def numeric(self) -> bool:
        """Whether the entries are numbers, which stand on the right."""
        return bool(self.form) or any(isinstance(entry, int | float) for entry in self.entries)

    def text(self, row: int) -> str:
        """An entry as it is shown."""
        entry = self.entries[row]
        if not _known(entry):
            return ""
        return entry if isinstance(entry, str) else format(entry, self.form)


def html_table(title: str, facts: str, columns: Sequence[Column], *, rows: int, notes: Sequence[str] = ()) -> str:
    """A table with a title, some facts below it, the first ten of its rows, and notes. Every text is escaped.

    Columns without any entry are left out. rows: how many entries each column has.
    """
    shown, whole = [column for column in columns if column.filled], min(rows, _ROWS)
    last = ([f"and {rows - whole:,} more"] if rows > whole else []) + list(notes)
    return "".join(
        (
            f'<table style="{_TABLE}"><caption style="{_QUIET}"><b>{_safe(title)}</b><br>{_safe(facts)}</caption><thead><tr>',
            *(f'<th scope="col" style="{_HEAD};{_side(column)}">{_safe(column.title)}</th>' for column in shown),
            "</tr></thead><tbody>",
            *(f"<tr>{''.join(_cell(column, row) for column in shown)}</tr>" for row in range(whole)),
            "</tbody></table>",
            *(f'<div style="{_QUIET}">{_safe(note)}</div>' for note in last),
        )
    )


def percent_range(low: float | None, high: float | None) -> str | None:
    """An interval of shares, in percent with signs; None where it is not known."""
    if low is None or high is None or not (_known(low) and _known(high)):
        return None
    return f"{100 * low:+.1f} to {100 * high:+.1f}%"


def _cell(column: Column, row: int) -> str:
    text = _safe(column.text(row))
    return f'<td style="{_CELL};{_side(column)}" title="{text}"><bdi>{text}</bdi></td>'


def _side(column: Column) -> str:
    return f"text-align:{'right' if column.numeric else 'left'}"


def _safe(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode())


def _known(entry: Entry) -> bool:
    return entry is not None and entry != "" and not (isinstance(entry, float) and math.isnan(entry))
