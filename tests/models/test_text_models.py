"""T5 and GPT-2: choices are scored with one pass over the input, exactly as one choice at a time would be."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from taskweb.errors import ParameterError
from taskweb.models import Head, TaskModel, load_model, random_model
from taskweb.tasks import Example
from taskweb.tasks.text_settings import TextSettings
from tests.models import tiny, zoo

QUESTIONS = [
    *tiny.choice_questions(),
    Example("the cat " + "ran under the tree " * 4, None, ("true", "a")),
    Example("is it bad ?", None, ("no",)),
    Example("the dog", None, ("sat on the mat", "sat on the tree", "sat", "sat on the mat", "ran")),
]


def plain_score(model: TaskModel, text: str, choice: str, reduction: str) -> float:
    """One choice by itself, by the model's own loss function."""
    end = model.tokenizer.eos_token_id
    with torch.no_grad():
        if model.family == "seq2seq":
            ids = model.tokenizer(text, return_tensors="pt").input_ids
            labels = model.tokenizer(choice, return_tensors="pt").input_ids
            loss = model.module(input_ids=ids, labels=labels).loss
            length = labels.shape[1]
        else:
            prompt = model.tokenizer(text.rstrip()).input_ids
            answer = [*model.tokenizer(" " + choice).input_ids, end]
            ids = torch.tensor([prompt + answer])
            labels = torch.tensor([[-100] * len(prompt) + answer])
            loss = model.module(input_ids=ids, labels=labels).loss
            length = len(answer)
    return -loss.item() * (length if reduction == "sum" else 1)


@pytest.mark.parametrize("name", tiny.TEXT)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_scores_are_those_of_one_choice_at_a_time(name: str, reduction: str, batch_size: int) -> None:
    model = tiny.model(name, Head("multiple_choice"), seed=5)
    scores = model.score_choices(QUESTIONS, reduction=reduction, batch_size=batch_size)  # type: ignore[arg-type]
    for example, values in zip(QUESTIONS, scores, strict=True):
        assert example.choices is not None
        plain = [plain_score(model, example.input, choice, reduction) for choice in example.choices]
        np.testing.assert_allclose(values, plain, atol=1e-4)


@pytest.mark.parametrize("name", tiny.TEXT)
def test_each_input_and_what_choices_share_is_read_once(name: str) -> None:
    model = tiny.model(name, Head("multiple_choice"))
    question = Example("the cat sat on", None, ("the mat it was", "the mat it was a tree", "the dog"))
    assert question.choices is not None
    assert model.verified.tree
    read: list[int] = []
    parts = (model.module.encoder, model.module.decoder) if name == "t5" else (model.module.transformer,)
    for part in parts:
        part.get_input_embeddings().register_forward_pre_hook(lambda _, given: read.append(given[0].numel()))
    model.score_choices([question])
    prompt = model.tokenizer(question.input).input_ids
    answers = [model.encode([Example(question.input, choice)])[0].answer for choice in question.choices]
    followed = {answer[:place] for answer in answers for place in range(1, len(answer))}
    assert 0 < len(followed) < sum(len(answer) - 1 for answer in answers)
    assert read == ([len(prompt), 1 + len(followed)] if name == "t5" else [len(prompt) + len(followed)])


@pytest.mark.parametrize("name", tiny.TEXT)
def test_attention_written_out_gives_the_same_scores(name: str) -> None:
    model = tiny.model(name, Head("multiple_choice"), seed=5)
    fused = model.score_choices(QUESTIONS)
    model.module.set_attn_implementation("eager")
    for one, other in zip(fused, model.score_choices(QUESTIONS), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", tiny.TEXT)
def test_scores_do_not_depend_on_how_many_states_meet_the_vocabulary_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.model(name, Head("multiple_choice"), seed=5)
    expected = model.score_choices(QUESTIONS)
    monkeypatch.setattr("taskweb.models.scoring._STATES_AT_ONCE", 3)
    for one, other in zip(expected, model.score_choices(QUESTIONS), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_cut_prompt_with_choices_up_to_the_last_position_is_scored_exactly() -> None:
    model = tiny.model("gpt2", Head("multiple_choice"))
    long = Example("the cat sat on the mat " * 30, None, ("yes", "no maybe it was a very good film", "true"))
    values = model.score_choices([long, *QUESTIONS])[0]
    assert long.choices is not None
    room = max(len(model.tokenizer(" " + choice).input_ids) + 1 for choice in long.choices)
    words = long.input.split()
    endings = [" ".join(words[-count:]) for count in range(1, 40)]
    kept = [text for text in endings if len(model.tokenizer(text).input_ids) + room <= 64][-1]
    assert len(model.tokenizer(kept).input_ids) + room > 60
    np.testing.assert_allclose(values, [plain_score(model, kept, choice, "mean") for choice in long.choices], atol=1e-4)


@pytest.mark.parametrize("name", tiny.TEXT)
def test_generation_in_a_batch_equals_generation_alone(name: str) -> None:
    model = tiny.model(name, Head(), seed=2)
    together = model.generate(QUESTIONS, max_new_tokens=6)
    assert together == [model.generate([example], max_new_tokens=6)[0] for example in QUESTIONS]
    assert any(together)


@pytest.mark.parametrize("name", tiny.TEXT)
def test_generation_is_greedy_whatever_a_checkpoint_brings_along(name: str) -> None:
    model = tiny.model(name, Head(), seed=2)
    plain = model.generate(QUESTIONS, max_new_tokens=6)
    own = model.module.generation_config
    own.update(repetition_penalty=9.0, min_new_tokens=5, no_repeat_ngram_size=1, do_sample=True, temperature=9.0, num_beams=3)
    assert model.generate(QUESTIONS, max_new_tokens=6) == plain
    assert model.module.generation_config is own


@pytest.mark.parametrize("name", tiny.TEXT)
def test_greedy_generation_takes_the_likeliest_token(name: str) -> None:
    model = tiny.model(name, Head(), seed=2)
    example = QUESTIONS[0]
    with torch.no_grad():
        ids = model.tokenizer(example.input, return_tensors="pt").input_ids
        if name == "t5":
            logits = model.module(input_ids=ids, decoder_input_ids=torch.tensor([[0]])).logits
        else:
            logits = model.module(input_ids=ids).logits
    likeliest = model.tokenizer.decode([int(logits[0, -1].argmax())], skip_special_tokens=True).strip()
    assert model.generate([example], max_new_tokens=1) == [likeliest]


@pytest.mark.parametrize("name", tiny.TEXT)
def test_numbers_are_written_with_three_digits_and_fall_back_to_the_default(name: str) -> None:
    model = tiny.model(name, Head("regression", default=1.5))
    exact, noisy = model.encode([Example("the cat", "2.5"), Example("the cat", "2.4999999046325684")])
    assert exact.answer == noisy.answer
    written = iter(["2.5", " 3 ", "the cat", "nan"])
    model.generate = lambda examples, **_: [next(written) for _ in examples]  # type: ignore[method-assign]
    assert model.numbers([Example("a")] * 4).tolist() == [2.5, 3.0, 1.5, 1.5]


@pytest.mark.parametrize("name", tiny.TEXT)
def test_no_answer_to_a_question_is_an_empty_text(name: str) -> None:
    model = tiny.model(name, Head("span_qa"))
    end = model.tokenizer.eos_token_id
    assert model.encode([Example("the cat sat on the mat", None)])[0].answer == (end,)


@pytest.mark.parametrize("name", tiny.TEXT)
def test_a_new_head_changes_no_weight(name: str) -> None:
    model = tiny.model(name)
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    assert model.set_head(Head("regression"), seed=9)
    assert all(torch.equal(before[key], value) for key, value in model.module.state_dict().items())


def test_a_mixture_of_experts_learns_to_balance_them_where_it_is_asked_to(tmp_path: Path) -> None:
    folder = zoo.write(zoo.ARCHITECTURES["mixtral"], tmp_path)
    plain, balanced = (load_model(str(folder), text=TextSettings(router_loss=asked)) for asked in (False, True))
    (item,) = balanced.encode([Example("the cat sat on", "the mat")])
    ids = torch.tensor([[*item.inputs[0], *item.answer]])
    labels = torch.where(torch.arange(ids.shape[1]) < len(item.inputs[0]), -100, ids)
    for model, routers in ((plain, False), (balanced, True)):
        wanted = model.module(input_ids=ids, labels=labels, output_router_logits=routers).loss * item.weight
        torch.testing.assert_close(model.loss([item]), wanted)
    assert balanced.loss([item]).item() > plain.loss([item]).item() + 1e-3
    with pytest.raises(ParameterError, match="has no router"):
        random_model(tiny.config("gpt2"), tiny.tokenizer("gpt2"), text=TextSettings(router_loss=True))


def test_the_vocabulary_of_the_tokenizer_must_fit_the_model() -> None:
    from taskweb.errors import InputError

    with pytest.raises(InputError, match="only 10"):
        tiny.model("t5", vocab_size=10)
