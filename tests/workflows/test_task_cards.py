from __future__ import annotations

from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.tasks import Example, ExampleSet, catalogue
from taskweb.workflows.task_cards import card_of_examples, card_of_target, card_of_task, cards_of_web

OWN = ExampleSet("own", tuple(Example(f"input {i}", "yes" if i > 2 else None) for i in range(6)), "here")


def test_a_task_of_the_catalogue_brings_its_definition_and_its_made_up_example() -> None:
    card = card_of_task("rte")
    assert card is not None
    assert card.definition == catalogue()["rte"].description
    assert card.examples == (catalogue()["rte"].illustration,)


def test_examples_of_ones_own_take_the_place_of_the_made_up_one() -> None:
    card = card_of_task("rte", OWN)
    assert card is not None
    assert card.definition == catalogue()["rte"].description
    assert [example.input for example in card.examples] == ["input 3"]


def test_without_a_definition_three_examples_with_answers_first() -> None:
    assert [example.input for example in card_of_examples(OWN).examples] == ["input 3", "input 4", "input 5"]
    few = ExampleSet("few", OWN.examples[1:5], "here")
    assert [example.input for example in card_of_examples(few).examples] == ["input 3", "input 4", "input 1"]
    assert len(card_of_examples(OWN, "A definition.").examples) == 1


def test_tasks_that_nothing_is_known_about_are_listed(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"input": "a"}\n' * 9)
    cards, unknown = cards_of_web(("rte", "mine", "other"), tmp_path)
    assert (list(cards), unknown) == (["rte", "mine"], ["other"])
    assert len(cards["mine"].examples) == 3
    assert cards_of_web(("mine",), None) == ({}, ["mine"])


def test_the_target_is_what_the_person_says_it_is() -> None:
    assert card_of_target(OWN, "", "Say yes.", None).definition == "Say yes."
    assert card_of_target(OWN, "", None, None).definition == ""
    assert card_of_target(None, "rte", None, None) == card_of_task("rte")
    assert card_of_target(None, "rte", "Say yes.", None).definition == "Say yes."
    assert card_of_target(None, "mine", "Say yes.", None).examples == ()
    for nothing in (None, "", " "):
        with pytest.raises(InputError, match="Nothing is known about the task 'mine'"):
            card_of_target(None, "mine", nothing, None)
