"""BERT and RoBERTa: heads by kind, what of them is carried, spans, and agreement with the library's own heads."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from transformers import BertForSequenceClassification, RobertaForSequenceClassification

from taskweb.errors import InputError, NameNotFoundError, ParameterError
from taskweb.models import Head, TaskModel
from taskweb.models.architecture import limits_of
from taskweb.models.encoder import best_span
from taskweb.models.encoder_head import body_of
from taskweb.tasks import Example
from tests.models import tiny

STORY = "the cat sat on the mat . the dog ran under the tree ."


def library_model(name: str, model: TaskModel) -> torch.nn.Module:
    """The library's classifier with the weights of ours."""
    kind = RobertaForSequenceClassification if name == "roberta" else BertForSequenceClassification
    other = kind(tiny.config(name, num_labels=2))
    other.load_state_dict(model.module.state_dict())
    return other.eval()


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_classification_is_that_of_the_library(name: str) -> None:
    model = tiny.model(name)
    other = library_model(name, model)
    for example, item in zip(tiny.statements(4), model.encode(tiny.statements(4)), strict=True):
        batch = model.tokenizer(example.input, return_tensors="pt")
        with torch.no_grad():
            wanted = other(**batch, labels=torch.tensor(item.answer))
            assert model.loss([item]).item() == pytest.approx(wanted.loss.item(), abs=1e-6)
        logs = F.log_softmax(wanted.logits[0], dim=-1)
        np.testing.assert_allclose(model.score_choices([example])[0], logs.numpy(), atol=1e-6)


def test_bert_sees_the_choice_as_second_segment() -> None:
    model = tiny.model("bert", Head("multiple_choice"))
    seen = []
    model.module.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs), with_kwargs=True)
    assert model.verified.right_padding
    seen.clear()
    model.score_choices([Example("the cat", None, ("on a mat",))])
    wanted = model.tokenizer("the cat", "on a mat")
    assert seen[0]["input_ids"][0].tolist() == wanted["input_ids"]
    assert seen[0]["token_type_ids"][0].tolist() == wanted["token_type_ids"]


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_a_choice_is_scored_by_its_pair_with_the_input(name: str) -> None:
    model = tiny.model(name, Head("multiple_choice"))
    for example in tiny.choice_questions():
        assert example.choices is not None
        outputs = []
        for choice in example.choices:
            batch = model.tokenizer(example.input, choice, return_tensors="pt")
            with torch.no_grad():
                outputs.append(model.module(**batch).logits.item())
        wanted = F.log_softmax(torch.tensor(outputs), dim=0)
        np.testing.assert_allclose(model.score_choices([example])[0], wanted, atol=1e-5)
        place = example.choices.index(example.output or "")
        assert model.loss(model.encode([example])).item() == pytest.approx(-wanted[place].item(), abs=1e-5)


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_regression_is_the_output_of_the_head(name: str) -> None:
    model = tiny.model(name, Head("regression"))
    examples = [Example("the cat sat", "2.5"), Example("the dog ran under the tree", "0")]
    values = model.numbers(examples)
    squared = (values[0] - 2.5) ** 2 + values[1] ** 2
    assert model.loss(model.encode(examples)).item() == pytest.approx(squared, rel=1e-5)


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_a_span_is_learnt_at_the_tokens_of_the_answer(name: str) -> None:
    model = tiny.model(name, Head("span_qa"))
    item = model.encode([Example(STORY, "the tree")])[0]
    start, end = item.answer
    assert model.tokenizer.decode(item.inputs[0][start : end + 1]).strip() == "the tree" or name == "roberta"
    scores = np.zeros((len(item.inputs[0]), 2))
    scores[start, 0] = scores[end, 1] = 5.0
    offsets = model.tokenizer(STORY, return_offsets_mapping=True)["offset_mapping"]
    # The first "the tree" of the story is the one that is found.
    assert best_span(scores, offsets, STORY) == "the tree"
    assert model.encode([Example(STORY, None)])[0].answer == (0, 0)
    assert model.generate([Example(STORY)])[0] in STORY


def test_a_span_that_was_cut_off_is_no_answer_and_one_elsewhere_an_error() -> None:
    model = tiny.model("bert", Head("span_qa"))
    model.max_input = 10
    assert model.encode([Example(STORY, "sat on")])[0].answer == (0, 0)
    item = model.encode([Example(STORY, "the tree")])[0]
    assert model.tokenizer.decode(item.inputs[0][item.answer[0] : item.answer[1] + 1]) == "the tree"
    with pytest.raises(InputError, match="is no part of the input"):
        model.encode([Example(STORY, "the moon")])


def test_the_best_span_reads_forwards_and_no_answer_can_win() -> None:
    offsets = [(0, 0), (0, 3), (4, 7), (8, 11), (0, 0)]
    scores = np.array([[1.0, 1.0], [0, 9], [9, 0], [0, 3], [99, 99], [99, 99]])
    assert best_span(scores, offsets, "the cat sat") == "cat sat"
    scores[0] = 7
    assert best_span(scores, offsets, "the cat sat") == ""


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_the_body_is_carried_and_the_head_is_fresh(name: str) -> None:
    model = tiny.model(name, tiny.LABELS)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.add_(0.25)
    body = {key: value.clone() for key, value in body_of(model.module).state_dict().items()}
    out = "classifier.out_proj.weight" if name == "roberta" else "classifier.weight"

    def same_body() -> bool:
        return all(torch.equal(body[key], value) for key, value in body_of(model.module).state_dict().items())

    def head() -> torch.Tensor:
        return model.module.get_parameter(out).detach().clone()

    first = head()
    # Same kind and number of labels: fresh by default, carried on request.
    other = Head("classification", labels=("good", "bad"))
    assert model.set_head(other, seed=1, carry=True)
    assert torch.equal(head(), first)
    assert model.head == other
    assert not model.set_head(tiny.LABELS, seed=1)
    drawn = head()
    assert not torch.equal(drawn, first)
    # Other numbers of labels and other kinds are fresh, whatever is asked.
    assert not model.set_head(Head("classification", labels=("a", "b", "c")), seed=1, carry=True)
    assert head().shape == (3, tiny.HIDDEN)
    assert not model.set_head(Head("regression"), seed=1, carry=True)
    assert not model.set_head(Head("multiple_choice"), seed=1, carry=True)
    assert not model.set_head(Head("span_qa"), seed=1, carry=True)
    assert model.module.qa_outputs.weight.shape == (2, tiny.HIDDEN)
    assert not model.set_head(tiny.LABELS, seed=1)
    assert torch.equal(head(), drawn)
    assert same_body()


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_encoders_write_no_text(name: str) -> None:
    with pytest.raises(ParameterError, match="cannot write text"):
        tiny.model(name, Head())
    model = tiny.model(name)
    with pytest.raises(ParameterError, match="cannot write text"):
        model.set_head(Head("generation"), seed=0)
    with pytest.raises(ParameterError, match="cannot write text"):
        model.generate([Example("the cat")])
    with pytest.raises(ParameterError, match="gives no numbers"):
        model.numbers([Example("the cat")])
    model.set_head(Head("regression"), seed=0)
    with pytest.raises(ParameterError, match="scores no choices"):
        model.score_choices([Example("the cat", None, ("yes",))])


def test_an_encoder_needs_a_head_and_its_labels() -> None:
    with pytest.raises(ParameterError, match="needs the head of a task"):
        tiny.model("bert", None)
    with pytest.raises(ParameterError, match="needs its labels"):
        tiny.model("bert", Head("classification"))
    with pytest.raises(InputError, match="none of its choices: no, yes"):
        tiny.model("bert").encode([Example("the cat", "maybe")])
    with pytest.raises(NameNotFoundError, match="no label of this head named 'maybe'"):
        tiny.model("bert").score_choices([Example("the cat", None, ("yes", "maybe"))])


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_positions_are_those_that_the_embedding_can_hold(name: str) -> None:
    model = tiny.model(name)
    config = tiny.config(name)
    positions = 64 if name == "bert" else 66 - config.pad_token_id - 1
    assert model.max_input == limits_of(body_of(model.module), model.tokenizer, "encoder").positions == positions
    ids = torch.full((1, positions + 1), 7)
    assert torch.isfinite(model.module(input_ids=ids[:, 1:]).logits).all()
    with pytest.raises((IndexError, RuntimeError)):
        model.module(input_ids=ids)
    long = Example("the cat sat on the mat " * 40, "yes", ("no", "yes"))
    assert positions - 3 <= len(model.encode([long])[0].inputs[0]) <= positions
    assert np.isfinite(model.score_choices([long])[0]).all()
