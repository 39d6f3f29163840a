from __future__ import annotations

import pytest

from taskweb.selectors.judge import TaskCard, prompt_of
from taskweb.selectors.judge.prompt import MOST_CHARACTERS
from taskweb.tasks import Example

SPAM = TaskCard("Is a message spam?", (Example("Win a boat!", "spam", ("spam", "fine")),))
ADD = TaskCard("", (Example("1 + 1"), Example("2 + 3", "5")))


def test_a_question_shows_both_tasks_in_order_and_ends_where_the_answer_begins() -> None:
    prompt = prompt_of(SPAM, ADD)
    parts = [
        "The first task\nDefinition: Is a message spam?\nExample input: Win a boat!",
        "Possible answers: spam | fine\nExample output: spam",
        "The second task\nExample input: 1 + 1\nExample input: 2 + 3\nExample output: 5",
        "Answer with one word, Yes or No.\nAnswer:",
    ]
    places = [prompt.index(part) for part in parts]
    assert places == sorted(places)
    assert prompt.endswith("Answer:")
    assert prompt_of(ADD, SPAM) != prompt


def test_long_texts_are_cut() -> None:
    long = TaskCard("d" * 5000, (Example("i" * 5000, "o" * 5000),))
    prompt = prompt_of(long, SPAM)
    assert prompt.count("[...]") == 3
    assert "i" * MOST_CHARACTERS in prompt
    assert len(prompt) < 3 * MOST_CHARACTERS + 700


def test_a_card_needs_a_definition_or_an_example() -> None:
    with pytest.raises(ValueError, match="definition or an example"):
        TaskCard("  ")
