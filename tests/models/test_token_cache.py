"""A text is tokenised once, and what is kept changes nothing."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("torch")

from taskweb.models import Head, token_cache
from taskweb.models.tiny import TINY_MODELS, tiny_model
from taskweb.models.token_cache import TokenCache
from taskweb.tasks import Example
from taskweb.tasks.synthetic import find_family


def test_what_is_known_is_not_asked_again() -> None:
    asked: list[list[str]] = []

    def tokenise(texts: list[str]) -> list[int]:
        asked.append(texts)
        return [len(text) for text in texts]

    memory = TokenCache()
    assert memory.of(["a", "bb", "a"], tokenise) == [1, 2, 1]
    assert memory.of(["bb", "ccc"], tokenise) == [2, 3]
    assert memory.of([], tokenise) == []
    assert asked == [["a", "bb"], ["ccc"]]


def test_it_forgets_rather_than_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "_MOST_TEXTS", 3)
    memory = TokenCache()
    for first in range(10):
        keys = [first, first + 1]
        assert memory.of(keys, lambda missing: [-key for key in missing]) == [-key for key in keys]
        assert len(memory._cached) <= 3


@pytest.mark.parametrize("name", TINY_MODELS)
def test_runs_of_one_setup_tokenise_together_and_a_new_limit_cuts_anew(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family = find_family("mixed")
    model = tiny_model(name, family.texts(), Head("classification", labels=("no", "yes")))
    examples = family.examples(family.task_names[0], 8).examples
    before = [item.inputs[0].tolist() for item in model.encode(examples)]
    other = copy.copy(model)
    calls = 0
    plain = type(model.tokenizer).__call__

    def counted(*given: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        return plain(*given, **named)

    monkeypatch.setattr(type(model.tokenizer), "__call__", counted)
    assert [item.inputs[0].tolist() for item in other.encode(examples)] == before
    again = calls
    other.encode([Example("word word", examples[0].output, examples[0].choices)])
    assert calls > again
    other.max_input = 8
    assert all(len(item.inputs[0]) <= 8 for item in other.encode(examples))
    assert [item.inputs[0].tolist() for item in model.encode(examples)] == before
