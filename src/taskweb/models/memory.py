"""Telling that memory ran out, and giving back what a failed pass held."""

from __future__ import annotations

import torch
from torch import nn

from taskweb.models.base import device_of


def out_of_memory(fault: BaseException) -> bool:
    """Whether an error says that a device, or this machine, has not enough memory."""
    # torch raises a plain RuntimeError where the machine's own memory does not suffice.
    return isinstance(fault, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(fault, RuntimeError) and "can't allocate memory" in str(fault)
    )


def release_memory(module: nn.Module) -> None:
    """Give cached memory of the module's device back. What a failed pass holds is freed once its traceback is gone."""
    if device_of(module).type == "cuda":
        torch.cuda.empty_cache()
