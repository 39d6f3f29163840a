"""The gradient of a batch: forward and backward passes, as many as memory demands, and clipping."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from taskweb.errors import TaskWebError
from taskweb.models.base import Encoded, TaskModel
from taskweb.models.memory import half, out_of_memory, release_memory
from taskweb.models.packing import Member, losses, pack
from taskweb.training.history import MemoryRecord
from taskweb.training.settings import Precision, TrainingSettings, computing_in
from taskweb.training.workers import Workers


@dataclass(slots=True, eq=False)
class BatchGradient:
    """How the gradient of a batch is computed.

    size: most examples in a pass; halved where memory runs out, of which `on_halved` is told. packed: whether batches go to the
    device as packed passes, for which nothing waits. precision: resolved for the device.
    """

    model: TaskModel
    parameters: Sequence[nn.Parameter]
    settings: TrainingSettings
    seed: int
    device: torch.device
    precision: Precision
    workers: Workers
    size: int
    on_halved: Callable[[MemoryRecord], None]
    packed: bool = False

    def of(self, batch: Sequence[Encoded], step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss and gradient norm, of the update `step` counted from 0. Leaves the clipped gradient in the parameters.

        Raises TaskWebError when memory does not suffice for one example.
        """
        while True:
            try:
                loss = self.workers.sum(self._passes(batch, step))
                self.workers.sum_gradients(self.parameters)
                return loss, self._clip().to(loss.device)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if self.workers.world_size > 1:  # the others wait within a pass, which cannot be undone
                    raise TaskWebError(
                        f"The memory of {self.device} ran out with {self.size} examples at once in each process. Lower "
                        "micro_batch_size, and resume from the last checkpoint."
                    ) from None
                # The memory of the failed pass is freed only after this block, once the traceback is gone.
                reason = str(error).split(".")[0]
            self._halve(len(batch), step, reason)

    def of_tensors(self, tensors: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for a packed batch on the device, in one pass, without a seed of its own. Waits for nothing."""
        with computing_in(self.precision, self.device):
            loss = losses(self.model, tensors)[0] / tensors["counts"].sum()
        loss.backward()
        return loss.detach(), self._clip()

    def _clip(self) -> torch.Tensor:
        limit = math.inf if self.settings.clip_norm is None else self.settings.clip_norm
        return self.workers.clip(self.parameters, limit)

    def _halve(self, examples: int, step: int, reason: str) -> None:
        for parameter in self.parameters:
            parameter.grad = None
        release_memory(self.device)
        used = min(self.size, examples)
        if used == 1:
            raise TaskWebError(
                f"One example at a time is too much for the memory of {self.device} ({reason}). Lower max_input, "
                "turn on gradient checkpointing, or use a smaller model or a parameter-efficient method."
            )
        self.size = half(used)
        self.on_halved(MemoryRecord(step + 1, self.size))

    def _passes(self, batch: Sequence[Encoded], step: int) -> torch.Tensor:
        terms = sum(item.weight for item in batch)
        own, total = self.workers.share(batch), torch.zeros((), device=self.device)
        for begin in range(0, self.workers.largest_share(batch), self.size):
            seed_dropout(self.device, self.seed, step, begin * self.workers.world_size + self.workers.rank)
            part = own[begin : begin + self.size]
            with computing_in(self.precision, self.device):
                # A process whose share is used up adds a loss of zero, because all processes must take part in each pass.
                loss = self._loss(part) / terms if part else self._loss(batch[:1]) * 0.0
            loss.backward()
            total += loss.detach()
        return total

    def _loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        if not self.packed:
            return self.model.loss(batch)
        return losses(self.model, pack(self.model, [Member(batch, self.model.head)]).tensors(self.device))[0]


def dropout_seed(seed: int, step: int, begin: int) -> int:
    """The seed of dropout in one pass: a function of the position, so that resuming needs no saved random state."""
    return int.from_bytes(hashlib.sha256(f"taskweb dropout {seed} {step} {begin}".encode()).digest()[:8], "little", signed=True)


def seed_dropout(device: torch.device, seed: int, step: int, begin: int) -> None:
    """Seed the device's generator for one pass. On the CPU no other: calls for absent devices would take most of the time."""
    drawn = dropout_seed(seed, step, begin)
    if device.type == "cpu":
        torch.default_generator.manual_seed(drawn)
    else:
        torch.manual_seed(drawn)
