"""The batches of an epoch, and of a training: a function of lengths, seed and epoch alone."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from taskweb.models.base import Encoded
from taskweb.training.settings import TrainingSettings

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


def training_batches(
    encoded: Sequence[Encoded], settings: TrainingSettings, seed: int, done: int, total: int
) -> Iterator[list[Encoded]]:
    """The batches of a training after its first `done` updates, up to `total` of them."""
    lengths = [item.length for item in encoded]
    per_epoch = math.ceil(len(encoded) / settings.batch_size)
    for epoch in range(done // per_epoch, math.ceil(total / per_epoch)):
        order = epoch_batches(lengths, settings.batch_size, seed, epoch, bucketing=settings.bucketing)
        begin = epoch * per_epoch
        for batch in order[max(0, done - begin) : total - begin]:
            yield [encoded[index] for index in batch]
