"""Inputs that are longer than a model reads: what is cut from them, and how it is counted.

A text made from columns loses the end of its longest column, or the beginning where that column ends the text or a template
says so; any other text loses its beginning, whole shots first where it is few-shot. So what stands next to the answer stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from taskweb.tasks.task import Example, Side

Overflow = Literal["trim", "drop", "error"]
OVERFLOWS: tuple[Overflow, ...] = get_args(Overflow)
Span = tuple[int, int]
_SHOT = "\n\n"
_WORD = re.compile(r"\S+\s*")


@dataclass(frozen=True, slots=True)
class CutReport:
    """How inputs fitted a model: how many were longer than it reads, and by how much.

    inputs: all that were looked at. cut, dropped: of those, how many lost text, and how many were left out whole. tokens: what
    all cut ones lost together; most: what one lost at most. limit: tokens that an input may have. unaligned: in how many of
    those that were read a token reaches from the prompt into an answer.
    """

    inputs: int = 0
    cut: int = 0
    dropped: int = 0
    tokens: int = 0
    most: int = 0
    limit: int = 0
    unaligned: int = 0

    @classmethod
    def of(cls, lost: Sequence[int], limit: int, overflow: Overflow = "trim") -> CutReport:
        """From the tokens that each input loses, 0 for one that fits."""
        over = [tokens for tokens in lost if tokens]
        dropped = len(over) if overflow == "drop" else 0
        return cls(len(lost), len(over) - dropped, dropped, sum(over), max(over, default=0), limit)

    def __add__(self, other: CutReport) -> CutReport:
        return CutReport(
            self.inputs + other.inputs,
            self.cut + other.cut,
            self.dropped + other.dropped,
            self.tokens + other.tokens,
            max(self.most, other.most),
            max(self.limit, other.limit),
            self.unaligned + other.unaligned,
        )

    def __bool__(self) -> bool:
        """Whether any input was too long."""
        return bool(self.cut or self.dropped)

    def to_dict(self) -> dict[str, Any]:
        """What was too long, as plain JSON values."""
        return {name: getattr(self, name) for name in ("inputs", "cut", "dropped", "tokens", "most", "limit")}

    def lines(self, what: str) -> Iterator[str]:
        """For a person: what was too long, and how often a token reaches over the boundary; a line for each that happened."""
        if self:
            yield self.line(what)
        yield from self.boundary_lines(what)

    def boundary_lines(self, what: str) -> Iterator[str]:
        """For a person: how often a token reaches over the boundary; none where it never does."""
        if self.unaligned:
            yield (
                f"In {self.unaligned:,} of {self._inputs} of {what}, a token reaches from the prompt into an answer, "
                "so the prompt is read with other tokens"
            )

    def line(self, what: str, *, ahead: bool = False) -> str:
        """For a person: `12 of 400 inputs of rte were cut to fit into 128 tokens (1,024 tokens in all, at most 90 of one)`.

        ahead: they will be.
        """
        count, room = self.cut or self.dropped, f"{self.limit:,} tokens"
        fit, past = ("does", "was") if count == 1 else ("do", "were")
        verb = "will be" if ahead else past
        done = f"{verb} cut to fit into {room}" if self.cut else f"{fit} not fit into {room} and {verb} left out"
        return f"{count:,} of {self._inputs} of {what} {done} ({self.amount})"

    @property
    def _inputs(self) -> str:
        return f"{self.inputs:,} input{'' if self.inputs == 1 else 's'}"

    @property
    def amount(self) -> str:
        """How much was too long, for a person: `1,024 tokens in all, at most 90 of one`."""
        return f"{self.tokens:,} token{'' if self.tokens == 1 else 's'} in all, at most {self.most:,} of one"


def shortened(example: Example, fits: Callable[[str], bool]) -> Example | None:
    """The example with as little as possible cut from its input so that it fits; None where nothing may be cut any more.

    fits: whether a text is short enough. Words are cut whole.
    """
    if example.columns:
        return _with_shorter_columns(example, fits)
    blocks = _shots(example.input)
    while len(blocks) > 1 and not fits(_SHOT.join(blocks)):
        blocks = blocks[1:]
    text = _SHOT.join(blocks)
    found = text if fits(text) else _without_beginning(text, fits)
    return None if found is None else replace(example, input=found)


def _shots(text: str) -> list[str]:
    """The solved examples of a few-shot input and the question after them; the text as a whole where it is none.

    Shots are divided by blank lines and begin alike, up to a colon.
    """
    blocks = text.split(_SHOT)
    labels = {block.partition(":")[0].strip() if ":" in block.split("\n")[0] else "" for block in blocks}
    return blocks if len(labels) == 1 and "" not in labels else [text]


def _without_beginning(text: str, fits: Callable[[str], bool]) -> str | None:
    starts = [match.start() for match in _WORD.finditer(text)]
    if len(starts) < 2:  # one long word: cut within it
        starts = list(range(len(text)))
    place = _first(len(starts), lambda i: fits(text[starts[i] :]))
    return None if place is None else text[starts[place] :]


def _with_shorter_columns(example: Example, fits: Callable[[str], bool]) -> Example | None:
    """Cut the longest columns: all longer than some length to that length."""
    longest = max(end - begin for begin, end in example.columns)
    removed = _first(longest + 1, lambda cut: fits(_with_columns(example, longest - cut)[0]))
    if removed is None:
        return None
    text, places = _with_columns(example, longest - removed)
    return replace(example, input=text, columns=places)


def _with_columns(example: Example, longest: int) -> tuple[str, tuple[Span, ...]]:
    """The input with columns of at most `longest` characters, and where they stand in it."""
    text, last = example.input, len(example.input.rstrip())
    parts, places, done, length = [], [], 0, 0
    for begin, end in sorted(example.columns):
        column = text[begin:end]
        if len(column) > longest:
            column = _cut(column, longest, example.cut or ("left" if end >= last else "right"))
        parts += [text[done:begin], column]
        length += begin - done
        places.append((length, length + len(column)))
        length += len(column)
        done = end
    return "".join((*parts, text[done:])), tuple(places)


def _cut(column: str, longest: int, side: Side) -> str:
    """At most `longest` characters of a column, without its end or its beginning. Words are cut whole, if there are several."""
    if side == "right":
        part, beyond = column[:longest], column[longest : longest + 1]
        return (part.rpartition(" ")[0] if " " in part and not beyond.isspace() else part).rstrip()
    first = len(column) - longest
    part, before = column[first:], column[first - 1 : first]
    return (part.partition(" ")[2] if " " in part and not before.isspace() else part).lstrip()


def _first(count: int, is_true: Callable[[int], bool]) -> int | None:
    """The smallest index for which a condition is true, as it is for all later ones; None where it never is."""
    if not count or not is_true(count - 1):
        return None
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_true(middle) else (middle + 1, high)
    return low
