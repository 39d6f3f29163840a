"""Where adapters and biases go in a model of any architecture, found by its structure and by what it does, not by names."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from taskweb.errors import ParameterError
from taskweb.models.base import TaskModel, device_of
from taskweb.models.padding import without_training

_PROBE_TOKENS = 4


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """The layers of a model, each once: members of the outermost lists of modules that hold a transformer's parts."""
    found: list[nn.Module] = []

    def look(part: nn.Module) -> None:
        for child in part.children():
            if isinstance(child, nn.ModuleList) and len(child) and any(True for _ in child[0].children()):
                found.extend(_innermost(layer) for layer in child)
            else:
                look(child)

    look(module)
    return list(dict.fromkeys(layer for layer in found if any(True for _ in layer.parameters())))


def _innermost(layer: nn.Module) -> nn.Module:
    """Within a group that holds nothing but one list of layers (ALBERT), the last of those."""
    children = list(layer.children())
    if len(children) == 1 and isinstance(children[0], nn.ModuleList) and not list(layer.parameters(recurse=False)):
        only = children[0]
        if len(only) == 1:
            return _innermost(only[0])
    return layer


def feed_forward_ends(model: TaskModel) -> list[nn.Module]:
    """For each layer, the innermost module that puts out the layer's result.

    That is the layer itself where it adds its last part to the residual stream (pre-norm), and its closing norm where it does
    not (post-norm). Found by running a few tokens and looking which module made the result. Raises ParameterError for a model
    whose layers do not run.
    """
    blocks = blocks_of(model.module)
    results: dict[nn.Module, dict[nn.Module, Any]] = {block: {} for block in blocks}
    handles = [
        part.register_forward_hook(_noting(results[block], part))
        for block in blocks
        for part in block.modules()
        if not isinstance(part, nn.Dropout | nn.Identity)
    ]
    try:
        with without_training(model.module):
            _probe(model)
    finally:
        for handle in handles:
            handle.remove()
    ends = [_end_of(block, results[block]) for block in blocks if block in results[block]]
    if not ends:
        raise ParameterError("The layers of this model were not found, so it has no place for adapters. Use lora or finetune.")
    return ends


def _noting(results: dict[nn.Module, Any], part: nn.Module) -> Any:
    def note(_module: Any, _given: Any, output: Any) -> None:
        results[part] = _tensor_of(output)

    return note


def _tensor_of(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return output
    return output[0] if isinstance(output, tuple | list) and output else getattr(output, "last_hidden_state", None)


def _end_of(block: nn.Module, results: dict[nn.Module, Any]) -> nn.Module:
    wanted = results[block]
    inner = [part for part in block.modules() if results.get(part) is wanted and part is not block]
    return inner[-1] if inner and wanted is not None else block


def _probe(model: TaskModel) -> None:
    ids = torch.zeros((1, _PROBE_TOKENS), dtype=torch.long, device=device_of(model.module)) + 1
    more = {"decoder_input_ids": ids} if model.family == "seq2seq" else {}
    body = getattr(model.module, "body", model.module)
    body(input_ids=ids, attention_mask=torch.ones_like(ids), **more)
