"""The question to a judge: two tasks, each with its definition and examples, and whether they are similar.

The prompt does not contain the names of the tasks, which must not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from taskweb.tasks import Example

MOST_CHARACTERS = 1200  # of a text: the beginning of a review is enough to see that it is one
_CUT = " [...]"
_QUESTION = (
    "Are the two tasks similar, that is, would someone who is good at one of them be good at the other for the same reasons? "
    "Answer with one word, Yes or No.\nAnswer:"
)


@dataclass(frozen=True, slots=True)
class TaskCard:
    """What a judge sees of a task.

    definition: what the task asks for, "" where unknown. examples: one or a few. Raises ValueError without both.
    """

    definition: str = ""
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        if not self.definition.strip() and not self.examples:
            raise ValueError("a card needs a definition or an example")


def prompt_of(first: TaskCard, second: TaskCard) -> str:
    """The question about two tasks, in this order, as one text that ends where the answer begins."""
    return f"Here are two tasks.\n\n{_shown('first', first)}\n\n{_shown('second', second)}\n\n{_QUESTION}"


def _shown(place: str, card: TaskCard) -> str:
    lines = [f"The {place} task"]
    if card.definition.strip():
        lines.append(f"Definition: {_cut(card.definition)}")
    for example in card.examples:
        lines.append(f"Example input: {_cut(example.input)}")
        if example.choices:
            lines.append(f"Possible answers: {_cut(' | '.join(example.choices))}")
        if example.output is not None:
            lines.append(f"Example output: {_cut(example.output)}")
    return "\n".join(lines)


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS].rstrip() + _CUT
