"""Which rows of a forward pass belong to which member. The layers of a fused model look here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name

from taskweb.models.packing import Shape

_MOST_GATHERED = 2**25
"""Numbers of weights that are copied for the rows of a pass; larger layers go through their members one by one."""


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """The member of each row, (rows,) int64, of size 1 where all rows are one member's. rows: those of each member."""

    members: torch.Tensor
    rows: Mapping[int, torch.Tensor]

    @classmethod
    def of(cls, members: Sequence[int], device: torch.device) -> Owners:
        """The owners on a device, where nothing waits for their numbers later."""
        rows: dict[int, list[int]] = {}
        for row, member in enumerate(members):
            rows.setdefault(member, []).append(row)
        listed = members if len(rows) > 1 else members[:1]
        return cls(
            torch.tensor(listed, device=device), {member: torch.tensor(own, device=device) for member, own in rows.items()}
        )

    def one_by_one(self, blocks: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Each member's layer on its rows, (rows, places, inputs), one member after another; no weights are copied."""
        if len(self.rows) == 1:
            (member,) = self.rows
            return F.linear(blocks, weight[member], None if bias is None else bias[member])
        found = [
            F.linear(blocks[rows], weight[member], None if bias is None else bias[member]) for member, rows in self.rows.items()
        ]
        return torch.cat(found)[torch.cat([*self.rows.values()]).argsort()]


@dataclass(slots=True, eq=False)
class PassLayout:
    """The layout of the pass that is running.

    members: equal blocks of rows, one per member. owners: instead, the member of each row, in any order, or one of all rows;
    without gradients only. shape, own: of a block, and of each member's part of it, where dropout is drawn. draws: a generator
    each.
    """

    device: torch.device
    members: int = 1
    owners: Owners | None = None
    shape: Shape | None = None
    own: Sequence[Shape] = ()
    draws: Sequence[torch.Generator] = field(default=())

    @contextmanager
    def routed(self, members: Sequence[int]) -> Iterator[None]:
        """Inside, each row belongs to the member that is named for it."""
        before, self.owners = self.owners, Owners.of(members, self.device)
        try:
            yield
        finally:
            self.owners = before

    def spread(self, values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Values of each member, (members, width), to be added to what a layer puts out: (rows, 1, ..., width)."""
        given, count = self.weights(values), self.count
        if self.owners is None or 1 < count != like.shape[0]:  # some layers see the tokens of all rows as one dimension
            given = given.repeat_interleave(like.shape[0] // count, dim=0)
        return given.view(given.shape[0], *[1] * (like.ndim - 2), given.shape[1])

    def linear(self, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Each member's layer, (members, outputs, inputs) and (members, outputs), on its rows: (rows, ..., inputs)."""
        blocks = self.blocks(states)
        if self.owners is not None and self.count * weight[0].numel() > _MOST_GATHERED:
            found = self.owners.one_by_one(blocks, weight, bias)
        elif bias is None:
            found = torch.bmm(blocks, self.weights(weight).transpose(1, 2))
        else:
            found = torch.baddbmm(self.weights(bias).unsqueeze(1), blocks, self.weights(weight).transpose(1, 2))
        return found.reshape(*states.shape[:-1], found.shape[-1])

    def blocks(self, states: torch.Tensor) -> torch.Tensor:
        """(rows, ..., width) as (members or rows, places, width)."""
        return states.reshape(self.count, -1, states.shape[-1])

    def weights(self, values: torch.Tensor) -> torch.Tensor:
        """(members, ...) as they belong to blocks: a copy for each row where rows are routed."""
        return values if self.owners is None else values[self.owners.members]

    @property
    def count(self) -> int:
        """How many blocks there are: one of each member, or one of each row."""
        return self.members if self.owners is None else len(self.owners.members)
