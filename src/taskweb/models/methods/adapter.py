"""Pfeiffer adapters: a bottleneck after each feed-forward block (Pfeiffer et al., 2021, arXiv:2005.00247).

With d(z) = up(activation(down(z))):
- pre-norm (T5, GPT-2, Llama): the residual stream h after the layer becomes h + d(h), in encoder and decoder alike;
- post-norm (BERT, RoBERTa): the layer puts out LN(d(LN(h + x)) + h + x), with h the feed-forward output, x its input, and
  LN the layer's own output LayerNorm, used twice.
Weights are drawn from N(0, 0.02), biases are zero, as in the `adapters` library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.activations import ACT2FN

from taskweb.errors import ParameterError, unknown_name
from taskweb.models.architecture import text_config_of, text_part_of
from taskweb.models.base import Parameter, TaskModel, Trained, config_of, device_of
from taskweb.models.methods.places import adapter_places, blocks_of, is_norm
from taskweb.models.methods.trainable import claim, train_only
from taskweb.models.padding import seeded

_SPREAD = 0.02
_ADAPTER = "taskweb_adapter"


class Bottleneck(nn.Module):
    """up(activation(down(states))), without a residual."""

    def __init__(self, hidden: int, width: int, activation: str) -> None:
        super().__init__()
        self.down = nn.Linear(hidden, width)
        self.activation = ACT2FN[activation]
        self.up = nn.Linear(width, hidden)
        for layer in (self.down, self.up):
            nn.init.normal_(layer.weight, std=_SPREAD)
            nn.init.zeros_(layer.bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(..., hidden) to (..., hidden)."""
        return self.up(self.activation(self.down(states)))


@dataclass(frozen=True, slots=True)
class PfeifferAdapter:
    """Train one bottleneck per feed-forward block, of hidden size / `reduction_factor` numbers."""

    reduction_factor: int = 16
    activation: str = "relu"
    name: str = "pfeiffer"

    def __post_init__(self) -> None:
        if self.reduction_factor < 1:
            raise ParameterError(f"The reduction factor of an adapter must be 1 or more. Got {self.reduction_factor} instead.")
        if self.activation not in ACT2FN:
            raise unknown_name("activation", self.activation, ACT2FN)

    def parameters(self) -> Mapping[str, Parameter]:
        """Reduction factor and activation."""
        return {"reduction_factor": self.reduction_factor, "activation": self.activation}

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:
        """The names of the layers that get an adapter, with `*` for their numbers; needs no weights."""
        names = {module: name for name, module in model.module.named_modules()}
        places = {re.sub(r"\.\d+(?=\.|$)", ".*", names[block]) for block in blocks_of(text_part_of(model.module))}
        return {"adapter_places": ",".join(sorted(places))}

    def trains(self, model: TaskModel) -> Trained:
        """The weights and biases of one adapter for each layer."""
        hidden = int(text_config_of(config_of(model)).hidden_size)
        width = hidden // self.reduction_factor
        layers = len(blocks_of(text_part_of(model.module)))
        return Trained(added=layers * (2 * hidden * width + hidden + width))

    def apply(self, model: TaskModel, *, seed: int) -> None:
        """Add the adapters. Raises ParameterError where the reduction leaves no width."""
        places = adapter_places(model)
        hidden = min(place.width for place in places)
        if hidden < self.reduction_factor:
            raise ParameterError(
                f"A reduction factor of {self.reduction_factor} leaves nothing of {hidden} hidden units. Lower it."
            )
        claim(model, self)
        device = device_of(model.module)
        with seeded(seed):
            for place in places:
                end, width = place.module, place.width // self.reduction_factor
                end.add_module(_ADAPTER, Bottleneck(place.width, width, self.activation).to(device))
                end.register_forward_hook(_within_norm if is_norm(end) else _after_block)
        train_only(model, lambda name: f".{_ADAPTER}." in name)


def _after_block(block: Any, _: Any, output: Any) -> Any:
    if isinstance(output, tuple):  # some blocks hand on more than the residual stream
        return (output[0] + block.taskweb_adapter(output[0]), *output[1:])
    return output + block.taskweb_adapter(output)


def _within_norm(norm: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return norm.forward(norm.taskweb_adapter(output) + inputs[0])  # forward alone runs no hooks
