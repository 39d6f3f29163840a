"""Estimates of memory beside the tensors that there are, and that autograd keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from taskweb.models import TaskModel, method_of
from taskweb.models.arithmetic import keep_vectors_exact
from taskweb.models.base import Encoded
from taskweb.models.loading import Checkpoint, assembled, drawn_module
from taskweb.models.memory_estimate import MemoryEstimate, Passes, estimate_memory
from taskweb.models.methods.trainable import count_trainable
from taskweb.models.tiny import TINY_MODELS, tiny_model
from taskweb.tasks import Example
from taskweb.training.settings import computing_in
from tests.models import tiny

LONG = [Example(" ".join(tiny.WORDS[i : i + 20]), ("yes", "no")[i % 2], ("no", "yes")) for i in range(8)]
METHODS = ("finetune", "lora", "pfeiffer", "bitfit")


def model(name: str) -> TaskModel:
    return tiny_model(name, tiny.TEXTS, tiny.LABELS)


def outline(name: str) -> TaskModel:
    full = model(name)
    config, tokenizer = TINY_MODELS[name](sorted(set(tiny.WORDS)), 0.0)
    with torch.device("meta"):
        module = drawn_module(config, full.family, tiny.LABELS, 0)
    return assembled(Checkpoint(module, tokenizer, full.origin, full.family), tiny.LABELS, seed=0)


def passes(plain: TaskModel, encoded: list[Encoded], **options: bool) -> Passes:
    answers = 0 if plain.family == "encoder" else max(len(item.answer) for item in encoded)
    return Passes(len(encoded), max(len(item.inputs[0]) for item in encoded), answers, **options)


def estimate(name: str, method: str, options: dict[str, bool] | None = None, **more: Any) -> MemoryEstimate:
    plain = outline(name)
    return estimate_memory(plain, method_of(method), passes(plain, plain.encode(LONG), **(options or {})), **more)


def kept_bytes(adapted: TaskModel, precision: str) -> int:
    """Bytes of the tensors that autograd keeps for the way back, besides parameters."""
    own = {parameter.untyped_storage().data_ptr() for parameter in adapted.module.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    adapted.module.train()
    encoded = adapted.encode(LONG)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), computing_in(precision, torch.device("cpu")):  # type: ignore[arg-type]
        loss = adapted.loss(encoded)
    found = sum(storage.nbytes() for storage in kept.values())
    loss.backward()
    return found


@pytest.mark.parametrize("name", TINY_MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_base_and_own_are_exact(name: str, method: str) -> None:
    if method == "bitfit" and name in ("tiny:llama", "tiny:modernbert"):
        return  # they have no biases
    whole, adapted = model(name), model(name)
    method_of(method).apply(adapted, seed=0)
    trained = count_trainable(adapted.module)
    of_base = sum(p.numel() for n, p in adapted.module.named_parameters() if p.requires_grad and "taskweb" not in n)
    of_base = (
        0 if method == "lora" else of_base - sum(p.numel() for n, p in whole.module.named_parameters() if whole.is_head(n))
    )
    body = sum(p.numel() for n, p in whole.module.named_parameters() if not whole.is_head(n))
    on_gpu, on_cpu = estimate(name, method, on_gpu=True), estimate(name, method)
    assert on_gpu.own == 16 * trained
    assert on_gpu.base == on_cpu.base == 4 * (body - of_base)
    assert on_cpu.own == on_gpu.own + 4 * of_base
    assert on_gpu.peak == on_gpu.base + on_gpu.own + on_gpu.activations
    assert on_gpu.activations >= 4 * trained


@pytest.mark.parametrize("name", ["tiny:gpt2", "tiny:roberta"])
def test_the_base_is_counted_as_it_is_stored(name: str) -> None:
    stored = model(name)
    stored.module.to(torch.bfloat16)
    keep_vectors_exact(stored.module)
    nbytes = sum(p.nbytes for n, p in stored.module.named_parameters() if not stored.is_head(n))
    assert estimate(name, "lora", dtype="bfloat16").base == nbytes
    in_8, in_4 = (estimate(name, "lora", dtype="bfloat16", load_in=kind).base for kind in ("8bit", "4bit"))
    assert in_4 < in_8 < nbytes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["finetune", "lora"])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_activations_are_near_what_autograd_keeps(name: str, method: str, precision: str) -> None:
    adapted = model(name)
    method_of(method).apply(adapted, seed=0)
    kept = kept_bytes(adapted, precision)
    estimated = estimate(name, method, {"half": precision == "bfloat16"}).activations / 2  # a CPU has gaps
    assert 0.5 < estimated / kept < 1.6, (estimated, kept)


def test_activations_grow_with_the_pass_and_shrink_with_checkpointing() -> None:
    plain = outline("tiny:gpt2")
    method = method_of("lora")
    small, more, longer = (
        estimate_memory(plain, method, Passes(n, tokens, 1)).activations for n, tokens in ((1, 9), (4, 9), (1, 39))
    )
    assert more == 4 * small
    assert longer > 3 * small
    deep = tiny.model("gpt2")
    kept, twice = (estimate_memory(deep, method, Passes(2, 30, 1, checkpointing=flag)).activations for flag in (False, True))
    assert twice < 0.8 * kept
