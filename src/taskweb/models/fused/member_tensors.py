"""The trained tensors of all members, as rows of one matrix; layers see views of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class _Entry:
    """One trained tensor: its name, its shape with room for the most outputs, where it begins in a row, and its parameter."""

    name: str
    shape: torch.Size
    begin: int
    parameter: nn.Parameter

    @property
    def own(self) -> slice:
        return slice(self.begin, self.begin + self.shape.numel())


class MemberTensors:
    """What layers compute with: parameters of shape (members, *shape), all views of one (members, numbers) matrix.

    Before a pass, `bind` points them at the rows of the members that take part.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.numbers = 0
        self._entries: list[_Entry] = []
        self._bound: tuple[int, int, int] = (0, 0, 0)

    def stack(self, name: str, shape: torch.Size) -> nn.Parameter:
        """The parameter for every member's tensor of that name and shape."""
        parameter = nn.Parameter(torch.zeros(1, *shape, device=self.device))
        self._entries.append(_Entry(name, shape, self.numbers, parameter))
        self.numbers += shape.numel()
        return parameter

    def bind(self, values: torch.Tensor, gradients: torch.Tensor | None) -> None:
        """Compute with these rows, (members, numbers) each, and add gradients to those; None computes without gradients."""
        bound = values.data_ptr(), len(values), 0 if gradients is None else gradients.data_ptr()
        if bound == self._bound:
            return
        self._bound = bound
        for entry in self._entries:
            shape = (len(values), *entry.shape)
            entry.parameter.data = values[:, entry.own].view(shape)
            entry.parameter.grad = None if gradients is None else gradients[:, entry.own].view(shape)

    def row(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """A member's tensors as a row; where a head has fewer outputs than there is room for, the rest is zero.

        Raises KeyError for a missing tensor, RuntimeError for one that does not fit.
        """
        row = torch.zeros(self.numbers, device=self.device)
        for entry in self._entries:
            given = tensors[entry.name]
            row[entry.own].view(entry.shape)[_corner(given.shape)] = given.to(self.device, torch.float32)
        return row

    def tensors(self, row: torch.Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
        """The tensors of a row by name, in the member's own shapes; copies on the CPU."""
        return {
            entry.name: row[entry.own].view(entry.shape)[_corner(shapes[entry.name])].to("cpu", copy=True).contiguous()
            for entry in self._entries
        }

    def decaying(self) -> torch.Tensor:
        """(numbers,) 1 where weight decay applies, to matrices, and 0 elsewhere."""
        found = torch.zeros(self.numbers, device=self.device)
        for entry in self._entries:
            if len(entry.shape) > 1:
                found[entry.own] = 1.0
        return found

    @property
    def names(self) -> Sequence[str]:
        """The names of the trained tensors."""
        return [entry.name for entry in self._entries]


def _corner(shape: torch.Size) -> tuple[slice, ...]:
    return tuple(slice(0, size) for size in shape)
