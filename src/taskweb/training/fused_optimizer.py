"""AdamW for several runs at once: each row of a matrix is one run, with its own rate, moments, decay and clipping.

The same formulas as torch.optim.AdamW, row by row; no row reads another one's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from taskweb.training.settings import TrainingSettings

_EPSILON_OF_CLIPPING = 1e-6  # as in torch.nn.utils.clip_grad_norm_


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Weights, both moments, and whether a run still learns: (rows, numbers) each, and (rows,) bool."""

    weights: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    learns: torch.Tensor

    @classmethod
    def empty(cls, rows: int, numbers: int, device: torch.device) -> Rows:
        """Zeros, and nobody learns."""
        weights, first, second = (torch.zeros(rows, numbers, device=device) for _ in range(3))
        return cls(weights, first, second, torch.zeros(rows, dtype=torch.bool, device=device))

    def part(self, rows: Sequence[int]) -> Rows:
        """Some of the rows: a view where they follow each other, else a copy (see `put`)."""
        if list(rows) == list(range(rows[0], rows[0] + len(rows))):
            own = slice(rows[0], rows[0] + len(rows))
            return Rows(self.weights[own], self.first[own], self.second[own], self.learns[own])
        index = torch.tensor(rows, device=self.weights.device)
        return Rows(self.weights[index], self.first[index], self.second[index], self.learns[index])

    def put(self, rows: Sequence[int], part: Rows) -> None:
        """Write a part back to where it came from; nothing where it is a view."""
        if part.weights.untyped_storage().data_ptr() == self.weights.untyped_storage().data_ptr():
            return
        index = torch.tensor(rows, device=self.weights.device)
        for own, given in zip(self._tensors(), part._tensors(), strict=True):
            own[index] = given

    def _tensors(self) -> tuple[torch.Tensor, ...]:
        return self.weights, self.first, self.second, self.learns


@dataclass(frozen=True, slots=True)
class Step:
    """One run's next update. number: from 0, of `total`."""

    settings: TrainingSettings
    number: int
    total: int

    def scalars(self) -> tuple[float, ...]:
        """Decay of weights, betas, size of the step, correction of the second moment, epsilon, and limit of the norm."""
        settings, count = self.settings, self.number + 1
        rate = settings.rate_at(self.number, self.total)
        return (
            rate * settings.weight_decay,
            settings.beta1,
            settings.beta2,
            rate / (1 - settings.beta1**count),
            math.sqrt(1 - settings.beta2**count),
            settings.epsilon,
            math.inf if settings.clip_norm is None else settings.clip_norm,
        )


def update(
    rows: Rows, gradients: torch.Tensor, losses: torch.Tensor, steps: Sequence[Step], decaying: torch.Tensor
) -> torch.Tensor:
    """Update rows in place, and return (3, rows): losses, norms of gradients before clipping, and whether each run learnt.

    gradients: (rows, numbers), changed in place. losses: (rows,). A run whose loss or norm is not finite keeps its weights from
    then on. decaying: (numbers,) 1 where weights decay. Nothing waits for the device.
    """
    scalars = torch.tensor([step.scalars() for step in steps], dtype=torch.float32)
    if gradients.device.type == "cuda":
        scalars = scalars.pin_memory()
    decay, beta1, beta2, size, correction, epsilon, limit = scalars.to(gradients.device, non_blocking=True).T.unsqueeze(-1)
    norms = torch.linalg.vector_norm(gradients, dim=1)
    rows.learns.logical_and_(losses.isfinite() & norms.isfinite())
    learns = rows.learns.unsqueeze(1)
    scale = (limit / (norms.unsqueeze(1) + _EPSILON_OF_CLIPPING)).clamp(max=1.0)
    gradients.mul_(scale).masked_fill_(~learns, 0.0)
    if any(step.settings.weight_decay for step in steps):
        rows.weights.mul_(1 - decay * decaying * learns)
    rows.first.lerp_(gradients, 1 - beta1)
    rows.second.mul_(beta2).addcmul_(gradients * (1 - beta2), gradients)
    rows.weights.sub_((rows.first / (rows.second.sqrt() / correction + epsilon)).mul_(size * learns))
    return torch.stack((losses, norms, rows.learns.to(losses.dtype)))
