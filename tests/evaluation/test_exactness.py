"""Scores are those of a plain loop over choices, one forward pass each, and so are the answers."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from taskweb.evaluation.batching import BatchSize
from taskweb.evaluation.rank_classification import ChoiceRanker
from taskweb.models import TaskModel, method_of
from taskweb.models.methods.trainable import trainable
from taskweb.tasks import Example
from tests.models import tiny


def plain_score(model: TaskModel, text: str, choice: str, reduction: str) -> float:
    """Log-probability of one choice, from the library's own forward pass over input and choice."""
    tokenizer = model.tokenizer
    with torch.inference_mode():
        if model.family == "seq2seq":
            labels = [*tokenizer(choice, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            logits = model.module(**tokenizer(text, return_tensors="pt"), labels=torch.tensor([labels])).logits[0]
        else:
            read = tokenizer(text)["input_ids"] or [tokenizer.eos_token_id]
            labels = [*tokenizer(f" {choice}")["input_ids"], tokenizer.eos_token_id]
            logits = model.module(input_ids=torch.tensor([read + labels])).logits[0, len(read) - 1 : -1]
        values = -F.cross_entropy(logits, torch.tensor(labels), reduction="none").double()
    return float(values.mean() if reduction == "mean" else values.sum())


def questions() -> list[Example]:
    return [*tiny.choice_questions(), *tiny.statements(6)]


@pytest.mark.parametrize("method", [None, "pfeiffer", "bitfit"])
@pytest.mark.parametrize("normalisation", ["none", "unconditional"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", tiny.TEXT)
def test_scores_are_those_of_a_plain_loop(name: str, reduction: str, normalisation: str, method: str | None) -> None:
    model = tiny.model(name, seed=3)
    if method is not None:
        method_of(method).apply(model, seed=1)
        with torch.no_grad():
            for parameter in trainable(model.module).values():
                parameter.add_(0.05)
    for size in (1, 3, 100):
        ranker = ChoiceRanker(model, BatchSize(model.module, size), reduction=reduction, normalisation=normalisation)  # type: ignore[arg-type]
        for example, values in zip(questions(), ranker.scores(questions()), strict=True):
            expected = np.array(
                [
                    plain_score(model, example.input, choice, reduction)
                    - (plain_score(model, "", choice, reduction) if normalisation == "unconditional" else 0)
                    for choice in example.choices or ()
                ]
            )
            assert np.abs(values - expected).max() < 1e-4
            assert np.argmax(values) == np.argmax(expected)
