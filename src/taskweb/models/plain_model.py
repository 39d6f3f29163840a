"""A model as the library's own class has it: without what methods add, or with LoRA's updates merged into the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from taskweb.errors import InputError, ParameterError
from taskweb.models.base import TaskModel
from taskweb.models.encoder_head import EncoderWithHead, body_of, config_with
from taskweb.models.loading import quiet

_ADDED = (".lora_", "taskweb_")
_TOKEN_SETTINGS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id")
Tensors = Mapping[str, torch.Tensor]


def whole_state(model: TaskModel, weights: Tensors) -> dict[str, torch.Tensor]:
    """Every tensor of a module by name. weights: those that stand for the module's own, which may be split among processes."""
    return {name: weights.get(name, tensor).detach() for name, tensor in model.module.state_dict().items()}


def unadapted_state(state: Tensors) -> dict[str, torch.Tensor]:
    """The tensors under their names in the unadapted model, without those that a method added."""
    return {name.replace(".base_layer.", "."): tensor for name, tensor in state.items() if not is_added(name)}


def is_added(name: str) -> bool:
    """Whether a method added the tensor of that name to a model."""
    return any(mark in name for mark in _ADDED)


def merged_state(module: nn.Module, state: Tensors) -> dict[str, torch.Tensor]:
    """The tensors of the unadapted model with LoRA's updates added to them, those in float32; the module stays as it is."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    found = unadapted_state(state)
    for name, layer in module.named_modules():
        if isinstance(layer, BaseTunerLayer):
            whole = {id(own): nn.Parameter(state[f"{name}.{key}"].float().clone()) for key, own in layer.named_parameters()}
            merged: Any = copy.deepcopy(layer, whole)  # a copy with these tensors
            with torch.no_grad():
                merged.merge()
            for key, parameter in merged.get_base_layer().named_parameters():
                found[f"{name}.{key}"] = parameter.detach()
    return found


def write_plain(model: TaskModel, state: Tensors, folder: Path) -> None:
    """Write the library's model with these tensors, in float32: configuration, weights and settings of generation.

    An encoder is written with its head and the names of its labels.
    """
    _save(_filled(model.module, config_of_library(model), state), folder)


def write_body(model: TaskModel, state: Tensors, folder: Path) -> None:
    """Write the unadapted model without any head, as a base; of a text model this is the model as it is."""
    if isinstance(model.module, EncoderWithHead):
        own = {name.removeprefix("body."): tensor for name, tensor in state.items() if name.startswith("body.")}
        made = _filled(model.module.body, copy.deepcopy(model.module.body.config), own)
    else:
        made = _filled(model.module, config_of_library(model), state)
    _save(body_of(made) if model.family == "encoder" else made, folder)


def config_of_library(model: TaskModel) -> Any:
    """The configuration with the number and names of the head's outputs, and the kind of problem."""
    if model.family != "encoder":
        return copy.deepcopy(model.module.config)
    config = config_with(model.module.config, model.head)
    kinds = {"classification": "single_label_classification", "regression": "regression"}
    config.problem_type = kinds.get(model.head.kind)
    return config


def is_quantized(model: TaskModel) -> bool:
    """Whether the frozen weights are stored in 8 or 4 bits."""
    return getattr(model.module, "is_quantized", False) or getattr(model.module, "hf_quantizer", None) is not None


def refuse_quantized(model: TaskModel) -> None:
    """Raise ParameterError for a model whose weights are quantized, and cannot be written as they were."""
    if is_quantized(model):
        raise ParameterError(
            "Quantized weights cannot be written as a whole model. Train an adapter (lora, pfeiffer), or leave --load-in out."
        )


def _filled(module: nn.Module, config: Any, state: Tensors) -> Any:
    """A module of the library's class around these tensors. Tensors that the class has no place for are left out."""
    with torch.device("meta"), quiet():
        made = _library_class(module)._from_config(config)
    known: dict[Any, torch.Tensor] = {}  # tied tensors stay tied
    whole = {}
    for name, tensor in state.items():
        written = tensor.float() if tensor.is_floating_point() else tensor
        whole[name] = known.setdefault((tensor.data_ptr(), tensor.shape), written.contiguous().cpu())
    missing = made.load_state_dict(whole, strict=False, assign=True).missing_keys
    if missing:
        raise InputError(f"The model cannot be written: it lacks {len(missing)} tensors, such as {missing[0]}.")
    if hasattr(module, "_weight_conversions"):  # how the library named the tensors that it read
        made._weight_conversions = module._weight_conversions
    if getattr(module, "generation_config", None) is not None:
        made.generation_config = _valid(module.generation_config)
    return made


def _library_class(module: nn.Module) -> Any:
    """The library's class of a module; sharding puts one of its own before it."""
    return next(kind for kind in type(module).__mro__ if kind.__module__.startswith("transformers."))


def _valid(config: Any) -> Any:
    """Settings of generation that the library agrees to write: of others, only which tokens begin and end a text."""
    with suppress(ValueError):
        config.validate(strict=True)
        return config
    return GenerationConfig(**{name: getattr(config, name, None) for name in _TOKEN_SETTINGS})


def _save(made: Any, folder: Path) -> None:
    with quiet():
        made.save_pretrained(folder)
