"""One base for run after run: each gets it as it was loaded, to the last bit, and none gets a copy."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from taskweb.models import TaskModel, method_of
from taskweb.models.encoder_head import body_of
from taskweb.models.methods.trainable import trainable
from taskweb.models.shared_base import SharedBase
from tests.models import tiny


def body(model: TaskModel) -> torch.nn.Module:
    return body_of(model.module) if model.family == "encoder" else model.module


def state(model: TaskModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in body(model).state_dict().items()}


def train_a_little(model: TaskModel, method: str) -> None:
    model.set_head(tiny.LABELS, seed=3)
    method_of(method).apply(model, seed=1)
    model.module.train()
    optimizer = torch.optim.SGD(list(trainable(model.module).values()), lr=0.5)
    model.loss(model.encode(tiny.statements(4))).backward()
    optimizer.step()


@pytest.mark.parametrize("name", tiny.NAMES)
@pytest.mark.parametrize("method", ["finetune", "lora", "pfeiffer", "bitfit"])
def test_what_a_run_changed_is_undone(name: str, method: str) -> None:
    base = SharedBase(tiny.model(name))
    first = base.fresh()
    before, modules = state(first), [type(module) for module in body(first).modules()]
    places = {key: parameter.data_ptr() for key, parameter in body(first).named_parameters()}
    for _ in range(2):
        train_a_little(base.fresh(), method)
    again = base.fresh()
    assert [type(module) for module in body(again).modules()] == modules
    after = state(again)
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert {key: parameter.data_ptr() for key, parameter in body(again).named_parameters()} == places
    assert all(parameter.requires_grad and parameter.grad is None for parameter in body(again).parameters())
    assert again.method is None


@pytest.mark.parametrize("method", ["lora", "pfeiffer", "bitfit"])
def test_runs_after_others_are_those_that_come_first(method: str) -> None:
    base = SharedBase(tiny.model("gpt2"))
    results = []
    for other in (None, "finetune", method, "lora"):
        if other is not None:
            train_a_little(base.fresh(), other)
        model = base.fresh()
        train_a_little(model, method)
        results.append({key: value.detach().clone() for key, value in trainable(model.module).items()})
    for found in results[1:]:
        assert all(torch.equal(found[key], results[0][key]) for key in results[0])
