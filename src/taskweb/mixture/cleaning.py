"""Dropping what must not be trained on: examples of the target, duplicates, rows without a label.

Two texts are the same if they agree after normalisation: compatibility forms of Unicode, case, white space, invisible
characters, and punctuation around words do not count; signs that may have a meaning (2 - 3, a/b) do. Two examples are the same
if input and choices are.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from taskweb.tasks import Example, Task

# Reasons for dropping rows, as written in manifests.
TARGET_EXACT = "target, exact text"
TARGET_NORMALISED = "target, normalised text"
DUPLICATE_WITHIN = "duplicate within the source"
DUPLICATE_BETWEEN = "duplicate of another source"
UNLABELLED = "without a label"
REASONS = (TARGET_EXACT, TARGET_NORMALISED, DUPLICATE_WITHIN, DUPLICATE_BETWEEN, UNLABELLED)

_AROUND_WORDS = ".,;:!?\"'`()[]{}«»„“”‘’"
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))

Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class CleanSource:
    """The examples of a source that may be trained on, each with its normalised input, and how many were dropped, by reason."""

    examples: tuple[Example, ...]
    texts: tuple[str, ...]
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class TargetTexts:
    """The inputs of the target, as they are and normalised."""

    exact: frozenset[str] = frozenset()
    normalised: frozenset[str] = frozenset()

    @classmethod
    def of(cls, examples: Iterable[Example]) -> TargetTexts:
        """The texts of these examples."""
        exact = frozenset(example.input for example in examples)
        return cls(exact, frozenset(map(normalised, exact)))


def normalised(text: str) -> str:
    """The words of a text, case-folded, one space apart. A text of punctuation alone is only case-folded."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold())
    folded = text.casefold().split()
    words = [bare for word in folded if (bare := word.strip(_AROUND_WORDS))]
    return " ".join(words or folded)


def clean_sources(sources: Mapping[str, tuple[Task, Sequence[Example]]], target: TargetTexts) -> dict[str, CleanSource]:
    """Drop what must not be trained on. Of duplicates the first stays, in the order of the sources."""
    owners: dict[Key, str] = {}
    return {name: _clean(name, task, examples, target, owners) for name, (task, examples) in sources.items()}


def _clean(name: str, task: Task, examples: Sequence[Example], target: TargetTexts, owners: dict[Key, str]) -> CleanSource:
    clean: list[Example] = []
    texts: list[str] = []
    dropped: Counter[str] = Counter()
    seen_choices: dict[tuple[str, ...], tuple[str, ...]] = {}
    for example in examples:
        text, choices = normalised(example.input), example.choices or ()
        if choices not in seen_choices:
            seen_choices[choices] = tuple(map(normalised, choices))
        key = (text, seen_choices[choices])
        if example.input in target.exact:
            dropped[TARGET_EXACT] += 1
        elif text in target.normalised:
            dropped[TARGET_NORMALISED] += 1
        elif example.output is None and task.kind != "span_qa":  # there, a question may have no answer
            dropped[UNLABELLED] += 1
        elif key in owners:
            dropped[DUPLICATE_WITHIN if owners[key] == name else DUPLICATE_BETWEEN] += 1
        else:
            owners[key] = name
            clean.append(example)
            texts.append(text)
    return CleanSource(tuple(clean), tuple(texts), {reason: dropped[reason] for reason in REASONS if dropped[reason]})


def label_errors(task: Task, examples: Sequence[Example]) -> Iterator[str]:
    """The errors in the labels of a task: not among the choices, no choices where they are needed, not a number."""
    outside = [e for e in examples if e.output is not None and e.choices is not None and e.output not in e.choices]
    if outside and task.kind in ("classification", "multiple_choice"):
        yield _error(task, outside, f"the label '{_short(outside[0].output or '')}' is not among its choices")
    without = [e for e in examples if e.choices is None]
    if without and task.kind == "multiple_choice":
        yield _error(task, without, "it has no choices")
    not_numbers = [e for e in examples if e.output is not None and not _is_number(e.output)]
    if not_numbers and task.kind == "regression":
        yield _error(task, not_numbers, f"the label '{_short(not_numbers[0].output or '')}' is not a number")


def _error(task: Task, examples: Sequence[Example], what: str) -> str:
    more = f", and likewise in {len(examples) - 1} more" if len(examples) > 1 else ""
    return f"in '{_short(examples[0].input)}' of {task.name} ({task.kind}), {what}{more}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:37] + "..."
