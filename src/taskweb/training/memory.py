"""Memory that runs out: how it is told from other faults, and given back."""

from __future__ import annotations

import math

import torch

_WORDS_OF_CPU = ("can't allocate memory", "not enough memory")


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether a fault says that memory ran out, of a GPU or of the machine."""
    if isinstance(fault, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(fault, RuntimeError) and any(words in str(fault) for words in _WORDS_OF_CPU)


def give_back(device: torch.device) -> None:
    """Give memory that is kept for reuse back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def half(size: int) -> int:
    """Half as many at once, at least 1."""
    return math.ceil(size / 2)
