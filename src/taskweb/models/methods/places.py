"""Where adapters and biases go in a model of any architecture, found by its structure and by what it does, not by names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from taskweb.errors import ParameterError
from taskweb.models.architecture import text_part_of
from taskweb.models.arithmetic import answering
from taskweb.models.base import TaskModel, device_of
from taskweb.models.encoder_head import EncoderWithHead
from taskweb.models.reader import special_around

_PROBE_TOKENS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A module that puts out the result of a layer, and the width of that."""

    module: nn.Module
    width: int


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """The layers of a model, each once: members of the outermost lists of modules that have parts of their own."""
    found: list[nn.Module] = []

    def look(part: nn.Module) -> None:
        # Lists of equal length side by side hold parts of the same layers (XLM): the last has what closes them.
        last = {len(child): child for child in part.children() if _is_list_of_layers(child)}
        for child in part.children():
            if not _is_list_of_layers(child):
                look(child)
            elif last[len(child)] is child:
                for layer in child.children():
                    inner = _innermost(layer)
                    look(inner) if isinstance(inner, nn.ModuleList) else found.append(inner)

    look(module)
    return list(dict.fromkeys(layer for layer in found if any(True for _ in layer.parameters())))


def _is_list_of_layers(part: nn.Module) -> bool:
    return isinstance(part, nn.ModuleList) and len(part) > 0 and any(True for _ in part[0].children())


def _innermost(layer: nn.Module) -> nn.Module:
    """Within a group that contains nothing but one list of layers: that layer, or the list where it has several (ALBERT)."""
    children = list(layer.children())
    if len(children) == 1 and isinstance(children[0], nn.ModuleList) and not list(layer.parameters(recurse=False)):
        return _innermost(children[0][0]) if len(children[0]) == 1 else layer
    return layer


def adapter_places(model: TaskModel) -> list[Place]:
    """For each layer, the innermost module that puts out the layer's result.

    That is the layer itself where it adds its last part to the residual stream (pre-norm), and its closing norm where it does
    not (post-norm). Found by running a few tokens and looking which module made the result. Raises ParameterError for a model
    whose layers are not found so.
    """
    blocks = blocks_of(text_part_of(model.module))
    results: dict[nn.Module, dict[nn.Module, Any]] = {block: {} for block in blocks}
    handles = [
        part.register_forward_hook(_noting(results[block], part))
        for block in blocks
        for part in block.modules()
        if not isinstance(part, nn.Dropout | nn.Identity)
    ]
    try:
        with answering(model.module):
            _probe(model)
    finally:
        for handle in handles:
            handle.remove()
    places = [_place_of(block, results[block]) for block in blocks if results[block].get(block) is not None]
    if not places:
        raise ParameterError("The layers of this model were not found, so it has no place for adapters. Use lora or finetune.")
    return places


def is_norm(part: nn.Module) -> bool:
    """Whether a module normalises: it has a weight for each hidden unit, perhaps a bias, and nothing else."""
    own = dict(part.named_parameters(recurse=False))
    return set(own) in ({"weight"}, {"weight", "bias"}) and own["weight"].ndim == 1


def _noting(results: dict[nn.Module, Any], part: nn.Module) -> Any:
    def note(_module: Any, _given: Any, output: Any) -> None:
        results[part] = _tensor_of(output)

    return note


def _tensor_of(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return output
    return output[0] if isinstance(output, tuple | list) and output else getattr(output, "last_hidden_state", None)


def _place_of(block: nn.Module, results: dict[nn.Module, Any]) -> Place:
    result = results[block]
    inner = [part for part in block.modules() if results.get(part) is result and part is not block]
    return Place(inner[-1] if inner else block, int(result.shape[-1]))


def _probe(model: TaskModel) -> None:
    before, after = special_around(model.tokenizer)
    ids = torch.tensor([[*before, *[1] * _PROBE_TOKENS, *after]], device=device_of(model.module))
    more: dict[str, Any] = {} if model.family == "encoder" else {"use_cache": False}
    if model.family == "seq2seq":
        more["decoder_input_ids"] = ids
    body = model.module.body if isinstance(model.module, EncoderWithHead) else model.module
    body(input_ids=ids, attention_mask=torch.ones_like(ids), **more)
