"""Tiny models: built from texts alone, the same from the same texts, and small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from taskweb.errors import InputError, NameNotFoundError, ParameterError
from taskweb.models import Head, load_model, load_saved, method_of, save_model
from taskweb.models.loading import is_tiny
from taskweb.models.reader import begin_ids
from taskweb.models.tiny import TINY_MODELS, family_of_tiny, tiny_model
from taskweb.tasks import Example
from taskweb.tasks.synthetic import SyntheticFamily

WITH_BIASES = ("tiny:t5", "tiny:gpt2", "tiny:roberta")
FAMILY = SyntheticFamily(seed=1)
HEAD = Head("classification", labels=("no", "yes"))
EXAMPLES = FAMILY.examples(FAMILY.task_names[0], 8).examples


@pytest.mark.parametrize("name", TINY_MODELS)
def test_words_are_single_tokens_and_the_model_is_small(name: str) -> None:
    model = tiny_model(name, FAMILY.texts(), HEAD, seed=0)
    assert is_tiny(name)
    assert 50_000 <= sum(parameter.numel() for parameter in model.module.parameters()) <= 500_000
    for word in FAMILY.vocabulary:
        assert len(model.tokenizer(f"yes {word} no", add_special_tokens=False)["input_ids"]) == 3
        assert len(model.tokenizer(word, add_special_tokens=False)["input_ids"]) == 1
    assert model.tokenizer.decode(model.tokenizer("the quixotic zebra")["input_ids"], skip_special_tokens=True)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_the_same_texts_and_seed_give_the_same_model_in_any_order(name: str) -> None:
    scores = [
        tiny_model(name, texts, HEAD, seed=seed).score_choices(EXAMPLES)
        for texts, seed in ((FAMILY.texts(), 0), (FAMILY.texts()[::-1], 0), (FAMILY.texts(), 1))
    ]
    assert all((a == b).all() for a, b in zip(scores[0], scores[1], strict=True))
    assert any((a != b).any() for a, b in zip(scores[0], scores[2], strict=True))


def test_another_process_builds_the_same_vocabularies() -> None:
    code = (
        "from taskweb.models import Head\nfrom taskweb.models.tiny import TINY_MODELS, tiny_model\n"
        "from taskweb.tasks.synthetic import SyntheticFamily\n"
        "f, h = SyntheticFamily(seed=1), Head('classification', labels=('no', 'yes'))\n"
        "for name in TINY_MODELS:\n    print(sorted(tiny_model(name, f.texts(), h).tokenizer.get_vocab().items()))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    here = [sorted(tiny_model(name, FAMILY.texts(), HEAD).tokenizer.get_vocab().items()) for name in TINY_MODELS]
    assert found.splitlines() == [str(vocabulary) for vocabulary in here]


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_saved_one_is_put_onto_another_that_was_built_alike(name: str, tmp_path: object) -> None:
    model = tiny_model(name, FAMILY.texts(), HEAD, seed=3)
    method_of("bitfit" if name in WITH_BIASES else "lora").apply(model, seed=0)
    with torch.no_grad():
        for parameter in model.module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    path = f"{tmp_path}/model.safetensors"
    save_model(model, path)
    again = load_saved(path, tiny_model(name, FAMILY.texts(), HEAD, seed=3))
    for a, b in zip(model.score_choices(EXAMPLES), again.score_choices(EXAMPLES), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_folder_opens_as_the_same_model(name: str, tmp_path: Path) -> None:
    model = tiny_model(name, FAMILY.texts(), HEAD, seed=3)
    model.module.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    again = load_model(str(tmp_path), HEAD)
    assert again.family == family_of_tiny(name) == model.family
    assert again.max_input == model.max_input
    for a, b in zip(model.score_choices(EXAMPLES), again.score_choices(EXAMPLES), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_only_llama_begins_with_a_token() -> None:
    begins = {name: begin_ids(tiny_model(name, FAMILY.texts(), HEAD).tokenizer) for name in ("tiny:llama", "tiny:gpt2")}
    assert {name: len(ids) for name, ids in begins.items()} == {"tiny:llama": 1, "tiny:gpt2": 0}


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'tiny:t5'"):
        tiny_model("tiny:t6", ["a"])
    with pytest.raises(InputError, match="hold no word"):
        tiny_model("tiny:t5", ["  "])
    with pytest.raises(ParameterError, match="dropout"):
        tiny_model("tiny:t5", ["a"], dropout=1.0)
    with pytest.raises(ParameterError, match="needs the head"):
        tiny_model("tiny:roberta", [Example("a").input])
    assert not is_tiny("t5-small")
