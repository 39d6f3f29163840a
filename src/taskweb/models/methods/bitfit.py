"""BitFit: biases alone are trained (Ben Zaken et al., 2022, arXiv:2106.10199).

Encoder-decoders without biases (T5 and its descendants) get them: linear layers and norms one each, zero at first, which is
added to what they put out, so that nothing changes before training, to the bit. Other models without biases are refused. The
output layer over the vocabulary gets none: it belongs to the (often tied) embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from taskweb.errors import ParameterError
from taskweb.models.architecture import text_part_of
from taskweb.models.base import Parameter, TaskModel, Trained, config_of
from taskweb.models.methods.places import is_norm
from taskweb.models.methods.trainable import claim, refuse_quantized, train_only

ADDED_BIAS = "taskweb_bias"


@dataclass(frozen=True, slots=True)
class BitFit:
    """Train the biases of the body, and the head."""

    name: str = "bitfit"

    def parameters(self) -> Mapping[str, Parameter]:
        """None."""
        return {}

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:
        """Whether the model's own biases are trained, or added ones; before or after the method was applied.

        Raises ParameterError for a decoder or encoder without any.
        """
        _check_biases(model)
        own = any(not name.endswith(ADDED_BIAS) for name in _own_biases(model))
        return {"biases": "own" if own else "added"}

    def trains(self, model: TaskModel) -> Trained:
        """The biases that are there, or those that are added."""
        tensors = dict(model.module.named_parameters())
        if own := _own_biases(model):
            return Trained(own=sum(tensors[name].numel() for name in own))
        lacking = [layer for stack in _stacks(model) for layer in stack.modules() if _lacks_bias(layer)]
        return Trained(added=sum(layer.weight.shape[0] for layer in lacking))

    def apply(self, model: TaskModel, *, seed: int) -> None:  # noqa: ARG002 - biases start at zero
        """Mark the biases as trained; T5 gets its own first.

        Raises ParameterError for a decoder or encoder without any, and for quantized weights.
        """
        _check_biases(model)
        biases = _own_biases(model)
        refuse_quantized(model, self)  # bitsandbytes stores the biases of its layers in 16 bits
        claim(model, self)
        if not biases:
            for layer in [layer for stack in _stacks(model) for layer in list(stack.modules())]:
                _add_bias(layer)
        train_only(model, lambda name: name in biases if biases else _is_bias(name))


def _check_biases(model: TaskModel) -> None:
    if not _own_biases(model) and len(_stacks(model)) < 2:
        raise ParameterError(
            f"BitFit trains biases, and {model.origin.name} ({config_of(model).model_type}) has none. Use lora, pfeiffer or "
            "finetune."
        )


def _own_biases(model: TaskModel) -> set[str]:
    """The biases that the architecture has where text passes through, heads left out."""
    text = {id(parameter) for parameter in text_part_of(model.module).parameters()}
    named = [name for name, parameter in model.module.named_parameters() if id(parameter) in text]
    found = {name for name in named if _is_bias(name) and not model.is_head(name)}
    return found if any(name.rpartition(".")[2] == "bias" for name in found) else set()


def _stacks(model: TaskModel) -> list[Any]:
    """Encoder and decoder, where both stand at the top of a model."""
    return [part for name in ("encoder", "decoder") if (part := getattr(model.module, name, None)) is not None]


def _is_bias(name: str) -> bool:
    return name.rpartition(".")[2].endswith("bias")  # also those of experts, which stand together as `down_proj_bias`


def _add_bias(layer: nn.Module) -> None:
    if _lacks_bias(layer):
        # Added after the layer rather than inside it: another kernel could round differently.
        weight = layer.weight[..., 0] if isinstance(layer, nn.Linear) else layer.weight
        layer.register_parameter(ADDED_BIAS, nn.Parameter(torch.zeros_like(weight)))
        layer.register_forward_hook(shifted)


def _lacks_bias(layer: Any) -> bool:
    return (isinstance(layer, nn.Linear) or is_norm(layer)) and getattr(layer, "bias", None) is None


def shifted(layer: Any, _: Any, output: torch.Tensor) -> torch.Tensor:
    """The forward hook that adds a layer's own bias."""
    return output + layer.taskweb_bias
