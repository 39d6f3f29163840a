from __future__ import annotations

import numpy as np
import pytest

from taskweb.selectors.similarity import coverage, example_text, mean_embedding_cosine, retrieval_of_experts
from taskweb.tasks import Example
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
        assert coverage(TARGET, BANK, BANK.tasks)[j] == pytest.approx(dots.max(axis=0).mean(), abs=1e-6)
        a, b = TARGET.mean(axis=0), BANK.of(name).mean(axis=0)
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert mean_embedding_cosine(TARGET, BANK, BANK.tasks)[j] == pytest.approx(cosine, abs=1e-6)


def test_a_task_is_most_like_itself() -> None:
    assert retrieval_of_experts(BANK.of("t3"), BANK, BANK.tasks).argmax() == 3
    assert retrieval_of_experts(BANK.of("t3"), BANK, ["t3"])[0] == pytest.approx(1.0, abs=1e-6)
    assert coverage(BANK.of("t3"), BANK, ["t3"])[0] == pytest.approx(1.0, abs=1e-6)
