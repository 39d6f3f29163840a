"""Packed passes: the loss of each member is that of its own batch, whatever stands beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskweb.models import Head, TaskModel
from taskweb.models.packing import Member, losses, pack, reason_against, shape_of
from taskweb.tasks import Example
from tests.models import tiny, zoo

SHORT = [Example("the cat", "yes", ("no", "yes")), Example("a dog sat on the mat", "no", ("no", "yes"))]
LONG = [Example("is it true that the cat ran under a tree ?", "no", ("no", "yes"))]
NUMBERS = [Example("the film was good", "2.5"), Example("bad", "1")]
COMPARED = [Example("the cat", "ran", ("sat", "ran", "is very good")), Example("a dog sat", "on", ("on", "under the mat"))]
SPANS = [Example("the cat sat on the mat", "the mat"), Example("a dog ran", "")]


def losses_alone(model: TaskModel, members: list[tuple[list[Example], Head]]) -> list[float]:
    found = []
    for examples, head in members:
        model.head = head
        found.append(model.loss(model.encode(examples)).item())
    return found


def losses_packed(model: TaskModel, members: list[tuple[list[Example], Head]], *, more: int = 0) -> list[float]:
    widest = max((head for _, head in members), key=lambda head: head.outputs)
    parts = []
    for examples, head in members:
        model.head = head
        parts.append(Member(model.encode(examples), head))
    model.head = widest
    least = pack(model, parts).shape
    wider = type(least)(
        least.rows + more, least.width + more, least.answer + more if least.answer else 0, least.terms + more, least.choices
    )
    return losses(model, pack(model, parts, wider).tensors(torch.device("cpu"))).tolist()


@pytest.mark.parametrize("more", [0, 3])
@pytest.mark.parametrize("name", ["t5", "gpt2"])
def test_text_models_lose_the_same_packed(name: str, more: int) -> None:
    model = tiny.model(name)
    members = [(SHORT, tiny.LABELS), (LONG, tiny.LABELS), (NUMBERS, Head("regression"))]

    assert losses_packed(model, members, more=more) == pytest.approx(losses_alone(model, members), rel=1e-5)


@pytest.mark.parametrize("more", [0, 3])
@pytest.mark.parametrize("name", ["roberta", "bert"])
def test_heads_of_different_kinds_share_a_pass(name: str, more: int) -> None:
    three = Head("classification", labels=("no", "yes", "maybe"))
    model = tiny.model(name, three)
    members = [
        (SHORT, three),
        (LONG, Head("classification", labels=("no", "yes"))),
        (NUMBERS, Head("regression")),
        (COMPARED, Head("multiple_choice")),
    ]
    packed = losses_packed(model, members, more=more)
    weights = {name: value for name, value in model.module.named_parameters() if model.is_head(name) and len(value) == 3}

    for value, (examples, head) in zip(packed, members, strict=True):
        alone = tiny.model(name, head)
        own = dict(alone.module.named_parameters())
        with torch.no_grad():
            for key, whole in model.module.named_parameters():
                own[key].copy_(whole[: head.outputs] if key in weights else whole)
        assert value == pytest.approx(alone.loss(alone.encode(examples)).item(), rel=1e-4)


@pytest.mark.parametrize("more", [0, 3])
def test_spans_lose_the_same_packed(more: int) -> None:
    model = tiny.model("bert", Head("span_qa"))
    members = [(SPANS, Head("span_qa")), (SPANS[:1], Head("span_qa"))]

    assert losses_packed(model, members, more=more) == pytest.approx(losses_alone(model, members), rel=1e-5)


def test_what_fills_a_block_has_no_gradient() -> None:
    model = tiny.model("gpt2")
    part = Member(model.encode(SHORT), tiny.LABELS)
    least = shape_of(model, part)
    gradients = []
    for shape in (least, type(least)(least.rows + 2, least.width + 5, terms=least.terms + 4)):
        model.module.zero_grad()
        losses(model, pack(model, [part], shape).tensors(torch.device("cpu"))).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.module.parameters() if p.grad is not None]))

    assert torch.allclose(*gradients, atol=1e-5)


def test_models_that_padding_disturbs_are_not_packed(tmp_path: Path) -> None:
    assert reason_against(tiny.model("gpt2")) is None
    disturbed = next(kind for kind in zoo.ARCHITECTURES.values() if kind.apart)
    assert reason_against(zoo.opened(disturbed, zoo.write(disturbed, tmp_path))) is not None
