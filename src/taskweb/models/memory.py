"""Memory: how much there is, recognising that it ran out, releasing it, and repeating the work with a smaller batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
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


def available_memory(device: torch.device) -> int | None:
    """Bytes that a training may take: all of a GPU, or what this machine and its control group have left.

    None where that is not known: for a device that is not here, and a system that does not report it.
    """
    if device.type == "cpu":
        return min(_left_on_machine(), default=None)
    if device.type != "cuda" or (device.index or 0) >= torch.cuda.device_count():
        return None
    return int(torch.cuda.get_device_properties(device.index or 0).total_memory)


def _left_on_machine(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Bytes that Linux reports as available, and that each control group of this process leaves (version 1: its root)."""
    with suppress(OSError, StopIteration, ValueError):
        lines = (proc / "meminfo").read_text(encoding="utf-8").splitlines()
        yield next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    own = ""
    with suppress(OSError):
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
        own = next((line[3:] for line in lines if line.startswith("0::")), "").strip("/")
    for group in dict.fromkeys((groups / own, *(groups / own).parents)):
        if group == groups or groups in group.parents:
            yield from _left_in(group / "memory.max", group / "memory.current", group / "memory.stat")
    first = groups / "memory"
    yield from _left_in(first / "memory.limit_in_bytes", first / "memory.usage_in_bytes", first / "memory.stat")


def _left_in(limit: Path, used: Path, details: Path) -> Iterator[int]:
    """The rest of a limit; cached files count as free. Nothing where there is no limit."""
    with suppress(OSError, ValueError):
        entries = dict(line.split() for line in details.read_text(encoding="utf-8").splitlines())
        cached = int(entries.get("inactive_file", 0))
        yield max(0, int(limit.read_text(encoding="utf-8")) - max(0, int(used.read_text(encoding="utf-8")) - cached))


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
