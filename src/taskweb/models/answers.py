"""Answers as text: what a text model learns to write for an example, and what it chooses among."""

from __future__ import annotations

from collections.abc import Sequence

from taskweb.errors import InputError
from taskweb.models.head import Head, number_of
from taskweb.tasks import Example

_SHOWN = 60


def answer_text(example: Example, head: Head) -> str:
    """The text to write: a number with three significant digits, nothing for a question without an answer, else the output.

    Raises InputError for an example without an output, except where no answer is an answer (span_qa).
    """
    if head.kind == "span_qa":
        return example.output or ""
    if example.output is None:
        raise InputError(
            f"The example '{shown(example)}' has no output, so it cannot be learnt from. Leave unlabelled ones out."
        )
    return f"{number_of(example.output):.3g}" if head.kind == "regression" else example.output


def choices_of(example: Example, head: Head) -> tuple[str, ...]:
    """What an example may be answered with: its own choices, else the labels of the head. Raises InputError without any."""
    choices = example.choices or head.labels
    if not choices:
        raise InputError(
            f"The example '{shown(example)}' has no choices to score. Add 'choices', or generate the answer instead."
        )
    return choices


def shown(example: Example) -> str:
    """The beginning of an example's input on one line, for messages."""
    line = " ".join(example.input.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def where(example: Example, *, within: bool = False) -> str:
    """An example by its row where that is known, and by the beginning of its input, for messages.

    within: inside a sentence rather than at its beginning.
    """
    place = (
        ("the example" if within else "The example") if example.row is None else f"{'row' if within else 'Row'} {example.row}"
    )
    return f"{place} ('{shown(example)}')" if example.input.strip() else place


def no_input(example: Example) -> InputError:
    """The error for an example whose input has no tokens."""
    return InputError(f"{where(example)} has an empty input: it has no tokens. Remove it, or give it a text.")


def no_choice(example: Example) -> InputError:
    """The error for an example with a choice that has no tokens."""
    return InputError(f"A choice of {where(example, within=True)} has no tokens. Remove it, or give it a text.")


def check_choices(examples: Sequence[Example]) -> None:
    """Raise InputError for the first example with a choice that has no text."""
    for example in examples:
        if not all(choice.strip() for choice in example.choices or ()):
            raise no_choice(example)
