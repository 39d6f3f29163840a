"""Fused models of many architectures: members share a pass as if each were alone, or one line says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskweb.models import Head, TaskModel, method_of
from taskweb.models.fused.fused_model import FusedModel, reason_to_run_alone, wide_head
from taskweb.models.fused.fused_verification import Probe, probed, verify
from taskweb.models.fused.layers import NotFusableError
from taskweb.models.shared_base import SharedBase
from taskweb.tasks import Example
from tests.models import tiny, zoo

METHODS = ("lora", "pfeiffer", "bitfit")
FUSED = {
    "llama": ("lora", "pfeiffer"),
    "qwen2": METHODS,
    "qwen3_moe": ("lora", "pfeiffer"),
    "gemma3_text": ("lora", "pfeiffer"),
    "mistral": ("lora", "pfeiffer"),
    "gpt2": METHODS,
    "opt": METHODS,
    "bloom": METHODS,
    "mamba": ("lora", "pfeiffer"),
    "t5": METHODS,
    "bart": METHODS,
    "roberta": METHODS,
    "bert": METHODS,
    "modernbert": ("lora", "pfeiffer"),
    "albert": METHODS,
}
ALONE = {
    ("phi3_long", "lora"): "positions of this model scale",
    ("gpt_oss", "bitfit"): "GptOssExperts",
    ("gptj", "bitfit"): "do not keep the rows of a batch apart",
    ("led", "lora"): "another loss or gradient",
    ("deberta-v2", "lora"): "dropout is drawn once for all rows",
    ("nystromformer", "lora"): "padding changes",
}


def examples(model: TaskModel) -> list[Example]:
    if model.family != "encoder":
        return zoo.examples()
    labels = zoo.HEAD.labels
    return [Example(example.input, labels[place % 2], labels) for place, example in enumerate(zoo.examples())]


def fused_and_probes(model: TaskModel, method: str) -> tuple[FusedModel, list[Probe]]:
    base, probes = SharedBase(model), []
    for seed in (1, 2):
        own = base.fresh()
        own.set_head(zoo.HEAD, seed=seed)
        method_of(method).apply(own, seed=seed)
        probes.append(probed(own, own.encode(examples(own)[seed - 1 :]), seed))
    shared = base.fresh()
    shared.set_head(wide_head([zoo.HEAD]) if shared.family == "encoder" else zoo.HEAD, seed=0)
    method_of(method).apply(shared, seed=0)
    return FusedModel(shared), probes


@pytest.mark.parametrize(("name", "method"), [(name, method) for name, methods in FUSED.items() for method in methods])
def test_members_share_a_pass(name: str, method: str, tmp_path: Path) -> None:
    fused, probes = fused_and_probes(opened(name, tmp_path), method)
    verify(fused, probes)
    values = torch.stack([fused.tensors.row(probe.weights) for probe in probes])
    gradients = torch.zeros_like(values)
    fused.tensors.bind(values, gradients)
    fused.model.module.train()
    losses = fused.losses([probe.part for probe in probes])
    fused.backward(losses)

    for probe, loss, row in zip(probes, losses.tolist(), gradients, strict=True):
        wanted = fused.tensors.row(probe.gradients)
        assert loss == pytest.approx(probe.loss, rel=1e-4)
        assert float((row - wanted).norm() / wanted.norm()) < 1e-3


@pytest.mark.parametrize(("name", "method"), ALONE)
def test_others_say_why_they_run_alone(name: str, method: str, tmp_path: Path) -> None:
    with pytest.raises(NotFusableError, match=ALONE[name, method]):
        verify(*fused_and_probes(opened(name, tmp_path), method))


def opened(name: str, folder: Path) -> TaskModel:
    architecture = zoo.ARCHITECTURES[name]
    return zoo.opened(architecture, zoo.write(architecture, folder), zoo.HEAD if architecture.family == "encoder" else None)


def test_a_fault_in_the_layers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fused, probes = fused_and_probes(tiny.model("gpt2"), "lora")
    blocks = type(fused.layout).blocks
    monkeypatch.setattr(type(fused.layout), "blocks", lambda own, states: blocks(own, states).flip(0))
    with pytest.raises(NotFusableError, match="another loss or gradient than a run alone"):
        verify(fused, probes)


@pytest.mark.parametrize(
    ("method", "parameters", "reason"),
    [("finetune", {}, "finetune leaves no frozen base"), ("lora", {"use_dora": True}, "DoRA")],
)
def test_methods_that_leave_no_frozen_base(method: str, parameters: dict[str, bool], reason: str) -> None:
    model = tiny.model("gpt2")
    method_of(method, parameters).apply(model, seed=0)
    assert reason in (reason_to_run_alone(model) or "")
    with pytest.raises(NotFusableError, match=reason):
        FusedModel(model)


def test_the_widest_head_has_room_for_all() -> None:
    three = Head("classification", labels=("a", "b", "c"))
    assert wide_head([Head("regression"), three, Head("multiple_choice")]).outputs == 3
    assert wide_head([Head("span_qa")]).kind == "span_qa"
    with pytest.raises(NotFusableError, match="spans"):
        wide_head([Head("span_qa"), three])


def test_weights_of_a_member_survive_the_way_into_a_row_and_back() -> None:
    model = tiny.model("roberta", Head("classification", labels=("a", "b", "c", "d")))
    method_of("lora").apply(model, seed=0)
    fused = FusedModel(model)
    small = tiny.model("roberta", tiny.LABELS)
    method_of("lora").apply(small, seed=1)
    given = {name: tensor.detach() for name, tensor in small.module.named_parameters() if tensor.requires_grad}
    back = fused.tensors.tensors(fused.tensors.row(given), {name: tensor.shape for name, tensor in given.items()})

    assert set(back) == set(given) == set(fused.tensors.names)
    assert all(torch.equal(back[name], given[name]) for name in given)


def test_one_member_answers_as_its_own_model() -> None:
    model = tiny.model("gpt2", seed=3)
    base = SharedBase(model)
    own = base.fresh()
    method_of("pfeiffer").apply(own, seed=1)
    asked = [Example("the cat sat on", None, ("the mat", "a tree")), Example("a dog", None, ("ran", "sat on it"))]
    scores, texts = own.score_choices(asked), own.generate(asked, max_new_tokens=4)
    weights = {name: tensor.detach().clone() for name, tensor in own.module.named_parameters() if tensor.requires_grad}
    shared = base.fresh()
    method_of("pfeiffer").apply(shared, seed=0)
    fused = FusedModel(shared)
    with fused.answering(fused.tensors.row(weights)[None]) as answering:
        for one, other in zip(scores, answering.score_choices(asked), strict=True):
            assert one == pytest.approx(other, abs=1e-5)
        assert answering.generate(asked, max_new_tokens=4) == texts


def test_a_model_that_was_put_aside_is_taken_up_as_it_was() -> None:
    model = tiny.model("roberta", tiny.LABELS)
    base = SharedBase(model)
    fused, probes = fused_and_probes(model, "bitfit")
    base = fused.model.shared
    assert isinstance(base, SharedBase)
    aside = base.put_aside()
    other = base.fresh()
    method_of("lora").apply(other, seed=5)
    base.take_up(aside)

    assert base.current is aside
    verify(fused, probes)
    assert not any(parameter.requires_grad for parameter in base._own.values())
