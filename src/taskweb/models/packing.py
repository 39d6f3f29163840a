"""Batches of several runs as arrays of a fixed shape, and the loss of each run on its own rows.

A *member* is one run of a pass: its examples, and the head of its task. Every member has equally many rows, in one block. Rows,
tokens and answers that only fill the shape are masked, and count in no loss. One run alone is a pass of one member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name

from taskweb.models.architecture import scales_by_length
from taskweb.models.arithmetic import learning
from taskweb.models.base import Encoded, TaskModel, TokenIds
from taskweb.models.head import Head
from taskweb.models.logits import all_logits, selected_logits
from taskweb.models.scoring import token_losses

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Member:
    """The part of one run in a pass: a batch of examples, and the head of its task."""

    items: Sequence[Encoded]
    head: Head

    @property
    def rows(self) -> list[TokenIds]:
        """The sequences that are read, one per example, or one per choice where an encoder compares choices."""
        return [ids for item in self.items for ids in item.inputs]


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of each member's block.

    rows: sequences. width: tokens of a sequence. answer: tokens that a decoder beside an encoder reads, 0 without one.
    terms: terms of the loss (tokens of answers, or examples). choices: outputs that a head compares, 0 for text.
    """

    rows: int
    width: int
    answer: int = 0
    terms: int = 1
    choices: int = 0

    def with_room(self, other: Shape) -> Shape:
        """The smallest shape that has room for both."""
        pairs = zip(_fields(self), _fields(other), strict=True)
        return Shape(*(max(own, given) for own, given in pairs))

    def fits(self, other: Shape) -> bool:
        """Whether the other shape has room in this one."""
        return self.with_room(other) == self

    @property
    def tokens(self) -> int:
        """Places for tokens in a block, filled or not."""
        return self.rows * (self.width + self.answer)


def _fields(shape: Shape) -> tuple[int, ...]:
    return shape.rows, shape.width, shape.answer, shape.terms, shape.choices


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A pass over members, as arrays. own: the shape of each member's part without what fills the block.

    tokens: how many of all places hold one of a member's tokens.
    """

    arrays: Arrays
    shape: Shape
    own: tuple[Shape, ...]
    tokens: int

    def tensors(self, device: torch.device) -> dict[str, torch.Tensor]:
        """The arrays on a device. Copies to a GPU come from pinned memory, and nothing waits for them."""
        found = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        if device.type != "cuda":
            return {name: tensor.to(device) for name, tensor in found.items()}
        return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in found.items()}


def reason_against(model: TaskModel) -> str | None:
    """Why the examples of a model cannot be packed, None where they can: padding must change nothing but rounding."""
    own: Any = model
    if not own.verified.right_padding or not own.verified.answers_together:
        return "padding changes what the model makes of an input"
    if model.family == "causal" and scales_by_length(model.module.config):
        return "the positions of this model scale with the length of an input"
    if model.text.router_loss:
        return "the router's loss is that of a whole batch"
    return None


def shape_of(model: TaskModel, member: Member) -> Shape:
    """The smallest shape of a block for a member."""
    rows = member.rows
    if model.family == "encoder":
        counts = [len(item.inputs) for item in member.items]
        choices = max(counts) if member.head.kind == "multiple_choice" else member.head.outputs
        return Shape(len(rows), max(map(len, rows)), terms=len(member.items), choices=choices)
    answers = [len(item.answer) for item in member.items]
    if model.family == "seq2seq":
        return Shape(len(rows), max(map(len, rows)), max(answers), terms=sum(answers))
    widths = [len(item.inputs[0]) + len(item.answer) - 1 for item in member.items]
    return Shape(len(rows), max(widths), terms=sum(answers))


def pack(model: TaskModel, members: Sequence[Member], shape: Shape | None = None) -> Packed:
    """Members as one pass. shape: of each block, at least what every member needs (the default)."""
    own = tuple(shape_of(model, member) for member in members)
    least = own[0]
    for other in own[1:]:
        least = least.with_room(other)
    shape = least if shape is None else shape.with_room(least)
    arrays = {
        "causal": _packed_causal,
        "seq2seq": _packed_seq2seq,
        "encoder": _packed_encoder,
    }[model.family](model, members, shape)
    return Packed(arrays, shape, own, sum(_tokens_of(model, member) for member in members))


def _tokens_of(model: TaskModel, member: Member) -> int:
    """Tokens that are read: of inputs and, but for the last one, of answers; a decoder beside an encoder reads a start mark."""
    read = sum(map(len, member.rows))
    answers = sum(len(item.answer) for item in member.items)
    return read + {"encoder": 0, "seq2seq": answers, "causal": answers - len(member.items)}[model.family]


def losses(model: TaskModel, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The sum of the loss over each member's terms: float32 of shape (members,)."""
    with learning(model.module):
        return (_losses_of_head if model.family == "encoder" else _losses_of_text)(model, tensors)


def _packed_causal(model: Any, members: Sequence[Member], shape: Shape) -> Arrays:
    rows = [[np.append(item.inputs[0], item.answer[:-1]) for item in member.items] for member in members]
    ids, mask = _blocks(rows, shape.rows, shape.width, model.reader.end)
    begins = [[len(item.inputs[0]) - 1 for item in member.items] for member in members]
    return {"ids": ids, "mask": mask, **_answers(members, begins, shape)}


def _packed_seq2seq(model: Any, members: Sequence[Member], shape: Shape) -> Arrays:
    ids, mask = _blocks([member.rows for member in members], shape.rows, shape.width, model.padding)
    read = [[np.array((model.start, *item.answer[:-1])) for item in member.items] for member in members]
    decoder, _ = _blocks(read, shape.rows, shape.answer, model.padding)
    begins = [[0] * len(member.items) for member in members]
    return {"ids": ids, "mask": mask, "decoder_ids": decoder, **_answers(members, begins, shape)}


def _answers(members: Sequence[Member], begins: Sequence[Sequence[int]], shape: Shape) -> Arrays:
    """Where each token of an answer is predicted, and its id: (members, terms) each. begins: place of the first in its row."""
    size = len(members), shape.terms
    rows, places, wanted = (np.zeros(size, dtype=np.int64) for _ in range(3))
    counts = np.zeros(size, dtype=bool)
    for number, (member, first) in enumerate(zip(members, begins, strict=True)):
        rows[number] = number * shape.rows
        lengths = [len(item.answer) for item in member.items]
        own = slice(0, sum(lengths))
        rows[number, own] += np.repeat(np.arange(len(lengths)), lengths)
        places[number, own] = np.concatenate([begin + np.arange(n) for begin, n in zip(first, lengths, strict=True)])
        wanted[number, own] = [token for item in member.items for token in item.answer]
        counts[number, own] = True
    return {"rows": rows, "places": places, "wanted": wanted, "counts": counts}


def _packed_encoder(model: Any, members: Sequence[Member], shape: Shape) -> Arrays:
    ids, mask = _blocks([member.rows for member in members], shape.rows, shape.width, model.padding)
    arrays = {"ids": ids, "mask": mask, **model.segments(ids, mask)}
    spans = model.head.kind == "span_qa"
    size = len(members), shape.terms
    wanted = np.zeros((*size, 2) if spans else size, dtype=np.int64)
    rows, counts = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=bool)
    compared = np.full((*size, max(shape.choices, 1)), -1, dtype=np.int64)  # places among all outputs, -1 for none
    numbers, is_number = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=bool)
    outputs = model.head.outputs
    for number, member in enumerate(members):
        own = slice(0, len(member.items))
        sizes = [len(item.inputs) for item in member.items]
        begins = number * shape.rows + np.cumsum([0, *sizes[:-1]])
        rows[number], rows[number, own], counts[number, own] = number * shape.rows, begins, True
        if member.head.kind == "regression":
            numbers[number, own], is_number[number] = [item.number for item in member.items], True
            compared[number, :, 0] = rows[number] * outputs
            continue
        wanted[number, own] = [item.answer if spans else item.answer[0] for item in member.items]
        if member.head.kind == "multiple_choice":
            compared[number, :, 0] = rows[number] * outputs
            for term, (begin, size_of) in enumerate(zip(begins, sizes, strict=True)):
                compared[number, term, :size_of] = (begin + np.arange(size_of)) * outputs
        elif not spans:
            labels = np.arange(member.head.outputs)
            compared[number, :, : len(labels)] = rows[number][:, None] * outputs + labels
    if spans:
        return {**arrays, "rows": rows, "wanted": wanted, "counts": counts}
    return {**arrays, "compared": compared, "wanted": wanted, "counts": counts, "numbers": numbers, "is_number": is_number}


def _blocks(members: Sequence[Sequence[TokenIds]], rows: int, width: int, value: int) -> tuple[npt.NDArray[Any], ...]:
    """Sequences as (members x rows, width) int64, and their mask. A row that only fills has one token: no softmax is empty."""
    ids = np.full((len(members) * rows, width), value, dtype=np.int64)
    mask = np.zeros_like(ids)
    mask[:, 0] = 1
    for number, own in enumerate(members):
        for row, sequence in enumerate(own, start=number * rows):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
    return ids, mask


def _losses_of_text(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    way = all_logits if model.verified.logits == "all" else selected_logits
    counts, wanted = tensors["counts"], tensors["wanted"]
    more = {"decoder_input_ids": tensors["decoder_ids"]} if "decoder_ids" in tensors else {}
    logits = way(
        model.module,
        tensors["rows"].flatten(),
        tensors["places"].flatten(),
        input_ids=tensors["ids"],
        attention_mask=tensors["mask"],
        **more,
    )
    return _summed(token_losses(logits, wanted.flatten()).view(wanted.shape), counts)


def _losses_of_head(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    outputs = model.forward(tensors["ids"], tensors["mask"], tensors.get("types"))
    counts, wanted = tensors["counts"], tensors["wanted"]
    if model.head.kind == "span_qa":
        own = outputs.masked_fill(tensors["mask"].unsqueeze(-1) == 0, -torch.inf)[tensors["rows"].flatten()]
        ends = F.cross_entropy(own, wanted.view(-1, 2), reduction="none").sum(dim=1) / 2
        return _summed(ends.view(counts.shape), counts)
    compared = tensors["compared"]
    values = outputs.flatten()[compared.clamp(min=0)].masked_fill(compared < 0, -torch.inf)
    chosen = F.cross_entropy(values.flatten(0, 1), wanted.flatten(), reduction="none").view(counts.shape)
    squared = (values[..., 0] - tensors["numbers"]).square()
    return _summed(torch.where(tensors["is_number"], squared, chosen), counts)


def _summed(terms: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return torch.where(counts, terms, 0.0).sum(dim=1)
