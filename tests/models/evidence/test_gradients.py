"""Projected gradients of single examples."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from taskweb.errors import ParameterError
from taskweb.models import method_of
from taskweb.models.evidence.gradients import gradient_agreement, gradient_vectors, projection_for
from taskweb.models.methods.trainable import trainable
from tests.models import tiny


@pytest.mark.parametrize(("name", "method"), [("t5", "lora"), ("gpt2", "finetune"), ("bert", "lora")])
def test_they_are_those_of_a_backward_pass(name: str, method: str) -> None:
    model = tiny.model(name, dropout=0.3)
    method_of(method).apply(model, seed=0)
    encoded, projection = model.encode(tiny.statements(3)), projection_for(model, size=64)
    model.module.train()
    found = gradient_vectors(model, encoded, projection)
    assert model.module.training
    assert all(parameter.grad is None for parameter in model.module.parameters())
    model.module.eval()
    for item, vector in zip(encoded, found, strict=True):
        model.module.zero_grad()
        (model.loss([item]) / item.weight).backward()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trainable(model.module).values()]
        by_hand = projection.of(gradients).numpy()
        np.testing.assert_allclose(vector, by_hand / np.linalg.norm(by_hand), atol=1e-5)


def test_agreement_is_the_mean_cosine_with_the_mean_gradient() -> None:
    target = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
    source = np.array([[1.0, 0.0], [0.0, -1.0]], np.float32)
    mean = np.array([0.8, 0.4]) / np.hypot(0.8, 0.4)
    assert gradient_agreement(target, source) == pytest.approx((mean[0] - mean[1]) / 2)
    assert gradient_agreement(target, target) > gradient_agreement(target, source)
    assert gradient_agreement(np.zeros((2, 2), np.float32), source) == 0


def test_a_model_without_a_method_is_refused() -> None:
    with pytest.raises(ParameterError, match="no adaptation method"):
        projection_for(tiny.model("t5"))
