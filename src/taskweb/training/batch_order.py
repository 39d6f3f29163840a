"""The batches of an epoch: a function of lengths, seed and epoch alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

_WINDOW = 50


def epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int, *, bucketing: bool = True) -> list[list[int]]:
    """Indices of all examples, each once, in batches. The last batch drawn may be smaller.

    lengths: tokens of each example. bucketing: shuffled examples are sorted by length, as many at a time as fill 50 batches,
    then split into batches, and the batches are shuffled. The global random state is neither read nor changed.
    """
    draw = random.Random(f"taskweb batches {seed} {epoch}")  # noqa: S311 - shuffling, not security
    order = list(range(len(lengths)))
    draw.shuffle(order)
    if bucketing:
        window = _WINDOW * batch_size
        order = [
            index
            for begin in range(0, len(order), window)
            for index in sorted(order[begin : begin + window], key=lambda i: lengths[i])
        ]
    batches = [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]
    if bucketing:
        draw.shuffle(batches)
    return batches
