"""The trained layers of a model, each replaced by one that has every member's weights.

| layer | what is trained | what takes its place |
|---|---|---|
| linear (LoRA's pair, an adapter's pair, a head) | weight, perhaps bias | one batched product for all members |
| any layer that adds its bias last (BitFit) | bias | the layer without it, then each member's own |
| norm of a head | weight, perhaps bias | the norm without them, then each member's own |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from taskweb.models.fused.layout import PassLayout
from taskweb.models.methods.bitfit import ADDED_BIAS, shifted
from taskweb.models.methods.places import is_norm

Stack = Callable[[str, torch.Size], nn.Parameter]
"""Makes the parameter for every member's tensor of that name and shape."""


class NotFusableError(Exception):
    """Why runs of a model cannot share a pass."""


class MemberLinear(nn.Module):
    """A linear layer with weights of each member. weight: (members, outputs, inputs); bias: (members, outputs) or None."""

    def __init__(self, layout: PassLayout, weight: nn.Parameter, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.layout = layout
        self.weight = weight
        self.bias = bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(rows, ..., inputs) to (rows, ..., outputs)."""
        return self.layout.linear(states, self.weight, self.bias)


class MemberScale(nn.Module):
    """A norm, then each member's weight and bias. weight, bias: (members, width) or None."""

    def __init__(self, layout: PassLayout, plain: nn.Module, weight: nn.Parameter | None, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.layout = layout
        self.plain = plain
        self.weight = weight
        self.bias = bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Of the shape of `states`."""
        found = self.plain(states)
        if self.weight is not None:
            found = found * self.layout.spread(self.weight, found)
        return found if self.bias is None else found + self.layout.spread(self.bias, found)


def replace_trained_layers(module: nn.Module, layout: PassLayout, stack: Stack) -> None:
    """Put layers with every member's weights in place of those that are trained, in place.

    Raises NotFusableError for a kind of layer whose trained tensors cannot be stacked.
    """
    for name, part in list(module.named_modules()):
        trained = {key for key, tensor in part.named_parameters(recurse=False) if tensor.requires_grad}
        if not trained:
            continue
        parameters = {key: stack(f"{name}.{key}", part.get_parameter(key).shape) for key in sorted(trained)}
        if type(part) is nn.Linear and "weight" in trained and (part.bias is None or "bias" in trained):
            _replace(module, name, MemberLinear(layout, parameters["weight"], parameters.get("bias")))
        elif is_norm(part) and "weight" in trained:
            _replace(module, name, MemberScale(layout, _without(part, trained), parameters["weight"], parameters.get("bias")))
        elif trained <= {"bias", ADDED_BIAS} and len(trained) == 1:
            _move_bias_behind(part, layout, *trained, *parameters.values())
        else:
            raise NotFusableError(f"{type(part).__name__} ({name}) trains {', '.join(sorted(trained))}")


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, part)


def _without(norm: Any, trained: set[str]) -> nn.Module:
    """A norm whose trained tensors change nothing."""
    for key in trained:
        fill = torch.ones_like if key == "weight" else torch.zeros_like
        norm._parameters[key] = nn.Parameter(fill(norm.get_parameter(key)), requires_grad=False)
    return norm


def _move_bias_behind(part: Any, layout: PassLayout, key: str, bias: nn.Parameter) -> None:
    if key == ADDED_BIAS:
        del part._parameters[key]
        for number, hook in list(part._forward_hooks.items()):
            if hook is shifted:
                del part._forward_hooks[number]
    else:
        part._parameters[key] = nn.Parameter(torch.zeros_like(part._parameters[key]), requires_grad=False)

    def add(_part: nn.Module, _given: Any, output: torch.Tensor) -> torch.Tensor:
        return output + layout.spread(bias, output)

    part.register_forward_hook(add)
