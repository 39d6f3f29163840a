"""A model of its own structure that shares every tensor with another: what is added to one does not touch the other."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

ModuleType = TypeVar("ModuleType", bound=nn.Module)


def twin_of(module: ModuleType) -> ModuleType:
    """The same modules once more around the same parameters and buffers; takes no memory for weights."""
    memo = {id(tensor): tensor for part in module.modules() for tensor in (*part.parameters(recurse=False), *_buffers(part))}
    return copy.deepcopy(module, memo)


def own_parameter(module: nn.Module, name: str) -> nn.Parameter:
    """Give a twin its own copy of one parameter, and return it."""
    place, _, last = name.rpartition(".")
    part = module.get_submodule(place)
    shared = getattr(part, last)
    parameter = nn.Parameter(shared.detach().clone(), requires_grad=shared.requires_grad)
    setattr(part, last, parameter)
    return parameter


def _buffers(part: nn.Module) -> list[torch.Tensor]:
    return [tensor for tensor in part._buffers.values() if tensor is not None]
