"""Padding of token ids into tensors, and the order and mode in which examples without gradient are run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from taskweb.errors import ParameterError
from taskweb.models.base import TokenIds


def pad(
    sequences: Sequence[TokenIds | tuple[int, ...]], value: int, device: torch.device, *, left: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and their mask (1 = token, 0 = padding), both int64 of shape (sequences, longest), padded with `value`."""
    longest = max(len(sequence) for sequence in sequences)
    ids = np.full((len(sequences), longest), value, dtype=np.int64)
    mask = np.zeros((len(sequences), longest), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        place = slice(longest - len(sequence), longest) if left else slice(0, len(sequence))
        ids[row, place] = sequence
        mask[row, place] = 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def groups(lengths: Sequence[int], rows: Sequence[int], most_rows: int) -> Iterator[list[int]]:
    """Indices of examples in groups of similar length, longest first, so that memory runs out at once or never.

    A group has at most `most_rows` rows; an example with more is a group of its own.
    """
    if most_rows < 1:
        raise ParameterError(f"The batch size must be 1 or more. Got {most_rows} instead.")
    group: list[int] = []
    in_group = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if group and in_group + rows[index] > most_rows:
            yield group
            group, in_group = [], 0
        group.append(index)
        in_group += rows[index]
    if group:
        yield group


@contextmanager
def without_training(module: nn.Module) -> Iterator[None]:
    """Run without dropout and gradients; the mode found is restored."""
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        module.train(was_training)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside, and leave the process's random state as it was."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
