"""In which dtype a model computes.

| frozen weights stored in | training | scoring and generating |
|---|---|---|
| float32 | as asked for; `auto` is bfloat16 on a GPU that has it, else float32 | float32, or as asked for |
| bfloat16 | bfloat16 | bfloat16 |
| float16 | bfloat16 (small gradients vanish in float16) | float16, or bfloat16 where asked for |

Matrices are stored in half precision, vectors (norms, biases) and all that is trained in float32. Autocast brings them
together, so a model with half weights always computes under it, whoever calls it. Float32 arithmetic needs float32 weights.
Layers that bitsandbytes quantized compute in 16 bits whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from taskweb.models.base import device_of
from taskweb.models.padding import without_training

HALF = (torch.bfloat16, torch.float16)


def dtype_of(module: nn.Module) -> torch.dtype:
    """The dtype that a module's matrices are stored in: that of the first one which is not quantized."""
    floating = (p for p in module.parameters() if p.dtype.is_floating_point)
    first = next(floating, None)
    if first is None:
        return torch.float32
    return next((p.dtype for p in chain((first,), floating) if p.ndim > 1), first.dtype)


def has_half_weights(module: nn.Module) -> bool:
    """Whether matrices are stored in half precision."""
    return dtype_of(module) in HALF


def is_quantized(module: nn.Module) -> bool:
    """Whether some weights are stored in 8 or 4 bits."""
    return any(not parameter.dtype.is_floating_point for parameter in module.parameters())


def computes_exactly(module: nn.Module) -> bool:
    """Whether a module's own arithmetic is float32 or finer."""
    return not has_half_weights(module) and not is_quantized(module)


def keep_vectors_exact(module: nn.Module) -> None:
    """Store what is no matrix (norms, biases) in float32; it takes hardly any memory."""
    for parameter in module.parameters():
        if parameter.ndim <= 1 and parameter.dtype in HALF:
            parameter.data = parameter.data.float()


@contextmanager
def learning(module: nn.Module) -> Iterator[None]:
    """Compute a loss in arithmetic that the weights allow: bfloat16 with half weights, else what is in force."""
    device = device_of(module).type
    if has_half_weights(module) and not torch.is_autocast_enabled(device):
        with torch.autocast(device, dtype=torch.bfloat16):
            yield
    else:
        yield


@contextmanager
def answering(module: nn.Module, *, own: bool = False) -> Iterator[None]:
    """Run without dropout and gradients, in arithmetic that the weights allow: their own dtype with half weights.

    What is in force outside stays so, unless `own` asks for the arithmetic of the weights. Casts of weights are not cached:
    training could not use them.
    """
    device, dtype = device_of(module).type, dtype_of(module)
    in_force = torch.is_autocast_enabled(device)
    with without_training(module):
        if dtype in HALF and (own or not in_force):
            with torch.autocast(device, dtype=dtype, cache_enabled=False):
                yield
        elif own and in_force:
            with torch.autocast(device, enabled=False):
                yield
        else:
            yield
