"""Members of a fused model answer what their own models would, whoever else is in the batch."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch

from taskweb.models import Head
from taskweb.models.base import Wanted
from taskweb.models.causal import CausalModel
from taskweb.models.fused import layout
from taskweb.tasks import Example
from tests.models import tiny
from tests.models.fused.members import Members

THREE = Head("classification", labels=("no", "yes", "maybe"))
CHOICES = Head("multiple_choice")
METHODS = ("lora", "pfeiffer", "bitfit")
TEXT = [
    (name, method) for name in ("gpt2", "t5", "llama", "bart") for method in METHODS if (name, method) != ("llama", "bitfit")
]
OTHERS = ("qwen2", "qwen3_moe", "gemma3_text", "mistral", "opt", "bloom", "mamba", "modernbert", "albert")
ENCODERS = [(name, method) for name in tiny.ENCODERS for method in METHODS]
PLACES = [Example(f"the {animal} sat {'very ' * n}on the mat", animal) for n, animal in enumerate(("cat", "dog", "cat"))]


def asked() -> list[list[Example]]:
    """Examples of three tasks with different choices, of different number and length."""
    three = [Example(example.input, "maybe", THREE.labels) for example in tiny.statements(5)]
    return [tiny.statements(9), three, tiny.choice_questions()]


def check_scores(members: Members, batch_size: int) -> None:
    found = members.together(asked(), Wanted("choices"), batch_size)
    for model, examples, own in zip(members.alone, asked(), found, strict=True):
        for wanted, scores in zip(model.score_choices(examples), own, strict=True):
            np.testing.assert_allclose(scores, wanted, atol=1e-5, rtol=2e-6)
            assert scores.argmax() == wanted.argmax()


@pytest.mark.parametrize("batch_size", [3, 64])
@pytest.mark.parametrize(("name", "method"), [*TEXT, *ENCODERS])
def test_scores_are_those_of_each_model_alone(name: str, method: str, batch_size: int) -> None:
    members = Members(name, method, [tiny.LABELS, THREE, CHOICES])
    check_scores(members, batch_size)
    question = Example(tiny.statements(1)[0].input, None, ("no", "yes"))
    one, other = (model.score_choices([question])[0] for model in members.alone[:2])
    assert np.abs(one - other).max() > 1e-2  # the members differ


@pytest.mark.parametrize(("name", "method"), [("gpt2", "lora"), ("t5", "pfeiffer"), ("bart", "lora"), ("roberta", "pfeiffer")])
def test_large_layers_go_through_their_members_one_by_one(name: str, method: str) -> None:
    with mock.patch.object(layout, "_MOST_GATHERED", 0):
        check_scores(Members(name, method, [tiny.LABELS, THREE, CHOICES]), 64)


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures(name: str) -> None:
    members = Members(name, "bitfit" if name in ("opt", "bloom", "albert") else "lora", [tiny.LABELS, THREE, CHOICES])
    check_scores(members, 64)
    if name in ("modernbert", "albert"):
        return
    texts = members.together(asked(), Wanted("texts", max_new_tokens=4))
    for model, examples, own in zip(members.alone, asked(), texts, strict=True):
        assert own == model.generate(examples, max_new_tokens=4)


def test_choices_in_rows_of_their_own() -> None:
    members = Members("gpt2", "lora", [tiny.LABELS, THREE, CHOICES])
    for model in (*members.alone, members.fused.model):
        assert isinstance(model, CausalModel)
        assert model.verified.tree
        model.__dict__["verified"] = replace(model.verified, tree=False)
    check_scores(members, 64)


@pytest.mark.parametrize(("name", "method"), TEXT)
def test_texts_and_numbers_are_those_of_each_model_alone(name: str, method: str) -> None:
    examples = [tiny.statements(5), tiny.statements(3)[::-1], tiny.choice_questions()]
    members = Members(name, method, [Head("regression", default=float(number)) for number in range(3)])
    texts = members.together(examples, Wanted("texts", max_new_tokens=5))
    numbers = members.together(examples, Wanted("numbers"))

    assert len({tuple(own) for own in texts}) == 3
    for model, own, text, values in zip(members.alone, examples, texts, numbers, strict=True):
        assert text == model.generate(own, max_new_tokens=5)
        assert values == model.numbers(own).tolist()


@pytest.mark.parametrize(("name", "method"), ENCODERS)
def test_heads_of_encoders_give_numbers_and_spans(name: str, method: str) -> None:
    examples = [tiny.statements(5), tiny.statements(3)[::-1], tiny.choice_questions()]
    members = Members(name, method, [Head("regression")] * 3)
    for model, own, values in zip(members.alone, examples, members.together(examples, Wanted("numbers")), strict=True):
        np.testing.assert_allclose(values, model.numbers(own), atol=1e-5, rtol=2e-6)

    members = Members(name, method, [Head("span_qa")] * 2)
    for model, texts in zip(members.alone, members.together([PLACES, PLACES[::-1]], Wanted("texts")), strict=True):
        own = PLACES if model is members.alone[0] else PLACES[::-1]
        assert texts == model.generate(own)


def test_a_model_learns_and_answers_in_turn() -> None:
    """Answering leaves the model in its mode, with its own head, and its blocks as before."""
    members = Members("roberta", "lora", [tiny.LABELS, THREE, CHOICES])
    fused, module = members.fused, members.fused.model.module
    module.train()
    head = fused.model.head
    members.together(asked(), Wanted("choices"))

    assert module.training
    assert fused.model.head is head
    assert fused.layout.owners is None


def test_layers_that_see_all_tokens_as_one_dimension() -> None:
    passes, values = layout.PassLayout(torch.device("cpu")), torch.tensor([[1.0], [2.0]])
    flat = torch.zeros(6, 1)
    with passes.routed([1, 0, 1]):
        assert passes.spread(values, flat).flatten().tolist() == [2, 2, 1, 1, 2, 2]
        assert passes.spread(values, flat.view(3, 2, 1)).flatten().tolist() == [2, 1, 2]
        assert passes.linear(flat + 1, values.unsqueeze(2), None).flatten().tolist() == [2, 2, 1, 1, 2, 2]
