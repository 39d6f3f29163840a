"""Which columns a person names, and how they say that answers are meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from taskweb.errors import InputError, unknown_name
from taskweb.tasks.reading.cell_texts import clean

Meaning = Literal["auto", "text", "letter", "index", "index-from-1", "labels", "free"]
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)
INPUT, OUTPUT, CHOICES = "input", "output", "choices"
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of columns. Several input columns are joined by a newline. What nobody names is found by its name and content.

    required: columns that must exist, because the user named them.
    group: columns that identify the underlying example of a row.
    answers: how answers are meant: `text` of a choice, its `letter`, its `index` from 0, `index-from-1`; `labels`: the
    different answers are the choices; `free` text; `auto`: decided by the column's values.
    Raises NameNotFoundError for another meaning.
    """

    input: tuple[str, ...] = (INPUT,)
    output: str = OUTPUT
    choices: str = CHOICES
    required: frozenset[str] = frozenset()
    group: tuple[str, ...] = ()
    answers: Meaning = "auto"

    def __post_init__(self) -> None:
        if self.answers not in MEANINGS:
            raise unknown_name("way to mean an answer", self.answers, MEANINGS)

    @property
    def names_input(self) -> bool:
        """Whether a person named the input."""
        return self.input != (INPUT,) or INPUT in self.required

    @property
    def names_output(self) -> bool:
        """Whether a person named the answer."""
        return self.output != OUTPUT or OUTPUT in self.required

    @property
    def names_choices(self) -> bool:
        """Whether a person named the choices."""
        return self.choices != CHOICES or CHOICES in self.required

    def named(self) -> dict[str, str]:
        """The columns that must exist, and the option that names each."""
        named = dict.fromkeys(self.input, "--input-column") if self.names_input else {}
        if self.output in self.required:
            named[self.output] = "--output-column"
        if self.choices in self.required:
            named[self.choices] = "--choices-column"
        return named


class MissingColumnError(InputError):
    """A requested column that does not exist."""


def missing_column(column: str, option: str, row: Mapping[str, Any], line: int, origin: str) -> MissingColumnError:
    """The error for a column that a row lacks."""
    found = ", ".join(str(key) for key in list(row)[:_MOST_SHOWN]) or "none"
    return MissingColumnError(
        f"{origin}, row {line}: there is no column '{column}'. Columns found: {clean(found)}. Name the right one with {option}."
    )
