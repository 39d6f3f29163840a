"""Synthetic families: examples follow the parameters; same parameters, same texts; training and evaluation are disjoint."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.tasks import Example
from taskweb.tasks.synthetic import (
    ANSWERS,
    SyntheticFamily,
    find_family,
    function_words,
    synthetic_families,
    topic_words,
)

FAMILY = SyntheticFamily(seed=3)
FRACTIONS = st.sampled_from((0.0, 0.25, 0.5, 1.0))
FAMILIES = st.builds(
    SyntheticFamily,
    seed=st.integers(0, 2**40),
    tasks=st.integers(2, 9),
    skills=st.integers(4, 7),
    skills_per_task=st.integers(1, 3),
    opposed=FRACTIONS,
    common=st.sampled_from((0.0, 0.3)),
    shared=FRACTIONS,
    similarity_signal=FRACTIONS,
    label_noise=st.sampled_from((0.0, 0.2)),
    words=st.sampled_from((6, 12)),
    length=st.integers(4, 8),
    function_words=st.integers(0, 4),
    margin=st.sampled_from((0.0, 0.5, 1.0)),
)
DOMAINS = SyntheticFamily(seed=7, domains=2, domain_words=2, opposed=0.5)


def bag(example: Example) -> tuple[str, ...]:
    """The content words of an example, sorted."""
    return tuple(sorted(word for word in example.input.split() if word not in {*function_words(), "."}))


def mean_weight(family: SyntheticFamily, place: int, example: Example) -> float:
    return float(np.mean([family.weights[place, family.vocabulary.index(word)] for word in bag(example)]))


def test_words_belong_to_one_topic() -> None:
    content = [word for words in topic_words().values() for word in words]
    assert len(set(content)) == len(content)
    assert not set(content) & {*function_words(), *ANSWERS}
    assert len({len(words) for words in topic_words().values()}) == 1


@given(FAMILIES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_family_is_as_documented(family: SyntheticFamily) -> None:
    size = family.tasks
    assert len(set(family.task_names)) == len(family.tasks_by_name) == size
    np.testing.assert_allclose(np.linalg.norm(family.mixes, axis=1), 1.0)
    np.testing.assert_allclose(np.linalg.norm(family.weights, axis=1), 1.0)
    np.testing.assert_allclose(family.topic_rates.sum(axis=1), 1.0)
    related = family.relatedness
    assert related.shape == (size, size)
    np.testing.assert_array_equal(related, related.T)
    np.testing.assert_array_equal(np.diag(related), 1.0)
    assert (np.abs(related) <= 1).all()
    assert family.noise.min() >= 0
    assert family.noise.max() == pytest.approx(family.label_noise)

    name = family.task_names[-1]
    train = family.examples(name, 41, seed=7).examples
    held_out = family.examples(name, 20, seed=7, split="eval").examples
    assert sum(example.output == "yes" for example in held_out) == 10
    assert not {bag(example) for example in train} & {bag(example) for example in held_out}
    for example in held_out:
        value = mean_weight(family, size - 1, example)
        assert example.output == ("yes" if value > 0 else "no")
        assert example.choices == ANSWERS
        assert len(bag(example)) == family.length
    wrong = sum(example.output != ("yes" if mean_weight(family, size - 1, example) > 0 else "no") for example in train)
    assert wrong == round(family.noise[-1] * 41)


def test_domains_decide_whether_tasks_agree_and_texts_show_the_domain() -> None:
    domain_of = np.array([DOMAINS.domain(name) for name in DOMAINS.task_names])
    assert domain_of.tolist() == [0, 1] * 4
    related = DOMAINS.relatedness
    alike = domain_of[:, None] == domain_of[None, :]
    assert (related[alike] >= 0).all()
    assert (related[~alike] <= 0).all()
    assert related.min() < -0.3
    words = [set(topic_words()[topic]) for topic in DOMAINS.domain_topics]
    for name in DOMAINS.task_names[:2]:
        own = DOMAINS.domain(name)
        for example in DOMAINS.examples(name, 20).examples:
            found = example.input.split()
            assert [sum(word in topic for word in found) for topic in (words[own], words[1 - own])] == [2, 0]
            content = [word for word in found if word not in words[own] | {*function_words(), "."}]
            mean = np.mean([DOMAINS.weights[DOMAINS.task_names.index(name), DOMAINS.vocabulary.index(w)] for w in content])
            assert example.output == ("yes" if mean > 0 else "no")
    assert {word for topic in words for word in topic} <= {word for text in DOMAINS.texts() for word in text.split()}


@pytest.mark.parametrize("values", [{"domains": 9}, {"domains": 0}, {"domain_words": 2}, {"domains": 8, "skills": 6}])
def test_impossible_domains_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match="domain"):
        SyntheticFamily(tasks=8, **values)


def test_the_same_parameters_give_the_same_texts_in_every_process() -> None:
    name = FAMILY.task_names[0]
    again = SyntheticFamily(**FAMILY.to_dict())
    assert again == FAMILY
    assert again.examples(name, 50, seed=2) == FAMILY.examples(name, 50, seed=2)
    code = (
        "from taskweb.tasks.synthetic import SyntheticFamily\n"
        f"f = SyntheticFamily(seed=3)\nprint(f.examples({name!r}, 50, seed=2).digest)\n"
        "import sys\nassert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert found == FAMILY.examples(name, 50, seed=2).digest


def test_each_seed_and_split_draws_other_examples() -> None:
    name = FAMILY.task_names[0]
    digests = {FAMILY.examples(name, 30, seed=seed, split=split).digest for seed in range(3) for split in ("train", "eval")}
    assert len(digests) == 6
    texts = [example.input for example in FAMILY.examples(name, 500).examples]
    assert len({tuple(sorted(text.split())) for text in texts}) > 490
    assert len({bag(example) for example in FAMILY.examples(name, 500).examples}) == 500


def test_no_bag_of_training_occurs_in_evaluation_whatever_seed_and_task() -> None:
    bags = {
        split: {
            bag(example)
            for name in FAMILY.task_names
            for seed in range(3)
            for example in FAMILY.examples(name, 200, seed=seed, split=split).examples
        }
        for split in ("train", "eval")
    }
    assert min(map(len, bags.values())) > 1000
    assert not bags["train"] & bags["eval"]


def test_relatedness_is_that_of_the_mixes_where_all_skills_are_shared() -> None:
    np.testing.assert_allclose(FAMILY.relatedness, FAMILY.mixes @ FAMILY.mixes.T, atol=1e-12)
    assert np.linalg.matrix_rank(FAMILY.relatedness, tol=1e-9) <= FAMILY.skills
    apart = (np.abs(FAMILY.mixes) @ np.abs(FAMILY.mixes).T) == 0
    np.testing.assert_allclose(FAMILY.relatedness[apart], 0.0, atol=1e-12)
    assert apart.any()
    assert (FAMILY.relatedness < -0.4).any()


def test_without_opposite_signs_no_pair_harms() -> None:
    assert (dataclasses.replace(FAMILY, opposed=0.0).relatedness > -1e-12).all()


def test_relatedness_is_what_one_task_says_of_another() -> None:
    """A source's perfect answers to a target's examples agree more than half the time if the two are related."""
    agreement = np.zeros_like(FAMILY.relatedness)
    for target, name in enumerate(FAMILY.task_names):
        examples = FAMILY.examples(name, 300, split="eval").examples
        for source in range(FAMILY.tasks):
            said = [mean_weight(FAMILY, source, example) > 0 for example in examples]
            agreement[source, target] = np.mean([a == (e.output == "yes") for a, e in zip(said, examples, strict=True)])
    strong = np.abs(FAMILY.relatedness) > 0.4
    assert strong.sum() > FAMILY.tasks
    assert ((agreement[strong] > 0.5) == (FAMILY.relatedness[strong] > 0)).all()
    np.testing.assert_array_equal(np.diag(agreement), 1.0)


@pytest.mark.parametrize(("signal", "same"), [(1.0, False), (0.0, True)])
def test_the_similarity_signal_says_what_texts_are_about(signal: float, same: bool) -> None:
    family = dataclasses.replace(FAMILY, similarity_signal=signal)
    apart = np.argwhere((np.abs(family.mixes) @ np.abs(family.mixes).T) == 0)
    one, other = (family.task_names[place] for place in apart[0])
    words = [{word for e in family.examples(name, 200).examples for word in bag(e)} for name in (one, other)]
    assert bool(words[0] & words[1]) is same
    if same:
        np.testing.assert_allclose(family.topic_rates, 1 / family.skills)


def test_what_is_not_shared_is_drawn_for_each_task_alone() -> None:
    alone = SyntheticFamily(seed=5, tasks=30, shared=0.0)
    off = ~np.eye(30, dtype=bool)
    assert abs(np.mean(alone.relatedness[off])) < 0.05
    same_mix = np.corrcoef(alone.relatedness[off], (alone.mixes @ alone.mixes.T)[off])[0, 1]
    assert abs(same_mix) < 0.2


def test_texts_contain_every_word_that_is_used() -> None:
    known = {word for text in FAMILY.texts() for word in text.split()}
    used = {word for name in FAMILY.task_names for e in FAMILY.examples(name, 300).examples for word in e.input.split()}
    assert used <= known
    assert set(ANSWERS) <= known


def test_all_parameters_out_of_range_are_reported_at_once() -> None:
    with pytest.raises(ParameterError) as caught:
        SyntheticFamily(seed=-1, tasks=1, skills=99, opposed=1.5, common=1.0, words=5, length=1, margin=float("nan"))
    for name in ("seed", "tasks", "skills", "opposed", "common", "words", "length", "margin"):
        assert f"{name} must" in str(caught.value)


def test_impossible_draws_are_refused() -> None:
    name = FAMILY.task_names[0]
    with pytest.raises(NameNotFoundError, match=f"Did you mean '{name}'"):
        FAMILY.examples(name.upper(), 3)
    with pytest.raises(NameNotFoundError, match="split"):
        FAMILY.examples(name, 3, split="test")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="n = 0"):
        FAMILY.examples(name, 0)
    small = SyntheticFamily(words=4, length=2, skills=2, skills_per_task=1)
    with pytest.raises(ParameterError, match="too few different examples"):
        small.examples(small.task_names[0], 500)
    assert len(small.examples(small.task_names[0], 2)) == 2


def test_fixed_families_do_not_change() -> None:
    """New ones get new names: methods are compared on these, across versions."""
    digests = {name: family.examples(family.task_names[0], 20).digest[:12] for name, family in synthetic_families().items()}
    assert digests == {
        "mixed": "45fe76dd0638",
        "helpful": "6129a18b00c8",
        "popular": "968d1329d1b6",
        "lookalike": "533315572d7d",
        "partial": "36949c95ac6c",
        "unrelated": "ba8103ed3f76",
        "domains": "fae36c6345dc",
        "three_domains": "37cbb0c2e6b3",
        "common_domains": "b68821944cf4",
        "noisy_domains": "888dd6322769",
        "faint_domains": "645f9f440cf4",
    }
    assert find_family("mixed").seed == 1
    with pytest.raises(NameNotFoundError, match="Did you mean 'mixed'"):
        find_family("mixd")
