"""What every family keeps, whatever its head and method."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from taskweb.errors import InputError, ParameterError
from taskweb.models import Head, TaskModel, head_for
from taskweb.tasks import Example
from tests.models import tiny

CHOICE = Head("multiple_choice")


@pytest.mark.parametrize("name", tiny.NAMES)
def test_scores_depend_neither_on_order_nor_on_batch_size(name: str) -> None:
    model = tiny.model(name, CHOICE)
    examples = tiny.choice_questions()
    scores = model.score_choices(examples, batch_size=32)
    assert [len(values) for values in scores] == [3, 2, 5, 2]
    backwards = model.score_choices(examples[::-1], batch_size=1)[::-1]
    for one, other in zip(scores, backwards, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", tiny.NAMES)
def test_scoring_leaves_mode_and_random_state_alone(name: str) -> None:
    model = tiny.model(name, CHOICE, dropout=0.5)
    model.module.train()
    state = torch.get_rng_state()
    first = model.score_choices(tiny.choice_questions())
    assert all(np.array_equal(a, b) for a, b in zip(first, model.score_choices(tiny.choice_questions()), strict=True))
    assert model.module.training
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", tiny.NAMES)
def test_the_loss_of_a_batch_is_the_sum_of_its_examples(name: str) -> None:
    for head, examples in ((tiny.LABELS, tiny.statements(5)), (CHOICE, tiny.choice_questions())):
        model = tiny.model(name, head)
        encoded = model.encode(examples)
        together = model.loss(encoded)
        apart = sum(model.loss([item]).item() for item in encoded)
        assert together.item() == pytest.approx(apart, rel=1e-5)
        together.backward()


@pytest.mark.parametrize("name", tiny.NAMES)
def test_random_weights_follow_the_seed_and_nothing_else(name: str) -> None:
    first = tiny.model(name, seed=3)
    torch.rand(7)
    state = torch.get_rng_state()
    second, other = tiny.model(name, seed=3), tiny.model(name, seed=4)
    assert torch.equal(state, torch.get_rng_state())
    same = [torch.equal(a, b) for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True)]
    assert all(same)
    assert not all(torch.equal(a, b) for a, b in zip(first.module.parameters(), other.module.parameters(), strict=True))


LONG = Example("the cat sat on the mat " * 60, "yes", ("yes", "no maybe it was a very very good film"))


def most(model: TaskModel, example: Example) -> int:
    return max(len(ids) for ids in model.encode([example])[0].inputs)


@pytest.mark.parametrize("name", tiny.NAMES)
@pytest.mark.parametrize("head", [tiny.LABELS, CHOICE], ids=lambda head: head.kind)
def test_the_beginning_of_a_long_input_is_cut_and_the_answer_kept(name: str, head: Head) -> None:
    model = tiny.model(name, head)
    words = LONG.input.split(" ")
    endings = [Example(" ".join(words[-count:]), LONG.output, LONG.choices) for count in range(2, 50)]
    fitting = [example for example in endings if most(model, example) <= 40]
    assert len(fitting) < len(endings)
    longest = tiny.model(name, head).encode([fitting[-1]])[0]
    model.max_input = 40
    item = model.encode([LONG])[0]
    assert [ids.tolist() for ids in item.inputs] == [ids.tolist() for ids in longest.inputs]
    assert item.answer == longest.answer
    assert (longest.lost, item.lost) == (0, model.fits([LONG])[0].lost)
    texts = [text.strip() if model.family == "causal" else text for text in (LONG.input, fitting[-1].input)]
    assert item.lost == len(model.tokenizer(texts[0])["input_ids"]) - len(model.tokenizer(texts[1])["input_ids"])
    if head == CHOICE:
        assert np.array_equal(model.score_choices([LONG])[0], model.score_choices([fitting[-1]])[0])


@pytest.mark.parametrize("name", tiny.NAMES)
def test_what_has_no_tokens_is_refused_by_its_row(name: str) -> None:
    model = tiny.model(name, CHOICE)
    with pytest.raises(InputError, match="Row 7 has an empty input"):
        model.score_choices([Example("  ", "yes", ("yes", "no"), row=7)])
    with pytest.raises(InputError, match="Row 7 has an empty input"):
        model.encode([Example(" ", "yes", ("yes", "no"), row=7)])
    with pytest.raises(InputError, match=r"A choice of row 7 \('the cat'\) has no tokens"):
        model.score_choices([Example("the cat", "yes", ("yes", " "), row=7)])


@pytest.mark.parametrize("name", ["gpt2", "roberta", "bert"])
def test_an_answer_that_leaves_no_room_is_refused(name: str) -> None:
    model = tiny.model(name, CHOICE)
    endless = "it was a very very good film " * 20
    with pytest.raises(InputError, match="leaves no room for the input"):
        model.score_choices([Example("dog", None, (endless, "no"))])


@pytest.mark.parametrize("name", tiny.NAMES)
def test_an_unlabelled_example_cannot_be_learnt_from(name: str) -> None:
    with pytest.raises(InputError, match="has no output"):
        tiny.model(name).encode([Example("the cat sat", None, ("no", "yes"))])


@pytest.mark.parametrize("name", tiny.TEXT)
def test_text_models_score_labels_where_an_example_has_no_choices(name: str) -> None:
    model = tiny.model(name)
    without, own = Example("the cat sat"), Example("the cat sat", None, ("no", "yes"))
    np.testing.assert_array_equal(model.score_choices([without])[0], model.score_choices([own])[0])
    model.set_head(Head(), seed=0)
    with pytest.raises(InputError, match="has no choices to score"):
        model.score_choices([without])


@pytest.mark.parametrize("name", tiny.NAMES)
def test_no_examples_have_no_answers(name: str) -> None:
    assert tiny.model(name).score_choices([]) == []
    assert tiny.model(name, CHOICE).encode([]) == []
    assert tiny.model(name, Head("span_qa")).generate([]) == []
    assert tiny.model(name, Head("regression")).numbers([]).shape == (0,)


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ParameterError, match="one of mean, sum"):
        tiny.model("t5").score_choices(tiny.choice_questions(), reduction="max")  # type: ignore[arg-type]


class TestHead:
    def test_labels_keep_the_order_of_shared_choices(self) -> None:
        examples = [Example("a", "yes", ("yes", "no")), Example("b", "no", ("yes", "no"))]
        assert head_for("classification", examples).labels == ("yes", "no")

    def test_labels_are_sorted_where_choices_differ(self) -> None:
        examples = [Example("a", "yes", ("yes", "no")), Example("b", "maybe")]
        assert head_for("classification", examples).labels == ("maybe", "no", "yes")

    def test_without_labels_there_is_no_classification(self) -> None:
        with pytest.raises(InputError, match="needs labels"):
            head_for("classification", [Example("a")])

    def test_the_default_of_a_regression_is_the_mean(self) -> None:
        assert head_for("regression", [Example("a", "1"), Example("b", "4.5"), Example("c")]).default == 2.75
        with pytest.raises(InputError, match="must be a finite number"):
            head_for("regression", [Example("a", "much")])

    def test_impossible_heads_are_refused(self) -> None:
        with pytest.raises(ParameterError, match="must be one of classification"):
            Head("sorting")  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="must differ"):
            Head("classification", labels=("yes", "yes"))
        with pytest.raises(ParameterError, match="Only a classification"):
            Head("regression", labels=("yes",))
