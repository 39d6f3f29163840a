"""Which tensors of a model are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from taskweb.errors import ParameterError
from taskweb.models.arithmetic import is_quantized
from taskweb.models.base import Method, TaskModel


def claim(model: TaskModel, method: Method) -> None:
    """Note that the model is adapted by that method. Raises ParameterError where it already was."""
    if model.method is not None:
        raise ParameterError(
            f"This model is already adapted by '{model.method.name}'. Load a fresh one to adapt it by '{method.name}'."
        )
    model.method = method


def refuse_quantized(model: TaskModel, method: Method) -> None:
    """Raise ParameterError where a method would train weights that are stored in 8 or 4 bits."""
    if is_quantized(model.module):
        raise ParameterError(
            f"'{method.name}' trains the model's own weights, and those of {model.origin.name} are quantized. Use lora or "
            "pfeiffer, or leave load_in (--load-in) out."
        )


def train_only(model: TaskModel, wanted: Callable[[str], bool]) -> None:
    """Train the tensors whose name is wanted, and the head; freeze all others. What is trained is float32."""
    for name, parameter in model.module.named_parameters():
        trained = wanted(name) or model.is_head(name)
        parameter.requires_grad_(trained)
    if model.shared is not None:
        model.shared.protect()
    for parameter in trainable(model.module).values():
        if parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """The trained tensors by name; tied ones once."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def count_trainable(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in trainable(module).values())


@contextmanager
def restored(module: nn.Module) -> Iterator[None]:
    """What is trained inside the block is afterwards as it was before."""
    saved = {name: tensor.detach().clone() for name, tensor in trainable(module).items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, tensor in trainable(module).items():
                tensor.copy_(saved[name])
