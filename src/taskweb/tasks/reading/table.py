"""What the first rows of a file show about its columns: their names, and what kinds of values they contain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from taskweb.tasks.reading.cell_texts import is_missing, parsed

Kind = Literal["text", "number", "bool", "list", "mapping", "turns"]
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ROLE_KEYS = ("role", "from")
PAIRED = (("input", "output"), ("user", "assistant"), ("human", "assistant"), ("human", "gpt"), ("prompt", "response"))
"""Names of the two sides where an item of a chat has both."""
_TEXT_IN = ("question", "document", "passage", "context", "article", "answer")
MOST_DISTINCT = 50


def name_key(name: str) -> str:
    """A column's name as it is compared: case, and what divides words, do not count. `answerKey` is `answer_key`.

    Of a name with dots, as nested columns have it, the last part counts, but the first of `question.text`.
    """
    outer, _, last = name.strip().rpartition(".")
    if last == "text" and outer.lower() in _TEXT_IN:
        last = outer
    last = last or name.strip()
    return re.sub(r"[\s\-.]+", "_", _WORDS.sub("_", last).lower())


@dataclass(frozen=True, slots=True)
class Column:
    """A column. kinds: of its values, where there are some. longest: most characters of a text. filled: how many values there
    are; values: the different ones, as texts, at most `MOST_DISTINCT`. fewest: items of the shortest list, or 0.
    """

    name: str
    kinds: frozenset[Kind]
    longest: int = 0
    filled: int = 0
    values: frozenset[str] = frozenset()
    fewest: int = 0

    @property
    def distinct(self) -> int:
        """How many different values there are, at most `MOST_DISTINCT`."""
        return len(self.values)

    @property
    def is_text(self) -> bool:
        """Whether all values are texts."""
        return self.kinds == {"text"}

    @property
    def is_empty(self) -> bool:
        """Whether there is no value."""
        return not self.kinds

    @property
    def repeats(self) -> bool:
        """Whether few different single values repeat."""
        is_single = self.kinds <= {"text", "number", "bool"}
        return is_single and 2 <= self.distinct < MOST_DISTINCT and 2 * self.distinct <= self.filled


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file in their order, by the key of their name; the first of several with one key."""

    columns: Mapping[str, Column]
    names: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Table:
        """What these rows show."""
        seen: dict[str, _Seen] = {}
        for row in rows:
            for name, value in row.items():
                seen.setdefault(str(name), _Seen()).add(value)
        columns: dict[str, Column] = {}
        for name, own in sorted(seen.items(), key=lambda item: item[0] != name_key(item[0])):
            columns.setdefault(name_key(name), own.column(name))
        return cls(columns, tuple(seen))

    def first(self, keys: Iterable[str], kinds: Sequence[Kind] = (), besides: Iterable[str] = ()) -> Column | None:
        """The first of these columns that there is, with values only of these kinds (of any, where none are given)."""
        taken = frozenset(besides)
        for key in keys:
            column = self.columns.get(key)
            if column is None or column.name in taken:
                continue
            if not kinds or (column.kinds and column.kinds <= set(kinds)):
                return column
        return None

    def optional(self, keys: Iterable[str], kinds: Sequence[Kind]) -> Column | None:
        """The first of these columns that there is with no other values than of these kinds, perhaps with none at all."""
        found = (self.columns[key] for key in keys if key in self.columns)
        return next((column for column in found if column.kinds <= set(kinds)), None)


class _Seen:
    """The values of a column that were seen."""

    def __init__(self) -> None:
        self.kinds: set[Kind] = set()
        self.values: set[str] = set()
        self.longest = self.filled = 0
        self.fewest: int | None = None

    def add(self, value: Any) -> None:
        if (kind := kind_of(value)) is None:
            return
        self.kinds.add(kind)
        self.filled += 1
        if kind == "list":
            items = len(parsed(value))
            self.fewest = items if self.fewest is None else min(self.fewest, items)
        if isinstance(value, str):
            self.longest = max(self.longest, len(value))
        if len(self.values) < MOST_DISTINCT and isinstance(value, str | int | float):
            self.values.add(str(value)[:100])

    def column(self, name: str) -> Column:
        return Column(name, frozenset(self.kinds), self.longest, self.filled, frozenset(self.values), self.fewest or 0)


def kind_of(value: Any) -> Kind | None:
    """What kind of value it is; None for nothing. A text that spells a list or mapping is one."""
    if isinstance(value, str):
        if is_missing(value):
            return None
        found = parsed(value)
        return "text" if isinstance(found, str | bool | int | float) else kind_of(found) or "text"
    if is_missing(value):
        return None
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, Mapping):
        return "mapping"
    if isinstance(value, list | tuple) and not value:
        return None
    if isinstance(value, list | tuple):
        return "turns" if all(is_turn(item) for item in value) else "list"
    return "text"


def is_turn(value: Any) -> bool:
    """Whether a value is a turn of a chat, or a pair of them."""
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(value.get(key), str) for key in _ROLE_KEYS) or pair_of(value) is not None


def pair_of(value: Mapping[str, Any]) -> tuple[str, str] | None:
    """What both sides say in a pair such as {'input': ..., 'output': ...}; None for anything else."""
    for names in PAIRED:
        first, second = (value.get(name) for name in names)
        if isinstance(first, str) and isinstance(second, str):
            return first, second
    return None
