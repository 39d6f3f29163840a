"""Encoders that others trained for a task open with their own head and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
)

from taskweb.errors import InputError, ParameterError
from taskweb.models import Head, open_model
from taskweb.models.loading import quiet
from taskweb.tasks import Example
from tests.models import tiny
from tests.models.test_bundle import outputs

NAMES = {"id2label": {0: "bad", 1: "maybe", 2: "good"}, "label2id": {"bad": 0, "maybe": 1, "good": 2}}


def written(kind: Any, name: str, place: Path, **options: Any) -> Any:
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(2)
        module = kind.from_config(tiny.config(name, **options))
        module.save_pretrained(place)
    tiny.tokenizer(name).save_pretrained(place)
    return module


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_a_classifier_has_its_labels(name: str, tmp_path: Path) -> None:
    theirs = written(AutoModelForSequenceClassification, name, tmp_path, **NAMES)
    model = open_model(tmp_path)
    assert model.head == Head("classification", ("bad", "maybe", "good"))
    torch.testing.assert_close(outputs(model.module, name), outputs(theirs, name), atol=1e-6, rtol=0)
    (scores,) = model.score_choices([Example("a good film", None, ("good", "bad"))])
    batch = model.tokenizer("a good film", return_tensors="pt")
    with torch.no_grad():
        logs = F.log_softmax(theirs(**batch).logits[0, [2, 0]], dim=-1)
    torch.testing.assert_close(torch.from_numpy(scores).float(), logs, atol=1e-5, rtol=0)
    other = open_model(tmp_path, Head("classification", ("a", "b", "c")))
    assert not torch.allclose(outputs(other.module, name), outputs(theirs, name), atol=1e-2)


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_numbers_spans_and_choices(name: str, tmp_path: Path) -> None:
    theirs = written(AutoModelForSequenceClassification, name, tmp_path / "number", num_labels=1)
    model = open_model(tmp_path / "number")
    assert model.head.kind == "regression"
    torch.testing.assert_close(outputs(model.module, name), outputs(theirs, name), atol=1e-6, rtol=0)
    theirs = written(AutoModelForQuestionAnswering, name, tmp_path / "span")
    model = open_model(tmp_path / "span")
    assert model.head.kind == "span_qa"
    torch.testing.assert_close(outputs(model.module, name), outputs(theirs, name), atol=1e-6, rtol=0)


def test_a_head_for_choices(tmp_path: Path) -> None:
    theirs = written(AutoModelForMultipleChoice, "bert", tmp_path / "bert")
    model = open_model(tmp_path / "bert")
    assert model.head.kind == "multiple_choice"
    example = tiny.choice_questions()[0]
    assert example.choices is not None
    batch = model.tokenizer([example.input] * 3, list(example.choices), return_tensors="pt", padding=True)
    with torch.no_grad():
        wanted = theirs.eval()(**{key: value[None] for key, value in batch.items()}).logits[0].log_softmax(-1)
    torch.testing.assert_close(torch.from_numpy(model.score_choices([example])[0]).float(), wanted, atol=1e-5, rtol=0)
    written(AutoModelForMultipleChoice, "roberta", tmp_path / "roberta")  # its head has another form
    with pytest.raises(InputError, match="lack a tensor of its head, classifier"):
        open_model(tmp_path / "roberta")


def test_without_a_head_for_a_task_one_is_needed(tmp_path: Path) -> None:
    written(AutoModelForMaskedLM, "bert", tmp_path / "words")
    written(AutoModelForSequenceClassification, "bert", tmp_path / "many", problem_type="multi_label_classification")
    for name in ("words", "many"):
        with pytest.raises(ParameterError, match="needs the head of a task"):
            open_model(tmp_path / name)
        assert open_model(tmp_path / name, tiny.LABELS).head == tiny.LABELS
