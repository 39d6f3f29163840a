"""Texts made to fit a number of terminal cells: names are shortened in their middle, sentences are broken into lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len

from taskweb.cli.tables.text import Text

_ELLIPSIS = "…"
_HEAD = 2 / 3  # of what is left of a shortened name, the part before the ellipsis
_JOINERS = "\u200d\ufe0e\ufe0f"
_MOST_OF_A_WORD = 240  # cells; a longer word is shortened before it is broken into lines
_MOST_NAMED = 5
NAME = 40  # cells of a name within a sentence


def shortened(text: str | Text, cells: int) -> Text:
    """The text, or its beginning, an ellipsis and its end where it is wider than `cells` (at least 1) cells of a terminal."""
    whole = text if isinstance(text, Text) else Text(text)
    if whole.cell_len <= cells:
        return whole
    room = max(cells - 1, 0)
    head = _fitting(whole.plain, round(room * _HEAD))
    tail = _fitting(whole.plain[::-1], room - cell_len(whole.plain[:head]))
    end = whole[len(whole.plain) - tail :] if tail else Text()
    while end.plain and (unicodedata.combining(end.plain[0]) or end.plain[0] in _JOINERS):
        end = end[1:]
    return Text.assemble(whole[:head], (_ELLIPSIS, whole.style), end, style=whole.style)


def name(text: str, style: str = "", cells: int = NAME) -> Text:
    """A name within a sentence, shortened where it is very long."""
    return shortened(Text(text.replace("\n", " "), style=style), cells)


def clipped(text: str, cells: int) -> str:
    """As much of the beginning of the text as fits into `cells` cells."""
    return text[: _fitting(text, cells)]


def listed(names: Sequence[str], style: str, most: int = _MOST_NAMED) -> list[str | Text]:
    """Names with commas between them, as pieces of a sentence; what is beyond `most` is counted."""
    shown = names[:most]
    pieces: list[str | Text] = [
        Text.assemble(name(task, style), "," if place < len(shown) else "") for place, task in enumerate(shown, 1)
    ]
    return pieces if len(shown) == len(names) else [*pieces, "and", f"{len(names) - len(shown):,}", "more"]


def filled(pieces: Iterable[str | Text], width: int) -> Iterator[Text]:
    """Pieces with spaces between them, in lines of at most `width` cells. A piece is broken only if it is wider than a line."""
    line = Text()
    for piece in pieces:
        part = piece if isinstance(piece, Text) else Text(piece)
        if line.plain and line.cell_len + 1 + part.cell_len > width:
            yield line
            line = Text()
        for start in _broken(shortened(part, _MOST_OF_A_WORD), width):
            if line.plain and line.cell_len + 1 + start.cell_len > width:
                yield line
                line = Text()
            line = Text.assemble(line, " ", start) if line.plain else start
    if line.plain:
        yield line


def _broken(part: Text, width: int) -> Iterator[Text]:
    while part.cell_len > width:
        cut = max(1, _fitting(part.plain, width))
        yield Text.assemble(part[:cut])
        part = Text.assemble(part[cut:])
    yield part


def _fitting(text: str, cells: int) -> int:
    """How many of the first characters fit."""
    used = 0
    for place, character in enumerate(text):
        used += cell_len(character)
        if used > cells:
            return place
    return len(text)
