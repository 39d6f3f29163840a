from __future__ import annotations

import numpy as np
import pytest

from taskweb.selectors.similarity import (
    centred_cosine,
    example_text,
    four_similarities,
    mean_embedding_cosine,
    retrieval_both_ways,
    retrieval_of_experts,
    retrieval_on_one_scale,
)
from taskweb.tasks import Example
from taskweb.web import ExampleBank
from tests.conftest import made_up_bank

BANK = made_up_bank(tuple(f"t{i}" for i in range(40)), examples=9)
TARGET = made_up_bank(("x",), seed=1).of("x")


def test_the_text_of_an_example() -> None:
    assert example_text(Example("Why?", None, ("Yes", "it's"))) == "['Yes', \"it's\"]</s>Why?"
    assert example_text(Example("Why?")) == "None</s>Why?"


def test_similarities_agree_with_plain_loops() -> None:
    for j, name in enumerate(BANK.tasks):
        dots = TARGET @ BANK.of(name).T
        assert retrieval_of_experts(TARGET, BANK, BANK.tasks)[j] == pytest.approx(dots.max(axis=1).mean(), abs=1e-6)
        both = retrieval_both_ways([BANK.of("t3"), TARGET], BANK, BANK.tasks)
        assert both[1, j] == pytest.approx((dots.max(axis=1).mean() + dots.max(axis=0).mean()) / 2, abs=1e-6)
        a, b = TARGET.mean(axis=0), BANK.of(name).mean(axis=0)
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert mean_embedding_cosine(TARGET, BANK, BANK.tasks)[j] == pytest.approx(cosine, abs=1e-6)


def test_a_task_is_most_similar_to_itself() -> None:
    assert retrieval_of_experts(BANK.of("t3"), BANK, BANK.tasks).argmax() == 3
    assert retrieval_of_experts(BANK.of("t3"), BANK, ["t3"])[0] == pytest.approx(1.0, abs=1e-6)
    assert retrieval_both_ways([BANK.of("t3")], BANK, ["t3"])[0, 0] == pytest.approx(1.0, abs=1e-6)


def test_the_largest_of_a_few_is_expected_exactly() -> None:
    from itertools import combinations

    from taskweb.selectors.similarity import _weights_of_largest

    values = np.sort(np.random.default_rng(0).random(7))[::-1]
    for size in range(1, 8):
        expected = np.mean([max(subset) for subset in combinations(values, size)])
        assert _weights_of_largest(7, size) @ values == pytest.approx(expected)


def test_sources_of_fewer_examples_stand_on_the_scale_of_the_others() -> None:
    assert np.array_equal(retrieval_on_one_scale(TARGET, BANK, BANK.tasks), retrieval_of_experts(TARGET, BANK, BANK.tasks))
    few = BANK.joined({"t0": BANK.of("t0")[:2], "t1": BANK.of("t1")[:5]})
    raw, scaled = retrieval_of_experts(TARGET, few, few.tasks), retrieval_on_one_scale(TARGET, few, few.tasks)
    assert scaled[0] - raw[0] > scaled[1] - raw[1] > 0
    assert np.array_equal(scaled[2:], raw[2:])


def test_four_similarities_in_one_pass_are_each_of_them() -> None:
    bank = made_up_bank(("a", "b", "c"))
    uneven = ExampleBank({**bank.vectors, "b": bank.of("b")[:5]})
    for one in (bank, uneven):
        found = four_similarities(bank.of("a"), one, ("b", "c"))
        for values, similarity in ((found[0], retrieval_of_experts), (found[2], mean_embedding_cosine)):
            assert values == pytest.approx(similarity(bank.of("a"), one, ("b", "c")), abs=1e-6)
        both = retrieval_both_ways([bank.of("a")], one, ("b", "c"))[0]
        assert found[:2].mean(axis=0) == pytest.approx(both, abs=1e-6)
        means = np.stack([one.of(name).mean(axis=0) for name in ("b", "c")])
        target = bank.of("a").mean(axis=0)
        assert found[3] == pytest.approx(centred_cosine(target[None], means)[0], abs=1e-6)


def test_the_centred_cosine_ignores_what_all_tasks_share() -> None:
    shared, draw = 10 * np.eye(6)[0], np.random.default_rng(0)
    own = draw.normal(size=(5, 6))
    tasks = own + shared
    target = own[2] + 0.1 * draw.normal(size=6) + shared
    plain = tasks @ target / np.linalg.norm(tasks, axis=1) / np.linalg.norm(target)
    centred = centred_cosine(target[None], tasks)[0]
    assert np.ptp(plain) < 0.2 < np.ptp(centred)
    assert int(np.argmax(centred)) == 2
    left, right = target - tasks.mean(axis=0), tasks[4] - tasks.mean(axis=0)
    assert centred[4] == pytest.approx(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
    assert np.isfinite(centred_cosine(target[None], tasks[:1])).all()
