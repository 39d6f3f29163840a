"""How the answers of a column are meant: as text, as a letter, as an index, or as free text. Decided once for all rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from taskweb.errors import InputError
from taskweb.tasks.reading.cell_texts import folded, is_missing, is_single, parsed, plain
from taskweb.tasks.reading.choices import LETTERS, Choices, is_right
from taskweb.tasks.reading.named_columns import Meaning
from taskweb.tasks.reading.table import name_key

Form = Literal["text", "letter", "index", "index-from-1", "labels", "free"]
IN_WORDS: Mapping[Form, str] = {
    "text": "texts of choices",
    "letter": "letters or labels of choices",
    "index": "places of choices, from 0",
    "index-from-1": "places of choices, from 1",
    "labels": "labels",
    "free": "free texts",
}
PLACE_NAMES = frozenset(
    {
        "label",
        "labels",
        "answer",
        "answers",
        "gold",
        "gold_label",
        "answer_key",
        "target",
        "targets",
        "answer_idx",
        "answer_index",
        "answer_id",
        "correct",
        "correct_answer_id",
        "correct_answer_idx",
        "correct_index",
        "correct_idx",
        "correct_option",
        "cop",
        "answer_right_ending",
    }
)
"""Columns in which a number or a letter may be the place of a choice even where it is also the text of one."""
_OTHER_PLACE = re.compile(r".*_(index|idx|ind|num|number|option|letter|key)")
_AROUND_LETTERS = " \t().:[]"
_BEFORE_LETTERS = re.compile(
    r"\s*(the\s+)?((correct\s+)?answer(\s+is\b|\s*:)|(option|choice)(?=[\s_:]*\(?\w{1,2}\)?\.?\s*$))[\s:_]*", re.IGNORECASE
)
_LETTER_AND_TEXT = re.compile(r"\s*\(?([A-Za-z0-9])[).:]+\s*([^\s).:].*)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.0+)?")
_TRUTH = {True: ("true", "yes", "correct", "1"), False: ("false", "no", "incorrect", "0")}
_FORMS: tuple[Form, ...] = ("text", "letter", "index", "index-from-1")


@dataclass(frozen=True, slots=True)
class Given:
    """The answer of a row as the file has it. texts: all right ones, none where it is unlabelled. is_truth: yes or no."""

    texts: tuple[str, ...] = ()
    is_truth: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A row with choices and its answer. line: its place in the file."""

    line: int
    given: Given
    choices: Choices


def given_answer(value: Any, where: str) -> Given:
    """The right answers in a value: one, a list, or a mapping such as {"text": [...]}; the same text once.

    Raises InputError for a value that contains no texts.
    """
    value = parsed(value) if isinstance(value, str) and value.strip()[:1] in ("{", "[") else value
    found = list(_texts(value, where))
    return Given(tuple(dict.fromkeys(found)), isinstance(value, bool))


def _texts(value: Any, where: str) -> list[str]:
    if is_missing(value):
        return []
    if is_single(value):
        return [plain(value)]
    if isinstance(value, Mapping):
        if is_right(value) is False:
            return []
        for names in (("text", "texts", "value", "spans", "answer", "answers", "input_text", "content"), ("aliases",)):
            present = next((value[name] for name in names if name in value), None)
            if present is not None:
                return [*_texts(present, where), *_texts(value.get("aliases") if names[0] != "aliases" else None, where)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item, where)]
    raise InputError(f"{where} must be text, a number, or a list of right answers. Got {type(value).__name__} instead.")


def place_of(given: Given, choices: Choices, form: Form) -> int | None:
    """The place of the answer among the choices when it is meant in this form; None where it does not fit."""
    if not given.texts or len(given.texts) > 1:
        return None
    text, texts = given.texts[0], choices.texts
    if form == "text":
        return _place_of_text(text, texts) if not given.is_truth else _place_of_truth(text == "True", texts)
    if form == "letter":
        return _place_of_letter(text, choices)
    if given.is_truth:
        says_yes_or_no = _place_of_truth(True, texts) is not None or _place_of_truth(False, texts) is not None
        return int(text == "True") if form == "index" and len(texts) == 2 and not says_yes_or_no else None
    if not _NUMBER.fullmatch(text):
        return None
    place = int(float(text)) - (form == "index-from-1")
    return place if 0 <= place < len(texts) else None


def decided(rows: Sequence[Answered], column: str, origin: str, *, certain_labels: bool, asked: Meaning = "auto") -> Form:
    """How all answers are meant.

    A text that is a choice is that choice. A letter or a number is a place only in a column whose name says so, or where texts
    do not fit. certain_labels: whether the file states labels of choices. asked: by a person; `auto` for what fits.
    Raises InputError where two meanings fit all rows and differ, and names a row that fits none.
    """
    if asked in _FORMS:
        _check(rows, asked, column, origin)
        return asked
    places = {form: [place_of(row.given, row.choices, form) for row in rows] for form in _FORMS}
    fitting = [form for form in _FORMS if None not in places[form]]
    if not fitting:
        numbers = all(_NUMBER.fullmatch(text) for row in rows for text in row.given.texts)
        order = sorted(_FORMS, key=lambda form: form != "index") if numbers else _FORMS
        best = max(order, key=lambda form: sum(place is not None for place in places[form]))
        _check(rows, best, column, origin)
        raise AssertionError("a form that does not fit has a row that does not fit")
    if len(fitting) > 1 and "index" in fitting:
        fitting = [form for form in fitting if form != "index-from-1"]  # places count from 0 unless that cannot be
    if certain_labels and "letter" in fitting and "text" not in fitting:
        return "letter"
    if fitting[0] == "text" and name_key(column) not in PLACE_NAMES and not _OTHER_PLACE.fullmatch(name_key(column)):
        return "text"
    others = [form for form in fitting[1:] if places[form] != places[fitting[0]]]
    if others and len(rows) > 0:
        _refuse(rows, column, origin, fitting[0], others[0], places)
    return fitting[0]


def differs(given: Given, choices: Choices) -> bool:
    """Whether the answer is a choice only when case and spaces do not count."""
    text = given.texts[0] if len(given.texts) == 1 and not given.is_truth else None
    return text is not None and text not in choices.texts and folded(text) in map(folded, choices.texts)


def _place_of_text(text: str, texts: Sequence[str]) -> int | None:
    if text in texts:
        return texts.index(text)
    found = [place for place, choice in enumerate(texts) if folded(choice) == folded(text)]
    if not found and _NUMBER.fullmatch(text):  # 2.0 among 1, 2, 3
        found = [place for place, choice in enumerate(texts) if _NUMBER.fullmatch(choice) and float(choice) == float(text)]
    if not found and folded(text) in ("true", "false"):
        return _place_of_truth(folded(text) == "true", texts)
    return found[0] if len({texts[place] for place in found}) == 1 else None


def _place_of_truth(value: bool, texts: Sequence[str]) -> int | None:
    """The choice that says yes or no."""
    words = [folded(text) for text in texts]
    return next((words.index(word) for word in _TRUTH[value] if word in words), None)


def _place_of_letter(text: str, choices: Choices) -> int | None:
    own = [label.casefold() for label in choices.labels]
    text = _BEFORE_LETTERS.sub("", text, count=1)
    spelled = _LETTER_AND_TEXT.fullmatch(text)
    if spelled is not None:  # "B. bird", if that is what B stands for
        place = _place_of_letter(spelled[1], choices)
        return place if place is not None and folded(choices.texts[place]) == folded(spelled[2]) else None
    bare = text.strip(_AROUND_LETTERS).casefold()
    if bare in own:
        return own.index(bare)
    place = LETTERS.casefold().find(bare) if len(bare) == 1 else -1
    return place if 0 <= place < len(choices.texts) and not own else None


def _check(rows: Sequence[Answered], form: Form, column: str, origin: str) -> None:
    """Raise InputError for the first row whose answer does not fit."""
    for row in rows:
        if place_of(row.given, row.choices, form) is None:
            raise no_choice(row, form, column, origin)


def no_choice(row: Answered, form: Form, column: str, origin: str) -> InputError:
    """The error for an answer that is none of the choices of its row."""
    texts, where = row.given.texts, f"{origin}, row {row.line}"
    if len(texts) > 1:
        return InputError(
            f"{where}: '{column}' has {len(texts)} right answers, but one of its choices must be right. Keep one."
        )
    listed = ", ".join(_short(choice) for choice in row.choices.texts[:8])
    if form == "text":
        return InputError(f"{where}: the answer '{_short(texts[0])}' is none of the choices {listed}. Fix the row.")
    if form == "letter":
        return InputError(f"{where}: the answer '{_short(texts[0])}' is no letter of the choices {listed}. Fix the row.")
    count = len(row.choices.texts)
    what = "the label" if name_key(column).startswith("label") else "the answer"
    return InputError(f"{where}: {what} {_short(texts[0])} is outside the {count} choices {listed}. Fix the row.")


def _refuse(
    rows: Sequence[Answered], column: str, origin: str, first: Form, second: Form, places: Mapping[Form, Sequence[int | None]]
) -> None:
    place = next(i for i, (one, other) in enumerate(zip(places[first], places[second], strict=True)) if one != other)
    row = rows[place]
    meant = [row.choices.texts[places[form][place] or 0] for form in (first, second)]
    raise InputError(
        f"{origin}: the answers in '{column}' fit as {IN_WORDS[first]} and as {IN_WORDS[second]}: in row {row.line}, "
        f"'{row.given.texts[0]}' is '{_short(meant[0])}' or '{_short(meant[1])}'. Say which with --answers-are "
        f"{first}|{second}."
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:37] + "..."
