"""Heads on an encoder: those of the library's own classes, and plain ones for architectures that have none there.

The library's classes (sequence classification, question answering) are what other tools open. A head is put around the body
that is there already: nothing of the body is copied or drawn again.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from taskweb.models.architecture import head_class_of
from taskweb.models.head import Head
from taskweb.models.padding import seeded


class LabelHead(nn.Module):
    """Numbers from the first token: dropout, a dense tanh layer where the body has no pooler, dropout, a linear layer."""

    def __init__(self, hidden: int, outputs: int, dropout: float, *, dense: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden, hidden) if dense else None
        self.out = nn.Linear(hidden, outputs)

    def forward(self, first: torch.Tensor) -> torch.Tensor:
        """(rows, hidden) to (rows, outputs)."""
        states = self.dropout(first)
        if self.dense is not None:
            states = self.dropout(torch.tanh(self.dense(states)))
        return self.out(states)


class SpanHead(nn.Module):
    """A start and an end score of every token."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, 2)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(rows, tokens, hidden) to (rows, tokens, 2)."""
        return self.out(states)


class EncoderWithHead(nn.Module):
    """A body and a plain head, for architectures without a class of the library, and for models saved in format 1."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    @property
    def config(self) -> Any:
        """The body's configuration."""
        return self.body.config

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """What the head puts out, in float32: one row per sequence."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        read = self.body(input_ids=input_ids, attention_mask=attention_mask, **types)
        if isinstance(self.head, SpanHead):
            return self.head(read.last_hidden_state).float()
        first = read.last_hidden_state[:, 0] if _pooler_of(self.body) is None else read.pooler_output
        return self.head(first).float()


def with_fresh_head(module: nn.Module, head: Head, seed: int, start: Mapping[str, torch.Tensor]) -> nn.Module:
    """The same body with a head for another task, drawn from `seed`.

    start: tensors that are taken instead of drawn ones where name and shape fit.
    """
    body = body_of(module)
    place = body.get_input_embeddings().weight.device
    if isinstance(module, EncoderWithHead):
        return _with_method_of(module, EncoderWithHead(body, fresh_head(body, head, seed).to(place)))
    made = library_model(body.config, head)
    if made is None or type(body_of(made)) is not type(body):  # Funnel's class for spans has another body
        return _with_method_of(module, EncoderWithHead(body, fresh_head(body, head, seed).to(place)))
    setattr(made, made.base_model_prefix, body)
    with seeded(seed), torch.no_grad():
        for name, part in made.named_modules():
            if name and not is_inside(name, made.base_model_prefix) and list(part.parameters(recurse=False)):
                for parameter in part.parameters(recurse=False):
                    parameter.data = parameter.data.float()  # whatever the body is stored in
                part.to_empty(device="cpu", recurse=False)
                made._init_weights(part)
        for name, parameter in made.named_parameters():
            given = start.get(name)
            if given is not None and given.shape == parameter.shape:
                parameter.copy_(given)
    for name, part in made.named_children():
        if name != made.base_model_prefix:
            part.to(place)
    return _with_method_of(module, made.eval())


def _with_method_of(old: Any, new: nn.Module) -> nn.Module:
    """The new module with what PEFT noted on the old one."""
    if (noted := getattr(old, "peft_config", None)) is not None:
        new.peft_config = noted
    return new


def head_shapes(config: Any, head: Head) -> dict[str, torch.Size]:
    """Names and shapes of the tensors of the library's head for a task; none where it has no head."""
    made = library_model(config, head)
    tensors = {} if made is None else dict(made.named_parameters())
    return {name: tensor.shape for name, tensor in tensors.items() if is_head_name(made, name)}


def output_names(config: Any, head: Head) -> set[str]:
    """Those tensors of the library's head whose shape follows the number of outputs; all of a head for spans."""
    shapes = head_shapes(config, head)
    if head.kind == "span_qa":
        return set(shapes)
    other = head_shapes(config, Head("classification", tuple(map(str, range(head.outputs + 1)))))
    return {name for name, shape in shapes.items() if other.get(name) != shape}


def library_model(config: Any, head: Head) -> Any | None:
    """The library's model for a task, without weights."""
    chosen = head_class_of(config, head.kind)
    if chosen is None:
        return None
    with torch.device("meta"):
        return chosen.from_config(config_with(config, head))


def body_of(module: nn.Module) -> Any:
    """The encoder within a module with a head."""
    return module.body if isinstance(module, EncoderWithHead) else getattr(module, str(module.base_model_prefix), module)


def is_head_name(module: nn.Module, name: str) -> bool:
    """Whether a tensor of that name belongs to the head."""
    prefix = "body" if isinstance(module, EncoderWithHead) else str(module.base_model_prefix)
    return not is_inside(name, prefix)


def library_head_kinds(config: Any) -> str:
    """Which heads the library has for an encoder: `library`, `plain` (ours), or both where only some kinds have one."""
    found = {"library" if head_class_of(config, kind) is not None else "plain" for kind in ("classification", "span_qa")}
    return " and ".join(sorted(found))


def config_with(config: Any, head: Head) -> Any:
    """The configuration of an encoder with this head: number of outputs, and names of labels."""
    made = copy.deepcopy(config)
    made.num_labels = max(1, head.outputs)
    names = head.labels or [f"LABEL_{place}" for place in range(made.num_labels)]
    made.id2label = dict(enumerate(names))
    made.label2id = {label: place for place, label in enumerate(names)}
    return made


def is_inside(name: str, prefix: str) -> bool:
    """Whether a tensor of that name belongs to the module called `prefix`."""
    return name == prefix or name.startswith(f"{prefix}.")


def _pooler_of(body: Any) -> Any:
    return getattr(body, "pooler", None)


def fresh_head(body: nn.Module, head: Head, seed: int) -> nn.Module:
    """A head for the task with weights drawn from `seed`: normal with the configuration's range, biases zero."""
    config = body.config
    stated = getattr(config, "classifier_dropout", None)
    dropout = float(getattr(config, "hidden_dropout_prob", 0.0) if stated is None else stated)
    with seeded(seed), torch.no_grad():
        module: nn.Module = (
            SpanHead(config.hidden_size)
            if head.kind == "span_qa"
            else LabelHead(config.hidden_size, head.outputs, dropout, dense=_pooler_of(body) is None)
        )
        for parameter in module.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=getattr(config, "initializer_range", 0.02))
            else:
                nn.init.zeros_(parameter)
    return module
