"""The choices of a row in their forms: a list, texts with labels, a mapping by letter, or one column each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.reading.cell_texts import clean, is_missing, is_single, parsed, plain
from taskweb.tasks.reading.table import Table

CHOICE_NAMES = (
    "choices",
    "options",
    "choice",
    "answer_choices",
    "endings",
    "candidates",
    "answer_options",
    "possible_answers",
    "alternatives",
    "mc1_targets",
    "target_scores",
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RIGHT_AND_WRONG = (
    ("correct_answer", ("incorrect_answers", "incorrect_answer", "wrong_answers", "distractors")),
    ("best_answer", ("incorrect_answers",)),
)
_PREFIXES = (
    "",
    "option",
    "options",
    "opt",
    "op",
    "choice",
    "choices",
    "answer",
    "ans",
    "ending",
    "sol",
    "solution",
    "candidate",
    "alternative",
    "sentence_quiz",
    "random_fifth_sentence_quiz",
    "hypothesis",
    "hyp",
)
_PLACES = ("correct_answer_id", "correct_answer_idx", "answer_idx", "answer_index", "correct_index", "correct_idx")
_NUMBERED = re.compile(r"^(?P<prefix>.*?)_?(?P<mark>\d{1,2}|[a-z])$")
_OTHER_PREFIX = re.compile(r".*_(option|choice|answer|ending)")
_RIGHT_FLAGS = ("correct", "is_correct", "isCorrect", "right", "is_right")
_LETTER_ROWS = (LETTERS.lower(), "0123456789", "123456789")


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of a row. labels: what a row calls each, where it says so; () otherwise. right: the place of the correct one,
    where the row itself says it.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    right: int | None = None


@dataclass(frozen=True, slots=True)
class ChoiceForm:
    """Where the choices of all rows are. columns: one with all of them, or one for each, named by `labels`.

    right: the column of the correct one, whose text is one of the choices; with it they are sorted, as their order would tell.
    labels_are_certain: whether a row states labels itself, so that an answer can mean nothing else.
    """

    columns: tuple[str, ...]
    labels: tuple[str, ...] = ()
    right: str | None = None

    @property
    def in_words(self) -> str:
        """The columns, for people."""
        return ", ".join((*((self.right,) if self.right else ()), *self.columns))

    def of_row(self, row: Mapping[str, Any], where: str) -> Choices | None:
        """The choices of a row; None where it has none. Raises InputError for a value that is no list of answers."""
        if self.right is not None:
            return _with_right(row, self.right, self.columns)
        if self.labels:
            texts = [(label, row.get(column)) for label, column in zip(self.labels, self.columns, strict=True)]
            filled = [(label, plain(text)) for label, text in texts if is_single(text) and not _is_blank(text)]
            return Choices(tuple(text for _, text in filled), tuple(label for label, _ in filled)) if filled else None
        return choices_of(row.get(self.columns[0]), f"{where}: '{self.columns[0]}'")


def choice_form(table: Table, named: str | None, besides: Sequence[str] = ()) -> ChoiceForm | None:
    """Where a file has its choices; None where it has none. named: the column that a person named."""
    if named is not None:
        return ChoiceForm((named,))
    column = table.first(CHOICE_NAMES, ("list", "mapping"), besides)
    if column is not None:
        return ChoiceForm((column.name,))
    for right, wrong in _RIGHT_AND_WRONG:
        found = _right_and_wrong(table, right, wrong)
        if found is not None:
            return found
    listed = table.first(("answers", "answer_list"), ("list",), besides)
    places = table.first(_PLACES) or table.first(("label", "gold", "correct", "correct_option"), ("number",))
    if listed is not None and listed.fewest > 1 and places is not None:
        return ChoiceForm((listed.name,))
    return _numbered(table, frozenset(besides)) or _odd_column(table, besides)


def choices_of(value: Any, where: str) -> Choices | None:
    """Choices from one value. Raises InputError for one that is no list of answers, None for nothing."""
    value = parsed(value)
    if _is_blank(value):
        return None
    if isinstance(value, str) and "|" in value:
        value = [part.strip() for part in value.split("|")]
    if isinstance(value, Mapping):
        return _of_mapping(value, where)
    if isinstance(value, list | tuple):
        while value and _is_padding(value[-1]):  # a row with fewer choices than others
            value = value[:-1]
        if not value:
            return None
        if all(isinstance(item, Mapping) for item in value):
            return _of_pairs(value, where)
        if all(is_single(item) for item in value):
            return Choices(tuple(plain(item) for item in value))
    raise InputError(
        f'{where} must be a list of answers such as ["yes", "no"], or null. Map another column with --choices-column.'
    )


def _of_mapping(value: Mapping[str, Any], where: str) -> Choices | None:
    """`text` and `label`, `choices` and `labels` of which one is 1, or a text for each letter."""
    texts = next((value[name] for name in ("text", "texts", "choices") if isinstance(value.get(name), list | tuple)), None)
    labels = next((value[name] for name in ("label", "labels") if isinstance(value.get(name), list | tuple)), None)
    if texts is not None and all(map(is_single, texts)):
        if labels is None or len(labels) != len(texts):
            return Choices(tuple(map(plain, texts))) if texts else None
        if "choices" in value and sorted(map(str, labels)) == [*["0"] * (len(labels) - 1), "1"]:
            return Choices(tuple(map(plain, texts)), right=[str(label) for label in labels].index("1"))
        return Choices(tuple(map(plain, texts)), tuple(map(plain, labels)))
    scores = list(value.values())
    if all(isinstance(score, int | float) for score in scores) and sorted(scores) == [*[0] * (len(scores) - 1), 1]:
        return Choices(tuple(map(clean, value)), right=scores.index(1))  # BIG-bench: the right text has the score 1
    pairs = [(str(label), text) for label, text in value.items() if not _is_blank(text)]
    if pairs and all(is_single(text) for _, text in pairs):
        return Choices(tuple(plain(text) for _, text in pairs), tuple(clean(label) for label, _ in pairs))
    raise InputError(f"{where} must be a list of answers, or texts with labels. Map another column with --choices-column.")


def _of_pairs(value: Sequence[Mapping[str, Any]], where: str) -> Choices:
    """A list of {label, text}."""
    found = []
    flags = [is_right(item) for item in value]
    if None not in flags and flags.count(True) > 1:
        raise InputError(f"{where} has {flags.count(True)} right answers, but one of its choices must be right. Keep one.")
    right = flags.index(True) if None not in flags and True in flags else None
    for item in value:
        text = next((item[name] for name in ("text", "content", "value", "answer") if is_single(item.get(name))), None)
        label = next((item[name] for name in ("label", "key", "id", "letter") if is_single(item.get(name))), None)
        if text is None:
            raise InputError(f"{where} must be a list of answers, each with a text. Map another column with --choices-column.")
        found.append((plain(text), None if label is None else plain(label)))
    labels = tuple(label for _, label in found if label is not None)
    return Choices(tuple(text for text, _ in found), labels if len(labels) == len(found) else (), right)


def is_right(answer: Mapping[str, Any]) -> bool | None:
    """Whether an answer among others says that it is right; None where it does not say."""
    flag = next((answer[name] for name in _RIGHT_FLAGS if isinstance(answer.get(name), bool | int)), None)
    return None if flag is None else bool(flag)


def _with_right(row: Mapping[str, Any], right: str, wrong: Sequence[str]) -> Choices | None:
    """The right answer among wrong ones, in the order of their texts."""
    texts: list[str] = []
    for column in wrong:
        value = parsed(row.get(column))
        texts += [plain(item) for item in (value if isinstance(value, list | tuple) else [value]) if not _is_blank(item)]
    own = row.get(right)
    if not texts or not is_single(own) or _is_blank(own):
        return Choices(tuple(sorted(texts))) if texts else None
    return Choices(tuple(sorted({*texts, plain(own)})))


def _right_and_wrong(table: Table, right: str, wrong: Sequence[str]) -> ChoiceForm | None:
    own = table.first((right,))
    if own is None:
        return None
    together = table.first(wrong, ("list",))
    if together is not None:
        return ChoiceForm((together.name,), right=own.name)
    single = [column.name for key, column in table.columns.items() if re.fullmatch(r"(distractor|incorrect_answer)_?\d", key)]
    return ChoiceForm(tuple(single), right=own.name) if single else None


def _numbered(table: Table, besides: frozenset[str]) -> ChoiceForm | None:
    """Columns that differ by a letter or a number at their end, from the first on: A, B, C or option1, option2."""
    marks: dict[str, dict[str, str]] = {}
    for key, column in table.columns.items():
        found = _NUMBERED.match(key)
        if (
            found is not None
            and (found["prefix"] in _PREFIXES or _OTHER_PREFIX.fullmatch(found["prefix"]))
            and column.name not in besides
        ):
            marks.setdefault(found["prefix"], {})[found["mark"]] = column.name
    for prefix in dict.fromkeys((*_PREFIXES, *marks)):
        own = marks.get(prefix, {})
        for row in _LETTER_ROWS:
            present = [mark for mark in row if mark in own]
            if len(present) > 1 and present == list(row[: len(present)]) and (prefix or row is _LETTER_ROWS[0]):
                labels = tuple(mark.upper() for mark in present)
                return ChoiceForm(tuple(own[mark] for mark in present), labels)
    return None


def _odd_column(table: Table, besides: Sequence[str]) -> ChoiceForm | None:
    """A column with the name of choices and other values than lists: texts divided by bars, or nothing at all."""
    column = table.first(CHOICE_NAMES[:2], (), besides)
    return None if column is None else ChoiceForm((column.name,))


def _is_padding(value: Any) -> bool:
    """Whether there is nothing, not even a space, which would be a choice without tokens."""
    return value is None or value == "" or (isinstance(value, float) and is_missing(value))


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and is_missing(value))
