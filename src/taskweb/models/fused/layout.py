"""Which rows of a forward pass belong to which member. The layers of a fused model look here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from taskweb.models.packing import Shape


@dataclass(slots=True, eq=False)
class PassLayout:
    """The layout of the pass that is running.

    members: equal blocks of rows, one per member. owners: instead, the member of each row, (rows,) int64, in any order; without
    gradients only. shape, own: of a block, and of each member's part of it, where dropout is drawn. draws: a generator each.
    """

    members: int = 1
    owners: torch.Tensor | None = None
    shape: Shape | None = None
    own: Sequence[Shape] = ()
    draws: Sequence[torch.Generator] = field(default=())

    @contextmanager
    def routed(self, owners: torch.Tensor) -> Iterator[None]:
        """Inside, each row belongs to the member that is named for it."""
        before, self.owners = self.owners, owners
        try:
            yield
        finally:
            self.owners = before

    def spread(self, values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Values of each member, (members, width), to be added to what a layer puts out: (rows, 1, ..., width)."""
        given = values[self.owners] if self.owners is not None else self._per_row(values, like)
        return given.view(given.shape[0], *[1] * (like.ndim - 2), given.shape[1])

    def blocks(self, states: torch.Tensor) -> torch.Tensor:
        """(rows, ..., width) as (members or rows, places, width)."""
        return states.reshape(self.members if self.owners is None else len(self.owners), -1, states.shape[-1])

    def weights(self, values: torch.Tensor) -> torch.Tensor:
        """(members, ...) as they belong to `blocks`."""
        return values if self.owners is None else values[self.owners]

    def _per_row(self, values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return values.repeat_interleave(like.shape[0] // self.members, dim=0)
