from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.errors import ParameterError
from taskweb.mixture.cleaning import normalised
from taskweb.mixture.sampling import MixtureSettings, MixtureSource, sample_mixture
from taskweb.tasks import Example, ExampleSet, Task

CHOICES = ("yes", "no")


def source(name: str, count: int, first: int = 0) -> MixtureSource:
    examples = tuple(Example(f"{name} text {i}", CHOICES[i % 2], CHOICES) for i in range(first, first + count))
    return MixtureSource(Task(name, "classification", ("accuracy",)), ExampleSet(name, examples, f"{name}.jsonl"))


def test_the_default_takes_two_thousand_of_each_all_where_fewer() -> None:
    mixture = sample_mixture([source("a", 3000), source("b", 100)], MixtureSettings(held_out=0))
    assert {task.name: task.train for task in mixture.tasks} == {"a": 2000, "b": 100}
    assert mixture.rates == {"a": 0.5, "b": 0.5}
    assert mixture.realised == {"a": 2000 / 2100, "b": 100 / 2100}
    assert not mixture.heldout


def test_proportional_rates_respect_the_cap() -> None:
    mixture = sample_mixture(
        [source("a", 3000), source("b", 100)], MixtureSettings(total=180, rates="proportional", cap=800, held_out=0)
    )
    assert {task.name: task.train for task in mixture.tasks} == {"a": 160, "b": 20}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(2, 60), min_size=1, max_size=4),
    st.integers(1, 200),
    st.sampled_from(["uniform", "proportional", "temperature"]),
    st.floats(0, 0.6),
    st.integers(0, 3),
)
def test_counts_splits_and_draws(sizes: list[int], total: int, rates, held_out: float, seed: int) -> None:
    sources = [source(f"t{i}", size) for i, size in enumerate(sizes)]
    wanted = MixtureSettings(total=total, rates=rates, held_out=held_out, seed=seed)
    try:
        mixture = sample_mixture(sources, wanted)
    except ParameterError as error:
        assert "there is no example of" in str(error)
        assert total < 10 * len(sizes)
        return
    assert len(mixture.train) == min(total, sum(task.available for task in mixture.tasks))
    for task, size in zip(mixture.tasks, sizes, strict=True):
        assert task.held_out == min(round(held_out * size), size - 1)
        assert task.available == size - task.held_out
    assert Counter(row.task for row in mixture.train) == {task.name: task.train for task in mixture.tasks}
    texts = [row.example.input for row in mixture.train]
    assert len(set(texts)) == len(texts)
    assert not {normalised(text) for text in texts} & {normalised(row.example.input) for row in mixture.heldout}
    assert sample_mixture(sources, wanted) == mixture


def test_a_larger_draw_begins_with_a_smaller_one_whatever_the_other_tasks() -> None:
    few = sample_mixture([source("a", 500)], MixtureSettings(examples_per_task=50))
    many = sample_mixture([source("a", 500), source("b", 500)], MixtureSettings(examples_per_task=200))
    assert {row.example for row in few.train} < {row.example for row in many.train if row.task == "a"}
    assert set(few.heldout) < set(many.heldout)
    other = sample_mixture([source("a", 500)], MixtureSettings(examples_per_task=50, seed=1))
    assert set(other.train) != set(few.train)


def test_tasks_are_shuffled_together() -> None:
    names = [row.task for row in sample_mixture([source("a", 100), source("b", 100)], MixtureSettings()).train]
    assert sum(one != other for one, other in pairwise(names)) > 20


def test_one_text_is_in_one_split_whatever_its_spelling_choices_and_task() -> None:
    def source_of(name: str, spell) -> MixtureSource:
        examples = tuple(
            Example(spell(f"Question {i}?"), choice, (choice, f"{name} else"))
            for i in range(60)
            for choice in (f"{name} x", f"{name} y")
        )
        return MixtureSource(Task(name, "multiple_choice", ("accuracy",)), ExampleSet(name, examples, name))

    mixture = sample_mixture([source_of("a", str.upper), source_of("b", str.lower)], MixtureSettings(held_out=0.3))
    train, heldout = ({normalised(row.example.input) for row in side} for side in (mixture.train, mixture.heldout))
    assert len(train) + len(heldout) == 60
    assert [task.held_out for task in mixture.tasks] == [36, 36]
    assert not train & heldout


def test_target_examples_are_neither_trained_on_nor_held_out() -> None:
    target = [Example("A text 3"), Example("a text 4")]
    mixture = sample_mixture([source("a", 10)], MixtureSettings(held_out=0.3), target=target)
    assert mixture.tasks[0].dropped == {"target, exact text": 1, "target, normalised text": 1}
    assert not {"a text 3", "a text 4"} & {row.example.input for row in (*mixture.train, *mixture.heldout)}
    assert len(mixture.train) + len(mixture.heldout) == 8


def test_all_errors_of_sources_are_reported_at_once() -> None:
    good, bad, gone = source("good", 5), source("bad", 5), source("gone", 2)
    spoilt = replace(bad.examples.examples[0], output="maybe")
    bad = replace(bad, examples=ExampleSet("bad", (spoilt, *bad.examples.examples[1:]), "bad"))
    empty = MixtureSource(Task("empty", "generation", ("exact_match",)), ExampleSet("empty", (), "empty"))
    with pytest.raises(ParameterError) as error:
        sample_mixture([good, bad, gone, empty], MixtureSettings(), target=gone.examples.examples)
    message = str(error.value)
    assert "(1) in 'bad text 0' of bad (classification), the label 'maybe' is not among its choices" in message
    assert "(2) gone has no example left (2 target, exact text)" in message
    assert "(3) empty has no examples" in message
    with pytest.raises(ParameterError, match="each task once"):
        sample_mixture([good, good], MixtureSettings())


def test_a_task_without_examples_is_an_error() -> None:
    with pytest.raises(ParameterError, match="there is no example of b"):
        sample_mixture([source("a", 500), source("b", 50)], MixtureSettings(total=10, rates={"a": 0.99, "b": 0.01}))


def test_settings_out_of_range_are_reported_at_once() -> None:
    with pytest.raises(ParameterError) as error:
        MixtureSettings(examples_per_task=0, total=5, cap=-1, held_out=1, most_held_out=-1, temperature=0)
    for part in ("examples_per_task must be 1 or more (got 0)", "cap must", "give one of them", "held_out must be in [0, 1)"):
        assert part in str(error.value)
