"""Long vectors made short by random signs, so that inner products stay what they were on average."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from taskweb.errors import ParameterError


class Projection:
    """A count sketch: every number is added, with a random sign, to one random place of the short vector.

    The inner product of two short vectors is that of the long ones on average; its variance is at most
    (|x|^2 |y|^2 + (x y)^2) / size, as with the dense random signs of LESS, at the cost of one addition per number
    (Weinberger et al., 2009, arXiv:0902.2206). The same numbers, size and seed give the same projection.
    """

    def __init__(self, numbers: int, size: int, *, seed: int = 0) -> None:
        if size < 1:
            raise ParameterError(f"The size of a projection must be 1 or more. Got {size} instead.")
        stream = torch.Generator().manual_seed(seed)
        self.size = size
        self.places = torch.randint(size, (numbers,), generator=stream, dtype=torch.int32)
        self.signs = torch.randint(2, (numbers,), generator=stream, dtype=torch.int8) * 2 - 1

    def of(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """The short vector of tensors laid end to end: (size,), float32, on the CPU.

        Raises ParameterError where they have more or fewer numbers than the projection.
        """
        if sum(part.numel() for part in parts) != len(self.places):
            raise ParameterError(f"This projection is of {len(self.places):,} numbers. Got {sum(p.numel() for p in parts):,}.")
        found, begin = torch.zeros(self.size), 0
        for part in parts:
            own = slice(begin, begin := begin + part.numel())
            found.index_add_(0, self.places[own], part.detach().flatten().float().cpu() * self.signs[own])
        return found
