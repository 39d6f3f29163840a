"""Any architecture: losses and gradients of the library, scores that depend on nothing else, methods, and saved folders."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from taskweb.errors import ParameterError
from taskweb.models import METHODS, TaskModel, method_of
from taskweb.models.methods.places import adapter_places
from taskweb.models.methods.trainable import trainable
from taskweb.models.outline import outline_of
from taskweb.tasks import Example
from tests.models import zoo

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
GEMMA_LAYERS = [f"self_attn.{name}" for name in ATTENTION] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
Opened = tuple[zoo.Architecture, TaskModel, Path]


@pytest.fixture(scope="module", params=zoo.ARCHITECTURES)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """One checkpoint of each architecture, opened; tests must leave it as it is."""
    architecture = zoo.ARCHITECTURES[request.param]
    folder = zoo.write(architecture, tmp_path_factory.mktemp(request.param))
    model = zoo.opened(architecture, folder)
    model.verified  # noqa: B018 - copies share what was tried
    return architecture, model, folder


def examples_for(model: TaskModel) -> list[Example]:
    if model.family != "encoder":
        return zoo.examples()
    return [Example(example.input, ("no", "yes")[i % 2], ("no", "yes")) for i, example in enumerate(zoo.examples())]


def library_inputs(model: TaskModel, example: Example) -> dict[str, torch.Tensor]:
    """What the library's own class is given to learn one example, tokenized by the tokenizer alone."""
    if model.family == "causal":
        text = example.input.rstrip()
        prompt = model.tokenizer(text)["input_ids"]
        whole = [*model.tokenizer(f"{text} {example.output}")["input_ids"], model.tokenizer.eos_token_id]
        labels = [-100] * len(prompt) + whole[len(prompt) :]
        return {"input_ids": torch.tensor([whole]), "labels": torch.tensor([labels])}
    read = dict(model.tokenizer(example.input, return_tensors="pt"))
    if model.family == "seq2seq":
        return {**read, "labels": model.tokenizer(text_target=example.output, return_tensors="pt")["input_ids"]}
    return {**read, "labels": torch.tensor([model.head.labels.index(str(example.output))])}


def test_without_weights_the_same_is_read_and_resolved(opened: Opened) -> None:
    architecture, model, folder = opened
    outline = outline_of(str(folder), family=architecture.asked)
    outline.set_head(model.head, seed=0)
    for one, other in zip(model.encode(examples_for(model)), outline.encode(examples_for(model)), strict=True):
        assert [ids.tolist() for ids in one.inputs] == [ids.tolist() for ids in other.inputs]
        assert (one.answer, one.lost) == (other.answer, other.lost)
    assert outline.max_input == model.max_input
    for method in METHODS:
        if method == "bitfit" and not architecture.bitfit:
            for one in (outline, model):
                with pytest.raises(ParameterError, match="BitFit trains biases"):
                    method_of(method).resolved(one)
        else:
            assert method_of(method).resolved(outline) == method_of(method).resolved(model)


def test_what_was_found_out(opened: Opened) -> None:
    architecture, model, _ = opened
    assert model.family == architecture.family
    assert model.verified.right_padding != architecture.apart
    assert model.verified.answers_together
    if model.family == "causal":
        assert model.continued_together == architecture.continued
    if model.family != "encoder":
        assert model.verified.tree == architecture.tree
        as_plain = model.verified.tree and model.verified.tree_limit is None and model.verified.logits == "head"
        assert bool(model.verified.reasons) != as_plain


def test_loss_and_gradients_are_those_of_the_library(opened: Opened) -> None:
    _, model, _ = opened
    compare_with_library(model, examples_for(model))


@pytest.mark.parametrize("opened", ["phi3_long", "llama_dynamic"], indirect=True)
def test_positions_that_scale_with_length_scale_by_the_own_length(opened: Opened) -> None:
    _, model, _ = opened
    texts = ["a " * count + "the" for count in range(4, 26)]
    examples = [Example(text, ("yes", "no maybe")[i % 2], ("yes", "no maybe")) for i, text in enumerate(texts)]
    lengths = {len(model.tokenizer(text)["input_ids"]) for text in texts}
    assert lengths > set(range(12, 21))  # around 16, beyond which positions are scaled
    compare_with_library(model, examples)
    together = model.generate(examples, max_new_tokens=4)
    assert together == [model.generate([example], max_new_tokens=4)[0] for example in examples]


def compare_with_library(model: TaskModel, examples: list[Example]) -> None:
    """The loss of a batch and its gradients against those of the library's class, one example after the other."""
    batch = model.encode(examples)
    loss = model.loss(batch)
    loss.backward()
    gradients = gradients_of(model.module)
    total = 0.0
    for example, item in zip(examples, batch, strict=True):
        own = model.module(**library_inputs(model, example))
        (own.loss * item.weight).backward()
        total += own.loss.item() * item.weight
    wanted = gradients_of(model.module)
    assert loss.item() == pytest.approx(total, rel=1e-5)
    assert set(wanted) == set(gradients)
    assert norm_of({name: gradients[name] - wanted[name] for name in wanted}) <= 1e-5 * norm_of(wanted)


def gradients_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The gradients by name, which are gone from the module then."""
    found = {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}
    module.zero_grad()
    return found


def norm_of(tensors: dict[str, torch.Tensor]) -> float:
    return float(torch.stack([tensor.norm() for tensor in tensors.values()]).norm())


def plain_score(model: TaskModel, example: Example, choice: str) -> float:
    """The log-probability of one choice by itself, from the library's plain forward pass."""
    with torch.no_grad():
        if model.family == "encoder":
            logits = model.module(**model.tokenizer(example.input, return_tensors="pt")).logits[0]
            return float(torch.log_softmax(logits, dim=-1)[model.head.labels.index(choice)])
        own = library_inputs(model, Example(example.input, choice))
        labels = own.pop("labels")
        if model.family == "seq2seq":
            logits = model.module(**own, labels=labels).logits[0]
            # What stands before every target, such as BART's begin token, is learnt, and is no part of a choice.
            begin = len(model.tokenizer(text_target="")["input_ids"]) - 1
            return float(torch.log_softmax(logits, dim=-1).gather(1, labels.T)[begin:].sum())
        logits = model.module(own["input_ids"][:, :-1], use_cache=False).logits[0]
        places = torch.arange(labels.shape[1] - 1)[labels[0, 1:] >= 0]
        return float(torch.log_softmax(logits[places], dim=-1).gather(1, labels[0, places + 1, None]).sum())


def test_scores_depend_on_the_input_and_the_choice_alone(opened: Opened) -> None:
    _, model, _ = opened
    examples = examples_for(model)
    alone = [np.array([plain_score(model, e, choice) for choice in e.choices or ()]) for e in examples]
    for batch_size in (32, 1):
        for found, wanted in zip(model.score_choices(examples, reduction="sum", batch_size=batch_size), alone, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-4)
    if model.family == "encoder":
        return
    turned = [Example(e.input, e.output, (e.choices or ())[::-1][:2]) for e in examples[::-1]]
    side = model.tokenizer.padding_side
    try:
        model.tokenizer.padding_side = "left" if side == "right" else "right"
        for found, wanted in zip(model.score_choices(turned, reduction="sum"), alone[::-1], strict=True):
            np.testing.assert_allclose(found, wanted[::-1][:2], rtol=2e-5, atol=1e-4)
    finally:
        model.tokenizer.padding_side = side


def test_what_is_written_does_not_depend_on_the_batch(opened: Opened) -> None:
    _, model, _ = opened
    if model.family == "encoder":
        pytest.skip("encoders write no text")
    examples = zoo.examples()
    together = model.generate(examples, max_new_tokens=4)
    assert together == [model.generate([example], max_new_tokens=4)[0] for example in examples]
    assert any(together)


@pytest.mark.parametrize("method", METHODS)
def test_methods_train_or_refuse_in_one_line(opened: Opened, method: str) -> None:
    architecture, shared, _ = opened
    model = copy.deepcopy(shared)
    if method == "bitfit" and not architecture.bitfit:
        with pytest.raises(ParameterError, match=r"BitFit trains biases, and .* has none") as caught:
            method_of(method).apply(model, seed=0)
        assert "\n" not in str(caught.value)
        assert model.method is None
        return
    before = model.score_choices(examples_for(model)[:2])
    options: dict[str, Any] = {"reduction_factor": 4} if method == "pfeiffer" else {}
    adaptation = method_of(method, options)
    estimated = adaptation.trains(model)
    adaptation.apply(model, seed=0)
    counted = sum(tensor.numel() for name, tensor in trainable(model.module).items() if not model.is_head(name))
    assert estimated.own + estimated.added == counted
    if method in ("lora", "bitfit"):
        for one, other in zip(before, model.score_choices(examples_for(model)[:2]), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    if method == "pfeiffer":
        check_adapters(architecture, model)
    if method == "lora":
        assert lora_layers(model.module) == expected_lora_layers(shared)
    batch = model.encode(examples_for(model))
    first = model.loss(batch)
    first.backward()
    trained = trainable(model.module)
    for name, parameter in model.module.named_parameters():
        assert (parameter.grad is not None) <= (name in trained), name
    length = torch.stack([p.grad.norm() for p in trained.values() if p.grad is not None]).norm()
    with torch.no_grad():
        for parameter in trained.values():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad / length
        assert model.loss(batch).item() < first.item()


def check_adapters(architecture: zoo.Architecture, model: TaskModel) -> None:
    """One in each layer, which makes h + d(h) of h, or LN(d(LN(x)) + x) of the sum x that a norm closes."""
    ours = [part for part in model.module.modules() if hasattr(part, "taskweb_adapter")]
    assert len(ours) == len(adapter_places(model)) == architecture.layers
    assert {isinstance(part, torch.nn.LayerNorm) for part in ours} == {architecture.post_norm}
    seen: dict[Any, Any] = {}
    handles = [part.register_forward_hook(lambda *call: seen.update({call[0]: call[1:]}), with_kwargs=True) for part in ours]
    with torch.no_grad():
        for adapter in [part.taskweb_adapter for part in ours]:
            adapter.up.weight.normal_()
        model.loss(model.encode(examples_for(model)[:1]))
        for handle in handles:
            handle.remove()
        for part, (given, named, output) in seen.items():
            plain = part.forward(*given, **named)
            h, found = (value[0] if isinstance(value, tuple) else value for value in (plain, output))
            d = part.taskweb_adapter(h)
            wanted = part.forward(d + given[0]) if architecture.post_norm else h + d
            torch.testing.assert_close(found, wanted)
            assert float(d.abs().max()) > 1e-3
            torch.nn.init.normal_(part.taskweb_adapter.up.weight, std=0.02)
    assert len(seen) == len(ours)


def lora_layers(module: torch.nn.Module) -> set[str]:
    return {name.removesuffix(".lora_A") for name, _ in module.named_modules() if name.endswith(".lora_A")}


def expected_lora_layers(model: TaskModel) -> set[str]:
    """By the published setups and PEFT's own rule for `all-linear`, less heads."""
    from peft import LoraConfig
    from peft.tuners.tuners_utils import _maybe_include_all_linear_layers

    kind = model.module.config.model_type
    if kind == "gemma3":
        return {f"model.language_model.layers.{i}.{name}" for i in range(zoo.LAYERS) for name in GEMMA_LAYERS}
    if kind in ("deepseek_v3", "qwen2_moe"):  # PEFT takes the names of their feed-forward layers for those of experts
        return {
            name for name, part in model.module.named_modules() if isinstance(part, torch.nn.Linear) and ".self_attn." in name
        }
    published = {"t5": ("q", "v"), "gpt2": ("c_attn",), "bert": ("query", "value"), "roberta": ("query", "value")}
    if kind in published:
        return {name for name, _ in model.module.named_modules() if name.rpartition(".")[2] in published[kind]}
    everything = _maybe_include_all_linear_layers(LoraConfig(target_modules="all-linear"), model.module).target_modules
    return {
        name
        for name in everything
        if not model.is_head(f"{name}.weight") and "pooler" not in name and not (kind == "mamba" and name.endswith("out_proj"))
    }


def test_a_saved_folder_gives_the_same_scores(opened: Opened, tmp_path: Path) -> None:
    architecture, model, _ = opened
    model.module.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    again = zoo.opened(architecture, tmp_path)
    examples = examples_for(model)
    for one, other in zip(model.score_choices(examples), again.score_choices(examples), strict=True):
        np.testing.assert_array_equal(one, other)
