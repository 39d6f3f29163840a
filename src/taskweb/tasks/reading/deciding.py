"""Deciding how a file is to be understood, once, from its rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol

from taskweb.errors import InputError
from taskweb.tasks.reading.answer_meanings import Answered, Form, Given, decided, differs
from taskweb.tasks.reading.column_shapes import CLASS_OR_NUMBER, NUMBER_NAMES, ONLY_TEXT, Shape, check_one_question, shape_of
from taskweb.tasks.reading.file_facts import FileFacts, Row
from taskweb.tasks.reading.labels import are_numbers, have_commas, have_zeros, labels_of, marks_in, without_zeros
from taskweb.tasks.reading.named_columns import INPUT, Columns, missing_column
from taskweb.tasks.reading.reading import UNLABELLED, Counts, Reading, is_mark, unnested
from taskweb.tasks.reading.table import Table, name_key

MOST_ROWS, MOST_CHARACTERS = 200_000, 256 * 1024 * 1024  # that are looked at before anything is decided
MOST_REMOTE_ROWS = 1_000
_ROWS_FOR_SHAPE = 1_000
_PLACES: tuple[Form, ...] = ("text", "letter", "index", "index-from-1")


class Source(Protocol):
    """Rows with what is known of their file."""

    @property
    def origin(self) -> str:
        """The name of the file."""
        ...

    @property
    def facts(self) -> FileFacts:
        """What reading has shown so far."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether reading on costs a download."""
        ...

    def __iter__(self) -> Iterator[Row]:
        """The rows."""
        ...


@dataclass(frozen=True, slots=True)
class Understood:
    """Rows, and how they are to be understood. reading: None for no rows at all. rows: all of them, from the first on."""

    reading: Reading | None
    rows: Iterator[Row]


def understood(source: Source, columns: Columns | None = None) -> Understood:
    """Look at the rows of a source, as many as memory allows, and decide how to read them.

    Raises InputError for rows that cannot be read, and where two ways to read them fit and differ.
    """
    rows = iter(source)
    looked, fault, complete = _looked_at(rows, MOST_REMOTE_ROWS if source.is_remote else MOST_ROWS)
    if not looked:
        if fault is not None:
            raise fault
        return Understood(None, iter(()))
    reading = decide(looked, source.origin, source.facts, columns or Columns(), complete=complete and fault is None)
    rest: Iterable[Row] = rows if fault is None else _raising(fault)
    return Understood(reading, chain(looked, rest))


def decide(
    rows: Sequence[Row], origin: str, facts: FileFacts, columns: Columns, *, complete: bool = True, labels: bool = True
) -> Reading:
    """How these rows are to be understood. complete: whether they are all of a file. labels: whether answers may be labels."""
    first = [row for _, row in islice(rows, _ROWS_FOR_SHAPE)]
    table = Table.of(first)
    nested: tuple[str, ...] = ()
    shape = shape_of(table, columns)
    if shape is None or shape.name == ONLY_TEXT:
        mappings = tuple(column.name for column in table.columns.values() if column.kinds == {"mapping"})
        inner = shape_of(Table.of(unnested(row, mappings) for row in first), columns) if mappings else None
        if inner is not None and (shape is None or inner.chat):
            shape, nested = inner, mappings
    if shape is None:
        line, row = rows[0]
        raise missing_column(INPUT, "--input-column", row, line, origin)
    if not shape.named:
        check_one_question(table, shape, origin)
        if facts.form.startswith(("CSV", "TSV")):
            _check_header(first, shape, origin)
    begin = Reading(origin, facts.form, shape, "free", columns, nested=nested, notes=tuple(facts.notes))
    names = facts.label_names.get(shape.answer or "")
    found = _Answers(begin, rows)
    reading = found.meant(names, labels=labels)
    return dataclasses.replace(reading, unused=_unused(rows, reading), counts=found.counts(reading, complete=complete))


def _check_header(rows: Sequence[Mapping[str, Any]], shape: Shape, origin: str) -> None:
    """Raise InputError where the names of columns are values, as in a table without a header."""
    names = [name for name in rows[0] if not name.startswith("(column ")]
    again = [name for name in names if any(row.get(name) == name for row in rows)]
    if again and (len(again) == len(names) > 1 or (shape.name == ONLY_TEXT and len(shape.inputs[0].split()) > 1)):
        raise InputError(
            f"{origin} seems to have no header, or two: '{again[0]}' is the name of a column and a value in it. Give it one "
            "line with the names of its columns, such as text and label."
        )


class _Answers:
    """The answers and choices of rows. Rows that cannot be read are left out; reading them raises the error."""

    def __init__(self, begin: Reading, rows: Sequence[Row]) -> None:
        self.begin = begin
        self.rows = rows
        self.given: list[Given] = []
        self.answered: list[Answered] = []
        self.after = self.merged = self.marked = self.unsaid = self.empty = 0
        self.has_choices = self.row_says = False
        for line, row in rows:
            with suppress(InputError):
                self._add(unnested(row, begin.nested), line)

    def _add(self, row: Mapping[str, Any], line: int) -> None:
        begin = self.begin
        parts, given = begin.texts(row, line)
        if not "".join(parts).strip():
            self.empty += 1
            return
        choices = begin.choices_of(row, line)
        if begin.shape.chat:
            self.after += begin.chat(row, line).after > 0
        self.given.append(given)
        if choices is None:
            return
        self.has_choices = True
        self.row_says |= choices.right is not None
        self.unsaid += choices.right is None and not given.texts
        self.merged += len(set(choices.texts)) < len(choices.texts)
        if is_mark(given, choices):
            self.marked += 1
        elif given.texts:
            self.answered.append(Answered(line, given, choices))

    def meant(self, names: tuple[str, ...] | None, *, labels: bool) -> Reading:
        """How they are meant."""
        begin, asked = self.begin, self.begin.columns.answers
        if asked == "free" or begin.shape.chat:
            return begin
        if self.has_choices:
            return self._places(begin)
        if asked in _PLACES:
            raise InputError(
                f"{begin.origin} has no choices, so its answers cannot be meant as '{asked}'. Name the column of choices with "
                "--choices-column."
            )
        if names is not None:
            return dataclasses.replace(begin, labels=names, names=names, marks=frozenset({UNLABELLED}), zeros=True)
        stated_free = begin.shape.choices is not None
        if begin.shape.answer is None or (asked == "auto" and (stated_free or not labels or begin.shape.kind is not None)):
            return begin
        return self._labels(begin)

    def _places(self, begin: Reading) -> Reading:
        form, column = begin.shape.choices, begin.shape.answer
        if column is None or self.row_says or (form is not None and form.right is not None):
            return dataclasses.replace(begin, answers="text", stated=self.row_says)
        certain = form is not None and not form.labels and any(row.choices.labels for row in self.answered)
        asked = begin.columns.answers
        meant = decided(self.answered, column, begin.origin, certain_labels=certain, asked=asked) if self.answered else "text"
        return dataclasses.replace(begin, answers=meant)

    def _labels(self, begin: Reading) -> Reading:
        """The answers of a file without choices: labels, numbers, or free texts."""
        column = begin.shape.answer or ""
        single = [given.texts[0] for given in self.given if len(given.texts) == 1]
        if any(len(given.texts) > 1 for given in self.given):
            return begin
        has_room = begin.form.endswith(("semicolons", "tabs"))  # for commas within numbers
        if has_room and name_key(column) in NUMBER_NAMES - CLASS_OR_NUMBER and have_commas(single):
            return dataclasses.replace(begin, commas=True, regression=True)
        zeros = have_zeros(single)
        answers = [without_zeros(text) for text in single] if zeros else single
        marks = marks_in(answers, column)
        answers = [answer for answer in answers if answer not in marks]
        asked = begin.columns.answers == "labels"
        labels = tuple(sorted(set(answers))) if asked else labels_of(answers, column)
        if labels is None:
            return dataclasses.replace(begin, marks=marks, regression=name_key(column) in NUMBER_NAMES and are_numbers(single))
        return dataclasses.replace(begin, answers="labels", labels=labels, marks=marks, zeros=zeros)

    def counts(self, reading: Reading, *, complete: bool) -> Counts:
        """What a person should know of these rows."""
        none = sum(reading.marks.issuperset(map(without_zeros, given.texts)) for given in self.given)
        respelled = 0
        if reading.answers == "text":
            respelled = sum(differs(row.given, row.choices) for row in self.answered)
        several = sum(len(given.texts) > 1 for given in self.given) if reading.answers == "free" else 0
        unlabelled = self.unsaid if self.row_says else none + self.marked
        return Counts(len(self.rows), complete, unlabelled, respelled, self.merged, self.after, several, self.empty)


def _unused(rows: Sequence[Row], reading: Reading) -> tuple[str, ...]:
    """The columns that nothing reads, in their order."""
    read = reading.shape.read | set(reading.columns.group)
    names = dict.fromkeys(str(name) for _, row in rows for name in unnested(row, reading.nested))
    return tuple(name for name in names if name not in read)


def _looked_at(rows: Iterator[Row], most: int) -> tuple[list[Row], InputError | None, bool]:
    """Rows from the beginning, the fault that ended them, and whether they are all."""
    found: list[Row] = []
    characters = 0
    try:
        for line, row in rows:
            found.append((line, row))
            characters += sum(len(value) for value in row.values() if isinstance(value, str))
            if len(found) >= most or characters > MOST_CHARACTERS:
                return found, None, False
    except InputError as fault:
        return found, fault, False
    return found, None, True


def _raising(fault: InputError) -> Iterator[Row]:
    raise fault
    yield
