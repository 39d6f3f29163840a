"""Memory that runs out: how it is told from other faults, given back, and what is done with fewer at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from taskweb.errors import TaskWebError
from taskweb.models.base import device_of

Result = TypeVar("Result")
_WORDS_OF_CPU = ("can't allocate memory", "not enough memory")


def out_of_memory(fault: BaseException) -> bool:
    """Whether a fault says that memory ran out, of a device or of this machine."""
    # torch raises a plain RuntimeError where the machine's own memory does not suffice.
    return isinstance(fault, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(fault, RuntimeError) and any(words in str(fault) for words in _WORDS_OF_CPU)
    )


def release_memory(device: torch.device) -> None:
    """Give memory that is kept for reuse back to the device. What a failed pass holds is freed once its traceback is gone."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def half(size: int) -> int:
    """Half as many at once, at least 1."""
    return math.ceil(size / 2)


def with_what_fits(
    module: nn.Module, size: int, work: Callable[[int], Result], on_halved: Callable[[int], None] = lambda _: None
) -> Result:
    """What `work` gives for a batch size; where memory runs out it is done again with half, and on_halved told the new size.

    Raises TaskWebError where memory does not suffice for one at a time.
    """
    while True:
        try:
            return work(size)
        except (RuntimeError, MemoryError) as fault:
            if not out_of_memory(fault):
                raise
            # What the failed pass holds is freed only after this block, once the traceback is gone.
            reason = str(fault).split(".")[0]
        release_memory(device_of(module))
        if size == 1:
            raise TaskWebError(
                f"One example at a time is too much for the memory of {device_of(module)} ({reason}). Cut inputs (max_input, "
                "--max-input), or take a smaller model."
            )
        size = half(size)
        on_halved(size)
