"""A frozen base with the trained tensors of several runs, which share its forward and backward passes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from taskweb.models.base import TaskModel, device_of
from taskweb.models.fused.dropout import MemberDropout
from taskweb.models.fused.layers import NotFusableError, replace_trained_layers
from taskweb.models.fused.layout import PassLayout
from taskweb.models.fused.member_tensors import MemberTensors
from taskweb.models.head import Head
from taskweb.models.methods.trainable import trainable
from taskweb.models.packing import Member, Packed, Shape, losses, pack, reason_against

FUSED_METHODS = ("lora", "pfeiffer", "bitfit")


@dataclass(frozen=True, slots=True)
class Part:
    """What one member puts into a pass: a batch of its examples, and the seed of its dropout."""

    member: Member
    dropout_seed: int


class FusedModel:
    """A model whose trained layers hold the weights of many members; made from one that a method was applied to, in place.

    The model's head must have room for the outputs of every member. Raises NotFusableError where runs of it cannot share a
    pass: full fine-tuning, DoRA, layers of another kind, and models whose padding changes results.
    """

    def __init__(self, model: TaskModel) -> None:
        if (reason := reason_to_run_alone(model)) is not None:
            raise NotFusableError(reason)
        self.model = model
        self.device = device_of(model.module)
        self.layout = PassLayout(self.device)
        model.routing = self.layout
        self.tensors = MemberTensors(self.device)
        replace_trained_layers(model.module, self.layout, self.tensors.stack)
        self.drops = True  # until a pass shows that nothing is dropped
        self._generators: list[torch.Generator] = []

    def packed(self, parts: Sequence[Part]) -> Packed:
        """The batches of members as one pass."""
        members = [part.member for part in parts]
        packed = pack(self.model, members)
        if packed.shape.answer and packed.shape.answer == packed.shape.width:  # dropout tells both sides apart by their width
            packed = pack(self.model, members, Shape(packed.shape.rows, packed.shape.width + 1, packed.shape.answer))
        return packed

    def losses(self, parts: Sequence[Part], packed: Packed | None = None) -> torch.Tensor:
        """The sum of the loss over the terms of each member's batch, (members,) float32; `tensors` must be bound to them."""
        packed = packed or self.packed(parts)
        layout = self.layout
        layout.members, layout.shape, layout.own = len(parts), packed.shape, packed.own
        layout.draws = self._draws(parts) if self.drops else ()
        dropout = MemberDropout(layout) if self.drops else None
        with dropout or nullcontext():
            found = losses(self.model, packed.tensors(self.device))
        if dropout is not None and self.model.module.training:
            self.drops = dropout.calls > 0
        return found

    @staticmethod
    def backward(losses: torch.Tensor) -> None:
        """Add the gradients of each member's loss to its row."""
        with warnings.catch_warnings():
            # The gradients of a layer are views of the rows, on purpose.
            warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")
            losses.sum().backward()

    @contextmanager
    def answering(self, rows: torch.Tensor) -> Iterator[TaskModel]:
        """The model with these weights, (members, numbers): a question is answered as the own model of its member would."""
        self.tensors.bind(rows, None)
        with self.layout.routed([0]):  # what is tried before the first answer is tried on any member
            yield self.model

    @contextmanager
    def with_head(self, head: Head) -> Iterator[TaskModel]:
        """The model with a member's head, which reads examples as that run's own model would; it does not answer them."""
        wide, self.model.head = self.model.head, head
        try:
            yield self.model
        finally:
            self.model.head = wide

    def _draws(self, parts: Sequence[Part]) -> list[torch.Generator]:
        while len(self._generators) < len(parts):
            self._generators.append(torch.Generator(self.device))
        for part, generator in zip(parts, self._generators, strict=False):
            generator.manual_seed(part.dropout_seed)
        return self._generators[: len(parts)]


def reason_to_run_alone(model: TaskModel) -> str | None:
    """Why runs of an adapted model cannot share a pass, as far as it shows before trying; None where nothing speaks against."""
    method = model.method
    if method is None or method.name not in FUSED_METHODS:
        return f"{'no method' if method is None else method.name} leaves no frozen base to share"
    if method.parameters().get("use_dora"):
        return "DoRA rescales the weights of the base"
    return reason_against(model)


def wide_head(heads: Sequence[Head]) -> Head:
    """The head with room for all of these on one encoder. Raises NotFusableError where spans and other kinds are mixed."""
    kinds = {head.kind for head in heads}
    if kinds == {"span_qa"}:
        return heads[0]
    if "span_qa" in kinds:
        raise NotFusableError("spans are found by another head than labels")
    most = max(head.outputs for head in heads)
    return Head("classification", tuple(f"output {number}" for number in range(most)))


def trained_tensors(model: TaskModel) -> dict[str, torch.Tensor]:
    """Copies of the tensors that are trained, by name, on the model's device."""
    return {name: tensor.detach().clone() for name, tensor in trainable(model.module).items()}


def shapes_of(tensors: Mapping[str, Any]) -> dict[str, torch.Size]:
    """The shapes of tensors by name."""
    return {name: tensor.shape for name, tensor in tensors.items()}
