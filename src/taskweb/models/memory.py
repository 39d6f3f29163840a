"""Running out of memory: recognising it, releasing memory, and repeating the work with a smaller batch."""

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
    """Whether an exception means that the memory of a device or of this machine ran out."""
    # torch raises a plain RuntimeError where the machine's own memory does not suffice.
    return isinstance(fault, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(fault, RuntimeError) and any(words in str(fault) for words in _WORDS_OF_CPU)
    )


def release_memory(device: torch.device) -> None:
    """Release cached memory of the device. The memory of a failed pass is freed once its traceback is gone."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def half(size: int) -> int:
    """Half the batch size, at least 1."""
    return math.ceil(size / 2)


def with_what_fits(
    module: nn.Module, size: int, work: Callable[[int], Result], on_halved: Callable[[int], None] = lambda _: None
) -> Result:
    """The result of `work` for a batch size. When memory runs out, it is repeated with half, and on_halved gets the new size.

    Raises TaskWebError when memory does not suffice for a batch size of 1.
    """
    while True:
        try:
            return work(size)
        except (RuntimeError, MemoryError) as fault:
            if not out_of_memory(fault):
                raise
            # The memory of the failed pass is freed only after this block, once the traceback is gone.
            reason = str(fault).split(".")[0]
        release_memory(device_of(module))
        if size == 1:
            raise TaskWebError(
                f"One example at a time is too much for the memory of {device_of(module)} ({reason}). Shorten inputs "
                "(max_input, --max-input), or use a smaller model."
            )
        size = half(size)
        on_halved(size)
