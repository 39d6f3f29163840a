"""How many runs share a pass: a number, or what memory and speed allow, found in the first updates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from taskweb.models.memory import half

_MOST_PLACES = 64
_SHARE_OF_MEMORY = 0.1  # of a GPU, for weights and moments of all places
_NUMBERS_PER_PLACE = 4  # weights, gradients and both moments
_BYTES = 4
_FIRST = 4
_PASSES = 3  # at each size; the first one, which allocates memory, does not count
_GAIN = 1.1  # a larger pass must be faster by that
_FREE = 0.9  # of the free memory, that a pass of twice the size may take


def most_places(numbers: int, device: torch.device) -> int:
    """How many runs with so many trained numbers each may be under way at once."""
    if device.type != "cuda":
        return _FIRST
    _, total = torch.cuda.mem_get_info(device)
    return max(1, min(_MOST_PLACES, int(_SHARE_OF_MEMORY * total / (numbers * _NUMBERS_PER_PLACE * _BYTES))))


def room_for_twice(device: torch.device) -> bool:
    """Whether a pass of twice the size of those since the last question would fit into the memory of a GPU."""
    if device.type != "cuda":
        return True
    taken = torch.cuda.max_memory_allocated(device) - torch.cuda.memory_allocated(device)
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return 2 * taken <= _FREE * (free + unused)


@dataclass(slots=True)
class PassSize:
    """Most runs in a pass now. most: at most so many. seeking: whether the best number is still sought."""

    most: int
    seeking: bool = False
    has_room: Callable[[], bool] = lambda: True
    now: int = field(init=False)
    _best: tuple[float, int] = field(default=(0.0, 1), init=False)
    _seen: list[tuple[int, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.now = min(_FIRST, self.most) if self.seeking else self.most

    def note(self, runs: int, tokens: int, seconds: float) -> None:
        """Take over how long a pass took; the next size is tried once this one is known."""
        if not self.seeking or 2 * runs <= self.now:  # runs of other lengths left it half empty
            return
        self._seen.append((tokens, seconds))
        if len(self._seen) <= _PASSES:
            return
        counted = self._seen[1:]
        speed = sum(tokens for tokens, _ in counted) / max(sum(seconds for _, seconds in counted), 1e-9)
        self._seen.clear()
        if speed < _GAIN * self._best[0]:
            self.now, self.seeking = self._best[1], False
            return
        self._best = speed, self.now
        if self.now == self.most or not self.has_room():
            self.seeking = False
        else:
            self.now = min(2 * self.now, self.most)

    def lower(self, runs: int) -> None:
        """Memory ran out with so many runs in a pass: fewer from now on."""
        self.now, self.seeking = half(runs), False
