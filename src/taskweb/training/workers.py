"""Processes that train one model together: each takes its share of every batch, and gradients are summed.

Started by `torchrun` or `accelerate launch`, which give each process its rank through the environment. Each process has all
weights (DDP), or, where accelerate's configuration asks for FSDP, the layers' weights, gradients and optimizer state are
sharded. The gradient is that of the whole batch, so that the result equals that of a single process up to rounding (with
dropout, up to the random draws).
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
from taskweb.models.methods.places import blocks_of


@dataclass(frozen=True, slots=True)
class Workers:
    """rank: of this process, from 0. world_size: number of processes. sharded: whether layers are sharded (FSDP)."""

    rank: int = 0
    world_size: int = 1
    sharded: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def share(self, batch: Sequence[Encoded]) -> list[Encoded]:
        """This process's share of a batch. May be empty for the last batches of an epoch."""
        return list(batch[self.rank :: self.world_size])

    def largest_share(self, batch: Sequence[Encoded]) -> int:
        """Examples in the largest share of a batch. All processes need equally many passes, as they synchronise in each."""
        return -(-len(batch) // self.world_size)

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over processes, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over processes, in one message."""
        if self.world_size == 1:
            return
        unsharded: list[torch.Tensor] = []
        for parameter in parameters:
            if is_sharded(parameter):
                if parameter.grad is not None:
                    parameter.grad.mul_(self.world_size)  # FSDP took the mean
            else:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                unsharded.append(parameter.grad)
        if unsharded:
            flat = self.sum(torch.cat([gradient.flatten() for gradient in unsharded]))
            for gradient, part in zip(unsharded, flat.split([gradient.numel() for gradient in unsharded]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def clip(self, parameters: Sequence[nn.Parameter], limit: float) -> torch.Tensor:
        """Scale gradients to a norm of at most `limit`, and return the norm before."""
        if not self.sharded:
            return nn.utils.clip_grad_norm_(parameters, limit)
        given = [parameter for parameter in parameters if parameter.grad is not None]
        device = given[0].device

        def squares(gradients: Iterable[torch.Tensor]) -> torch.Tensor:
            return sum((gradient.float().pow(2).sum() for gradient in gradients), torch.zeros((), device=device))

        sharded = self.sum(squares(_local(parameter.grad) for parameter in given if is_sharded(parameter)))
        norm = (sharded + squares(parameter.grad for parameter in given if not is_sharded(parameter))).sqrt()
        scale = torch.clamp(limit / (norm + 1e-6), max=1.0)
        for parameter in given:
            _local(parameter.grad).mul_(scale)
        return norm

    def shard(self, model: TaskModel) -> None:
        """Shard the layers' weights, if `sharded`. Each process has all weights outside of layers."""
        if not self.sharded:
            return
        from torch.distributed.fsdp import fully_shard

        _ = getattr(model, "verified", None)  # tried on the whole model
        for layer in blocks_of(model.module):
            fully_shard(layer, reshard_after_forward=True)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.world_size > 1:
            dist.barrier()


SINGLE_PROCESS = Workers()


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether this process has only its shard of a tensor."""
    return hasattr(tensor, "full_tensor")


def full_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors, each gathered from the shards of all processes; gathered ones are on the CPU. All processes must call it."""
    return {name: tensor.full_tensor().cpu() if is_sharded(tensor) else tensor for name, tensor in tensors.items()}


def shard_like(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A full tensor, sharded as `like` is."""
    if not is_sharded(like):
        return tensor.to(like.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


@contextmanager
def joined_workers() -> Iterator[Workers]:
    """Join the processes that the environment names, until the end of the block; a single process where it names none.

    Raises TaskWebError where the others cannot be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield SINGLE_PROCESS
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    except (RuntimeError, ValueError) as error:
        raise TaskWebError(
            f"The {count} processes of this training could not join: {str(error).splitlines()[0]}. Start them with torchrun or "
            "accelerate launch."
        ) from None
    try:
        yield Workers(dist.get_rank(), count, os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true")
        dist.barrier()  # no process leaves while another still writes: its connections would break
    finally:
        gc.collect()  # objects that refer to the process group, before it is destroyed
        dist.destroy_process_group()


def _local(tensor: Any) -> Any:
    return tensor.to_local() if is_sharded(tensor) else tensor
