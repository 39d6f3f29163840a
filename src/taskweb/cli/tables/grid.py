"""A table without lines that fits the terminal: columns are left out or put below, and only long names are shortened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from taskweb.cli.escaping import escaped
from taskweb.cli.tables.fitting import shortened
from taskweb.cli.tables.text import Text

_GAP = 2
_NAME = 24  # cells of a name for which columns are left out; a longer name gets what is left beside them
_SHORTEST = 6  # cells of a shortened name
_LONGEST = 60  # cells of a name on the widest terminal


class Grid:
    """Rows of texts under titles.

    Characters before a title say how the column gives way: '>' aligns it right. One with '?' may be left out if the table does
    not fit: first those with the most '?', and of these the last; it is also left out where all its cells are empty. The cells
    of one with '~' are names: what does not fit is shortened. Titles may be empty.
    """

    def __init__(self, *titles: str) -> None:
        self.titles = titles
        self.rows: list[Sequence[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row; missing cells at its end stay empty."""
        filled = (*cells, *[""] * (len(self.titles) - len(cells)))
        self.rows.append([_one_line(cell) if isinstance(cell, Text) else Text(escaped(cell)) for cell in filled])

    def fitted(self, width: int) -> Table:
        """The table, without the columns that do not fit into `width` cells."""
        return self._table(self._chosen(width), width)

    def parts(self, width: int, first: int = 1) -> Iterator[Table]:
        """All columns, in as many tables as they need; each begins with the `first` columns."""
        natural = self._widths()
        group = list(range(first))
        for i in range(first, len(self.titles)):
            if len(group) > first and sum(natural[k] + _GAP for k in (*group, i)) - _GAP > width:
                yield self._table(group, width)
                group = list(range(first))
            group.append(i)
        yield self._table(group, width)

    def left_out(self, width: int) -> tuple[str, ...]:
        """The titles of the columns that `fitted` leaves out and that are not empty."""
        return tuple(_title(self.titles[i]) for i in self._hidden(width))

    def further(self, width: int, first: int = 1) -> Iterator[Table]:
        """The columns that `fitted` leaves out, beside the `first` columns; shortened where they are wider than that."""
        hidden = self._hidden(width)
        if not any(_title(self.titles[i]) for i in hidden):
            return
        places = [*range(first), *(i for i in hidden if _title(self.titles[i]))]
        grid = Grid(*(self.titles[i] if i < first or ">" in self.titles[i] else "~" + _title(self.titles[i]) for i in places))
        grid.rows = [[row[i] for i in places] for row in self.rows]
        yield from grid.parts(width, first)

    def _hidden(self, width: int) -> list[int]:
        shown = self._chosen(width)
        return [i for i in range(len(self.titles)) if i not in shown and any(row[i].plain for row in self.rows)]

    def _widths(self) -> list[int]:
        """The width of every column; of names at most the usual one."""
        widths = [max([row[i].cell_len for row in self.rows], default=0) for i in range(len(self.titles))]
        return [
            max(Text(_title(t)).cell_len if "~" not in _marks(t) else min(Text(_title(t)).cell_len, _NAME), least)
            for t, w in zip(self.titles, widths, strict=True)
            for least in [min(w, _NAME) if "~" in _marks(t) else w]
        ]

    def _chosen(self, width: int) -> list[int]:
        widths = self._widths()
        may_go = [(_marks(t).count("?"), i) for i, t in enumerate(self.titles) if "?" in _marks(t)]
        empty = {i for _, i in may_go if not any(row[i].plain for row in self.rows)}
        shown = [i for i in range(len(self.titles)) if i not in empty]
        for _, i in sorted(may_go, reverse=True):
            if i in shown and sum(widths[k] + _GAP for k in shown) - _GAP > width:
                shown.remove(i)
        return shown

    def _table(self, shown: Sequence[int], width: int) -> Table:
        columns = {i: [Text(_title(self.titles[i])), *(row[i] for row in self.rows)] for i in shown}
        widths = {i: max(cell.cell_len for cell in column) for i, column in columns.items()}
        names = [i for i in shown if "~" in _marks(self.titles[i])]
        widths |= {i: min(widths[i], _LONGEST) for i in names}
        over = sum(w + _GAP for w in widths.values()) - _GAP - width
        while over > 0 and (widest := max(names, key=lambda i: widths[i], default=None)) is not None:
            others = [widths[i] for i in names if i != widest]
            least = max(_SHORTEST, widths[widest] - over, min(max(others, default=0), widths[widest] - 1))
            if least >= widths[widest]:
                break
            over -= widths[widest] - least
            widths[widest] = least
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
        for i in shown:
            cells = [
                _aligned(shortened(cell, widths[i]), widths[i], right=">" in _marks(self.titles[i])) for cell in columns[i]
            ]
            columns[i] = cells
            table.add_column(cells[0], no_wrap=True, overflow="ignore")
        for place in range(1, len(self.rows) + 1):
            table.add_row(*(columns[i][place] for i in shown))
        return table


def _title(title: str) -> str:
    return title.lstrip("?>~")


def _marks(title: str) -> str:
    return title[: len(title) - len(_title(title))]


def _aligned(cell: Text, width: int, *, right: bool) -> Text:
    """By hand: rich does not align columns that are never cut."""
    if right and cell.cell_len < width:
        return Text.assemble(" " * (width - cell.cell_len), cell)
    return cell


def _one_line(cell: Text) -> Text:
    """The cell, without the line breaks of a name."""
    return cell if "\n" not in cell.plain else Text(escaped(cell.plain), style=cell.style)
