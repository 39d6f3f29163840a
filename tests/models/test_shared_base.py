"""One base for one run after another: each finds it as it was loaded, and nothing of it is copied."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from taskweb.models import METHODS, TaskModel, method_of
from taskweb.models.arithmetic import keep_vectors_exact
from taskweb.models.base import config_of
from taskweb.models.encoder_head import body_of
from taskweb.models.methods.trainable import trainable
from taskweb.models.shared_base import SharedBase
from taskweb.training import TrainingSettings, fit
from tests.models import tiny

SETTINGS = TrainingSettings(learning_rate=0.05, batch_size=8, steps=2, device="cpu", gradient_checkpointing=True)


def base_of(model: TaskModel) -> nn.Module:
    return body_of(model.module) if model.family == "encoder" else model.module


def a_run(model: TaskModel, method: str, seed: int) -> list[np.ndarray]:
    """Scores after a short training, with a head from the seed."""
    model.set_head(tiny.LABELS, seed=seed)
    method_of(method).apply(model, seed=seed)
    fit(model, tiny.statements(8), SETTINGS, seed=seed)
    return model.score_choices(tiny.statements(4))


def half(model: TaskModel) -> TaskModel:
    model.module.to(torch.bfloat16)
    keep_vectors_exact(model.module)
    return model


@pytest.mark.parametrize("name", tiny.NAMES)
def test_each_run_finds_the_base_as_it_was_loaded(name: str) -> None:
    shared = SharedBase(tiny.model(name, seed=1))
    for method in (*METHODS, *METHODS):
        alone = a_run(tiny.model(name, seed=1), method, seed=5)
        lent = a_run(shared.fresh(), method, seed=5)
        assert all(np.array_equal(a, b) for a, b in zip(alone, lent, strict=True)), method
    plain, again = tiny.model(name, seed=1), shared.fresh()
    state, wanted = base_of(again).state_dict(), base_of(plain).state_dict()
    assert list(state) == list(wanted)
    assert all(torch.equal(state[key], wanted[key]) for key in wanted)
    assert again.method is None
    assert not getattr(again.module, "peft_config", None)
    assert all(p.requires_grad and p.grad is None for p in base_of(again).parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in base_of(again).modules())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["gpt2", "roberta"])
def test_nothing_of_the_base_is_copied_and_what_a_run_added_is_freed(name: str, method: str) -> None:
    shared = SharedBase(tiny.model(name, seed=1))
    places = {key: tensor.data_ptr() for key, tensor in base_of(shared.fresh()).named_parameters()}
    model = shared.fresh()
    a_run(model, method, seed=1)
    own = {key.replace(".base_layer", ""): tensor for key, tensor in base_of(model).named_parameters()}
    assert {key: own[key].data_ptr() for key in places} == places
    added = [weakref.ref(tensor) for key, tensor in own.items() if key not in places]
    assert bool(added) == (method in ("lora", "pfeiffer"))
    del own, model
    shared.fresh()
    gc.collect()
    assert [reference() for reference in added if reference() is not None] == []


def test_weights_in_half_precision_come_back_as_they_were() -> None:
    shared = SharedBase(half(tiny.model("gpt2", seed=1)))
    wanted = {key: tensor.clone() for key, tensor in shared.fresh().module.state_dict().items()}
    assert {tensor.dtype for tensor in wanted.values()} == {torch.bfloat16, torch.float32}
    first = None
    for method in ("finetune", "lora", "finetune"):
        model = shared.fresh()
        scores = a_run(model, method, seed=2)
        assert {tensor.dtype for tensor in trainable(model.module).values()} == {torch.float32}
        if method == "finetune":
            assert first is None or all(np.array_equal(a, b) for a, b in zip(first, scores, strict=True))
            first = scores
        state = shared.fresh().module.state_dict()
        assert all(torch.equal(state[key], wanted[key]) and state[key].dtype == wanted[key].dtype for key in wanted)


def test_shorter_ways_are_tried_once_for_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedBase(tiny.model("gpt2"))
    found = shared.fresh().verified
    monkeypatch.setattr("taskweb.models.causal.verify_causal", lambda *_: pytest.fail("tried again"))
    assert shared.fresh().verified is found
    assert config_of(shared.fresh()) is config_of(shared.fresh())
