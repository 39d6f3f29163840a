"""Processes that train one model together: each takes its part of every batch, and gradients are summed.

Started by `torchrun` or `accelerate launch`, which tell each process its place through the environment. All hold the weights
(DDP), or, where accelerate's configuration asks for FSDP, the layers' weights, gradients and optimizer state are split among
them. The gradient is that of the whole batch, so that the result is the one of a single process up to rounding (with dropout,
up to what is drawn).
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from taskweb.errors import TaskWebError
from taskweb.models.base import Encoded, TaskModel


@dataclass(frozen=True, slots=True)
class Workers:
    """place: of this process, from 0. count: how many there are. splits: whether layers are split among them (FSDP)."""

    place: int = 0
    count: int = 1
    splits: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.place == 0

    def share(self, batch: Sequence[Encoded]) -> list[Encoded]:
        """This process's part of a batch; may be empty for the last ones of an epoch."""
        return list(batch[self.place :: self.count])

    def largest_share(self, batch: Sequence[Encoded]) -> int:
        """Examples in the largest part of a batch: all take as many passes, as they meet in each."""
        return -(-len(batch) // self.count)

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over processes, in place."""
        if self.count > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over processes, in one message per type of number."""
        if self.count == 1:
            return
        whole: list[torch.Tensor] = []
        for parameter in parameters:
            if is_split(parameter):
                if parameter.grad is not None:
                    parameter.grad.mul_(self.count)  # FSDP took the mean
            else:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                whole.append(parameter.grad)
        if whole:
            flat = self.sum(torch.cat([gradient.flatten() for gradient in whole]))
            for gradient, part in zip(whole, flat.split([gradient.numel() for gradient in whole]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def clip(self, parameters: Sequence[nn.Parameter], limit: float) -> torch.Tensor:
        """Scale gradients to a norm of at most `limit`, and return the norm that they had."""
        if not self.splits:
            return nn.utils.clip_grad_norm_(parameters, limit)
        given = [parameter for parameter in parameters if parameter.grad is not None]
        device = given[0].device

        def squares(of: Iterable[torch.Tensor]) -> torch.Tensor:
            return sum((gradient.float().pow(2).sum() for gradient in of), torch.zeros((), device=device))

        split = self.sum(squares(_local(parameter.grad) for parameter in given if is_split(parameter)))
        norm = (split + squares(parameter.grad for parameter in given if not is_split(parameter))).sqrt()
        scale = torch.clamp(limit / (norm + 1e-6), max=1.0)
        for parameter in given:
            _local(parameter.grad).mul_(scale)
        return norm

    def split(self, model: TaskModel) -> None:
        """Split the layers' weights among the processes, where that is asked for. What is outside of layers is held by all."""
        if not self.splits:
            return
        from torch.distributed.fsdp import fully_shard

        for layer in layers_of(model):
            fully_shard(layer, reshard_after_forward=True)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()


ALONE = Workers()


def layers_of(model: TaskModel) -> list[nn.Module]:
    """The repeated layers of a model, which hold most of its weights."""
    module: Any = model.module
    if model.family == "seq2seq":
        return [*module.encoder.block, *module.decoder.block]
    return list(module.transformer.h if model.family == "causal" else module.body.encoder.layer)


def is_split(tensor: torch.Tensor) -> bool:
    """Whether this process holds only its part of a tensor."""
    return hasattr(tensor, "full_tensor")


def whole(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with the parts of all processes put together, those on the CPU; all processes must ask for it."""
    return {name: tensor.full_tensor().cpu() if is_split(tensor) else tensor for name, tensor in tensors.items()}


def part_like(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor, split as `like` is."""
    if not is_split(like):
        return tensor.to(like.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


@contextmanager
def joined_workers() -> Iterator[Workers]:
    """Join the processes that the environment tells of, for the time of the block; alone where it tells of none.

    Raises TaskWebError where the others cannot be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    except (RuntimeError, ValueError) as fault:
        raise TaskWebError(
            f"The {count} processes of this training could not join: {str(fault).splitlines()[0]}. Start them with torchrun or "
            "accelerate launch."
        ) from None
    try:
        yield Workers(dist.get_rank(), count, os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true")
        dist.barrier()  # nobody leaves while another still writes: its connections would break under it
    finally:
        gc.collect()  # what holds on to the processes' group, before it goes
        dist.destroy_process_group()


def _local(tensor: Any) -> Any:
    return tensor.to_local() if is_split(tensor) else tensor
