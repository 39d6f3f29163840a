"""A model's loss on examples, without training."""

from __future__ import annotations

from collections.abc import Sequence

from taskweb.models.arithmetic import answering
from taskweb.models.base import Encoded, TaskModel
from taskweb.models.padding import groups


def mean_loss(model: TaskModel, encoded: Sequence[Encoded], *, batch_size: int = 16) -> float:
    """The mean loss over all terms of the examples (tokens of answers, or examples), without dropout."""
    total = 0.0
    with answering(model.module):
        for group in groups([item.length for item in encoded], [len(item.inputs) for item in encoded], batch_size):
            total += float(model.loss([encoded[i] for i in group]))
    return total / sum(item.weight for item in encoded)
