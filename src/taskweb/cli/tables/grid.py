"""A table without lines that fits the terminal by leaving columns out, never by cutting cells."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from taskweb.cli.escaping import escaped
from taskweb.cli.tables.text import Text

_GAP = 2


class Grid:
    """Rows of texts under titles.

    A column with '>' before its title is aligned right. One with '?' may be left out if the table does not fit: first those
    with the most '?', and of these the last. Titles may be empty.
    """

    def __init__(self, *titles: str) -> None:
        self.titles = titles
        self.rows: list[Sequence[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row; missing cells at its end stay empty."""
        filled = (*cells, *[""] * (len(self.titles) - len(cells)))
        self.rows.append([_one_line(cell) if isinstance(cell, Text) else Text(escaped(cell)) for cell in filled])

    def fitted(self, width: int) -> Table:
        """The table, without the columns that do not fit into `width` characters."""
        columns = [[Text(title.lstrip("?>")), *(row[i] for row in self.rows)] for i, title in enumerate(self.titles)]
        widths = [max(cell.cell_len for cell in column) for column in columns]
        shown = list(range(len(columns)))
        for _, i in sorted(((title.count("?"), i) for i, title in enumerate(self.titles) if "?" in title), reverse=True):
            if sum(widths[k] + _GAP for k in shown) - _GAP > width:
                shown.remove(i)
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
        for i in shown:
            if ">" in self.titles[i]:  # by hand: rich does not align columns that are never cut
                for cell in columns[i]:
                    cell.pad_left(widths[i] - cell.cell_len)
            table.add_column(columns[i][0], no_wrap=True, overflow="ignore")
        for row in self.rows:
            table.add_row(*(row[i] for i in shown))
        return table


def _one_line(cell: Text) -> Text:
    """The cell, without the line breaks of a name."""
    return cell if "\n" not in cell.plain else Text(escaped(cell.plain), style=cell.style)
