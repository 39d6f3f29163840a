"""Folders of format 1, made by version 0.1 from tiny models: they open with the scores that it gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from taskweb.models import open_model, save_bundle
from taskweb.models.bundle_record import Record
from taskweb.tasks import Example
from taskweb.tasks.text_settings import TextSettings

FOLDERS = Path(__file__).parent / "data" / "format_1"
SAVED: dict[str, Any] = json.loads((FOLDERS / "scores.json").read_text())["models"]


def examples_of(name: str) -> list[Example]:
    return [
        Example(row["input"], row["output"], tuple(row["choices"]) if row["choices"] else None)
        for row in SAVED[name]["examples"]
    ]


def assert_as_saved(name: str, folder: Path, *, atol: float) -> None:
    model, saved, examples = open_model(folder), SAVED[name], examples_of(name)
    encoded = model.encode(examples)
    assert [[ids.tolist() for ids in item.inputs] for item in encoded] == saved["inputs"]
    with torch.no_grad():
        assert float(model.loss(encoded)) == pytest.approx(saved["loss"], abs=atol, rel=0)
    for reduction in (name for name in ("mean", "sum") if name in saved):
        for one, other in zip(model.score_choices(examples, reduction=reduction), saved[reduction], strict=True):
            np.testing.assert_allclose(one, other, atol=atol, rtol=0)
    if "numbers" in saved:
        np.testing.assert_allclose(model.numbers(examples), saved["numbers"], atol=atol, rtol=0)
    if "texts" in saved:
        assert model.generate(examples, max_new_tokens=8) == saved["texts"]


@pytest.mark.parametrize("name", SAVED)
def test_it_opens_with_the_scores_of_version_0_1(name: str) -> None:
    assert open_model(FOLDERS / name).max_input == SAVED[name]["max_input"]
    assert_as_saved(name, FOLDERS / name, atol=1e-5)


@pytest.mark.parametrize("name", SAVED)
def test_saved_again_it_has_todays_format_and_the_same_scores(name: str, tmp_path: Path) -> None:
    model = open_model(FOLDERS / name)
    save_bundle(model, tmp_path / "again")
    record = Record.read(tmp_path / "again" / "taskweb.json")
    assert record.format == 2
    assert (tmp_path / "again" / "base").is_dir() == (record.layout != "plain")
    assert_as_saved(name, tmp_path / "again", atol=1e-5)


def test_its_prompts_are_plain_whatever_the_tokenizer_says_and_a_limit_can_be_given() -> None:
    model = open_model(FOLDERS / "gpt2-lora", text=TextSettings(max_input=20))
    assert (model.prompts.name, model.max_input) == ("plain", 20)
