"""How a file was understood, and its rows as examples: one record that every command uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.reading.answer_meanings import IN_WORDS, Answered, Form, Given, given_answer, no_choice, place_of
from taskweb.tasks.reading.cell_texts import clean, is_false, parsed
from taskweb.tasks.reading.chat_turns import Chat, Turn, chat_of, divided_dialogue, text_of, turns_of
from taskweb.tasks.reading.choices import Choices
from taskweb.tasks.reading.column_shapes import Shape, nested_texts
from taskweb.tasks.reading.labels import without_zeros
from taskweb.tasks.reading.named_columns import INPUT, OUTPUT, Columns, missing_column
from taskweb.tasks.reading.table import kind_of
from taskweb.tasks.task import Example, TaskKind

UNLABELLED = "-1"
_PLAIN_FORMS = ("JSON lines", "CSV with commas", "TSV with tabs", "Parquet")
_MOST_LISTED = 6


@dataclass(frozen=True, slots=True)
class Counts:
    """What was found in the rows that were looked at. rows: how many. complete: whether these are all.

    unlabelled: without an answer. respelled: answers that differ from their choice by case or spaces. merged: rows with one
    choice twice. after: chats in which more was said after the answer. several: with several right answers.
    empty: with an empty input.
    """

    rows: int = 0
    complete: bool = True
    unlabelled: int = 0
    respelled: int = 0
    merged: int = 0
    after: int = 0
    several: int = 0
    empty: int = 0

    def in_words(self, *, has_answers: bool) -> Iterator[str]:
        """A part of a sentence for each that is not 0."""
        of = "" if self.complete else f" of the first {self.rows:,}"
        if self.unlabelled and has_answers:
            yield f"{_rows(self.unlabelled)}{of} without an answer"
        if self.respelled:
            yield (
                f"{self.respelled:,} answer{'' if self.respelled == 1 else 's'}{of} differ{'s' if self.respelled == 1 else ''} "
                "from a choice by case or spaces"
            )
        if self.merged:
            yield f"{_rows(self.merged)}{of} with one choice twice, taken once"
        if self.after:
            yield f"{_rows(self.after)}{of} go on after the last answer, which is not read"
        if self.several:
            yield f"{_rows(self.several)}{of} with several right answers"
        if self.empty:
            yield f"{_rows(self.empty)}{of} with an empty input, left out"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file was understood.

    origin: its name. form: its format, in words. shape: its columns. answers: how answers are meant. labels: the choices of all
    rows where answers are labels; None otherwise. names: names of the numbers in the answer's column, as the file states them.
    columns: what a person named. unused: columns that nothing reads. notes: of the reader of the format.
    marks: texts that say that a row has no label, such as -1. zeros: whether labels are written as 1.0.
    nested: columns of mappings, which are read as columns `outer.inner`. commas: whether answers are numbers with a decimal
    comma, which is written as a point. stated: whether rows themselves say which of their choices is right.
    """

    origin: str
    form: str
    shape: Shape
    answers: Form
    columns: Columns = field(default_factory=Columns)
    labels: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    marks: frozenset[str] = frozenset()
    nested: tuple[str, ...] = ()
    zeros: bool = False
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    counts: Counts = field(default_factory=Counts)
    regression: bool = False
    commas: bool = False
    stated: bool = False

    @property
    def kind(self) -> TaskKind | None:
        """The kind of task, where the file shows it."""
        return self.shape.kind or ("regression" if self.regression else None)

    @property
    def is_plain(self) -> bool:
        """Whether the file is as taskweb writes it, so that nothing about it needs to be said."""
        shape, choices = self.shape, self.shape.choices
        usual = (
            shape.inputs == (INPUT,) and shape.answer in (None, OUTPUT) and (choices is None or choices.columns == ("choices",))
        )
        nothing = not (self.unused or self.notes or self.labels or any(self.counts.in_words(has_answers=True)))
        return usual and nothing and self.answers in ("text", "free") and self.form in _PLAIN_FORMS

    @property
    def line(self) -> str:
        """One line that says it."""
        shape = self.shape
        inputs = " + ".join(
            (*((shape.system,) if shape.system else ()), *((shape.history,) if shape.history else ()), *shape.inputs)
        )
        parts = [f"{self.form}, {shape.name}: input from {inputs}"]
        parts.append(self._without_answers() if shape.answer is None and not self._row_says else self._answers_in_words())
        parts += self.counts.in_words(has_answers=shape.answer is not None or self.stated)
        if self.unused:
            parts.append(f"not used: {', '.join(self.unused)}")
        return clean("; ".join([*parts, *self.notes]))

    @property
    def _row_says(self) -> bool:
        return self.shape.choices is not None and self.shape.answer is None and self.stated

    def _without_answers(self) -> str:
        return "no answers" if self.shape.choices is None else f"no answers; choices from {self.shape.choices.in_words}"

    def _answers_in_words(self) -> str:
        shape = self.shape
        judged = f" where {shape.judged} is not false" if shape.judged else ""
        begin = f"answer from {shape.answer}{judged}: " if shape.answer else ""
        if self.labels is not None:
            listed = ", ".join(self.labels[:_MOST_LISTED]) + (", ..." if len(self.labels) > _MOST_LISTED else "")
            what = "numbers of names" if self.names else "labels"
            return f"{begin}{len(self.labels)} {what}, which are the choices ({listed})"
        if shape.choices is None or self.answers == "free":
            return f"{begin}{IN_WORDS[self.answers]}"
        meant = IN_WORDS[self.answers] if shape.answer else "the answer stands with the choices"
        return f"{begin}{meant}; choices from {shape.choices.in_words}"

    def example(self, row: Mapping[str, Any], line: int) -> Example | None:
        """A row as an example; None for an empty input. Raises InputError, with the place, for a row that cannot be used."""
        row = unnested(row, self.nested)
        self._check_columns(row, line)
        parts, given = self.texts(row, line)
        text = "\n".join(parts)
        if not text.strip():
            return None
        output, choices, references = self._answer(row, given, line)
        return Example(text, output, choices, columns=spans_of(parts), row=line, references=references)

    def where(self, line: int) -> str:
        """The place of a row, for messages."""
        return f"{self.origin}, row {line}"

    def texts(self, row: Mapping[str, Any], line: int) -> tuple[list[str], Given]:
        """The texts that make the input of a row, and its answer as given."""
        shape = self.shape
        if shape.chat:
            chat = self.chat(row, line)
            return [chat.input], Given(() if chat.answer is None or not chat.answer.strip() else (chat.answer,))
        system = [text] if shape.system and (text := self._text(row.get(shape.system), shape.system, line)) else []
        if shape.answer is not None and shape.answer in shape.inputs:  # a translation: two texts in one mapping
            both = list(nested_texts(parsed(row.get(shape.answer))))
            return [*system, *both[:1]], Given(tuple(both[1:2]))
        parts = [text for name in shape.inputs if (text := self._text(row.get(name), name, line)) is not None]
        if not shape.named:
            parts = [text for text in parts if text.strip()]
        return [*system, *self._after_history(row, parts, line)], self.given(row, line)

    def chat(self, row: Mapping[str, Any], line: int) -> Chat:
        """The chat of a row."""
        name = self.shape.inputs[0]
        value, where = parsed(row.get(name)), f"{self.where(line)}, '{name}'"
        system = row.get(self.shape.system) if self.shape.system else None
        if row.get("tools") not in (None, "", [], "[]"):
            raise InputError(f"{self.where(line)} has tools. taskweb reads chats of texts: leave the row out.")
        if isinstance(value, str):
            divided = divided_dialogue(clean(value))
            if divided is None:
                raise InputError(f"{where} has neither turns nor 'Human:' and 'Assistant:'. Name its columns.")
            return Chat(*divided)
        if value is None:
            return Chat("", None)
        return chat_of(turns_of(value, where), clean(system) if isinstance(system, str) else None)

    def given(self, row: Mapping[str, Any], line: int) -> Given:
        """The answer of a row as the file has it."""
        if self.shape.answer is None:
            return Given()
        if self.shape.judged is not None and is_false(row.get(self.shape.judged)):
            return Given()
        value, where = row.get(self.shape.answer), f"{self.where(line)}: '{self.shape.answer}'"
        if kind_of(value) == "turns":
            answer = chat_of(turns_of(value, where)).answer
            return Given(() if answer is None else (answer,))
        found = given_answer(value, where)
        if self.zeros:
            found = Given(tuple(map(without_zeros, found.texts)), found.is_truth)
        if self.commas:
            found = Given(tuple(text.replace(",", ".") for text in found.texts))
        return Given() if self.marks.issuperset(found.texts) else found

    def choices_of(self, row: Mapping[str, Any], line: int) -> Choices | None:
        """The choices of a row, in their order, perhaps one twice."""
        form = self.shape.choices
        return None if form is None or self.columns.answers == "free" else form.of_row(row, self.where(line))

    def _check_columns(self, row: Mapping[str, Any], line: int) -> None:
        for column, option in self.columns.named().items():
            if column not in row:
                raise missing_column(column, option, row, line, self.origin)
        if not any(column in row for column in self.shape.inputs):
            raise missing_column(self.shape.inputs[0], "--input-column", row, line, self.origin)

    def _text(self, value: Any, column: str, line: int) -> str | None:
        """The text of an input's column; None where it has none."""
        if value is None:
            return None
        if isinstance(value, str):
            return clean(value)
        if kind_of(value) == "turns":
            return text_of(turns_of(value, f"{self.where(line)}, '{column}'"))
        if isinstance(value, list | tuple | Mapping) and (texts := list(nested_texts(value))):
            return clean("\n".join(texts))
        if isinstance(value, list | tuple | Mapping) and not value:
            return None
        raise InputError(f"{self.where(line)}: '{column}' must be text. Got {type(value).__name__} instead.")

    def _after_history(self, row: Mapping[str, Any], parts: list[str], line: int) -> list[str]:
        """The texts of an input after the earlier turns, where there are some."""
        history = None if self.shape.history is None else row.get(self.shape.history)
        if not history:
            return parts
        if not isinstance(history, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in history):
            raise InputError(f"{self.where(line)}: '{self.shape.history}' must be a list of pairs of a question and an answer.")
        turns = [
            Turn(role, clean(str(text))) for pair in history for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        return [text_of([*turns, Turn("user", "\n".join(parts))])]

    def _answer(
        self, row: Mapping[str, Any], given: Given, line: int
    ) -> tuple[str | None, tuple[str, ...] | None, tuple[str, ...]]:
        """The answer, the choices, and all right answers where they are free and several."""
        choices = self.choices_of(row, line)
        if choices is None and self.labels is not None:
            choices = Choices(self.labels)
        if choices is None:
            several = given.texts if len(given.texts) > 1 else ()
            return (given.texts[0] if given.texts else None), None, several
        merged = tuple(dict.fromkeys(choices.texts))
        if choices.right is not None:
            return choices.texts[choices.right], merged, ()
        if not given.texts or is_mark(given, choices):
            return None, merged, ()
        form: Form = "index" if self.names else "text" if self.answers in ("labels", "free") else self.answers
        place = place_of(given, choices, form)
        if place is None:
            raise no_choice(Answered(line, given, choices), form, self.shape.answer or "answer", self.origin)
        return choices.texts[place], merged, ()


def is_mark(given: Given, choices: Choices) -> bool:
    """Whether an answer says that a row with choices has none: -1, where that is no choice."""
    return len(given.texts) == 1 and without_zeros(given.texts[0]) == UNLABELLED and given.texts[0] not in choices.texts


def unnested(row: Mapping[str, Any], nested: Sequence[str]) -> Mapping[str, Any]:
    """A row with the entries of these columns as columns of their own, `outer.inner`."""
    if not nested:
        return row
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in nested and isinstance(value, Mapping):
            found |= {f"{name}.{inner}": own for inner, own in value.items()}
        else:
            found[name] = value
    return found


def spans_of(parts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Where each of several texts that are joined by a newline stands; () for a single one."""
    ends = list(accumulate(len(part) + 1 for part in parts))
    return tuple((end - 1 - len(part), end - 1) for end, part in zip(ends, parts, strict=True)) if len(parts) > 1 else ()


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
