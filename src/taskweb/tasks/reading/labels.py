"""Whether the answers of a file without choices are labels, which then are the choices, or free texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from taskweb.tasks.reading.column_shapes import LABEL_NAMES
from taskweb.tasks.reading.table import name_key

MOST_LABELS = 20
MOST_NAMED_LABELS = 200  # in a column whose name says that it contains labels
ROWS_A_LABEL = 3
_FEW = 8  # rows, of which nothing but the column's name is asked
_MOST_CHARACTERS, _MOST_WORDS = 40, 5
_WHOLE = re.compile(r"-?\d+")
_WHOLE_WITH_ZEROS = re.compile(r"(-?\d+)\.0+")
_WITH_COMMA = re.compile(r"-?\d+(,\d{1,2}|,\d{4,})?")  # three digits may be thousands
_NUMBER = re.compile(r"-?\d*\.\d+([eE][-+]?\d+)?|-?\d+([eE][-+]?\d+)?")


def labels_of(answers: Sequence[str], column: str) -> tuple[str, ...] | None:
    """The labels, numbers by size and others by their letters; None where the answers are free.

    Labels are short, at least two, and repeat: each three times on average, or twice in a column whose name says that it
    contains labels. Numbers with fractions are none.
    """
    counts = Counter(answers)
    if len(counts) < 2 or not all(_is_short(text) for text in counts):
        return None
    if any(_NUMBER.fullmatch(text) and not _WHOLE.fullmatch(text) for text in counts):
        return None
    if name_key(column) in LABEL_NAMES:
        repeats = 2 * len(counts) <= len(answers) or len(answers) < _FEW
        return _ordered(counts) if len(counts) <= MOST_NAMED_LABELS and repeats else None
    return _ordered(counts) if len(counts) <= MOST_LABELS and ROWS_A_LABEL * len(counts) <= len(answers) else None


def are_numbers(answers: Sequence[str]) -> bool:
    """Whether all answers are numbers, some of them with a fraction: a task of regression."""
    return bool(answers) and all(map(_NUMBER.fullmatch, answers)) and not all(map(_WHOLE.fullmatch, answers))


def without_zeros(text: str) -> str:
    """A whole number without the fraction that tables with gaps give it: `1.0` is `1`. Other texts as they are."""
    found = _WHOLE_WITH_ZEROS.fullmatch(text)
    return found[1] if found else text


def have_zeros(answers: Sequence[str]) -> bool:
    """Whether all answers are whole numbers written with a fraction."""
    return bool(answers) and all(map(_WHOLE_WITH_ZEROS.fullmatch, answers))


def have_commas(answers: Sequence[str]) -> bool:
    """Whether all answers are numbers, some of them with a decimal comma."""
    return any("," in text for text in answers) and all(map(_WITH_COMMA.fullmatch, answers))


def marks_in(answers: Sequence[str], column: str) -> frozenset[str]:
    """The answers of a column without choices that say that a row has no label.

    -1 beside labels from 0, or alone; a dash beside words (SNLI) in a column whose name says that it contains labels.
    """
    values, is_named = set(answers), name_key(column) in LABEL_NAMES
    if "-" in values and is_named:
        return frozenset({"-"})
    if "-1" not in values or not all(map(_WHOLE.fullmatch, values)):
        return frozenset()
    others = {int(value) for value in values} - {-1}
    if is_named:
        return frozenset({"-1"} if not others or (min(others) >= 0 and others != {1}) else ())
    labels = labels_of([answer for answer in answers if answer != "-1"], column)
    # Elsewhere, -1, 0 and 1 may be three classes.
    return frozenset({"-1"} if labels is not None and min(others) >= 0 and others != {0, 1} else ())


def _ordered(counts: Counter[str]) -> tuple[str, ...]:
    if all(map(_WHOLE.fullmatch, counts)):
        return tuple(sorted(counts, key=int))
    return tuple(sorted(counts))


def _is_short(text: str) -> bool:
    return len(text) <= _MOST_CHARACTERS and len(text.split()) <= _MOST_WORDS and "\n" not in text
