"""Examples as gradients of their loss, projected at random (as LESS compares them, arXiv:2402.04333, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from taskweb.errors import ParameterError
from taskweb.models.base import Encoded, FloatArray, TaskModel
from taskweb.models.evidence.hidden_states import Vectors, unit_vectors
from taskweb.models.evidence.projection import Projection
from taskweb.models.methods.trainable import count_trainable, trainable

SIZE = 2048


def projection_for(model: TaskModel, *, size: int = SIZE, seed: int = 0) -> Projection:
    """A projection of the gradient of all that the model trains. Raises ParameterError for a model without a method."""
    if model.method is None:
        raise ParameterError("This model has no adaptation method, which says what to train. Apply one first.")
    return Projection(count_trainable(model.module), size, seed=seed)


def gradient_vectors(
    model: TaskModel, encoded: Sequence[Encoded], projection: Projection, *, on_example: Callable[[], None] = lambda: None
) -> Vectors:
    """The gradient of each example's mean loss by all that is trained, projected, of length 1: (examples, size).

    Without dropout. It is the plain gradient: LESS takes Adam's update for the examples that are trained on.
    """
    parameters = list(trainable(model.module).values())
    was_training = model.module.training
    model.module.eval()
    found = np.empty((len(encoded), projection.size), np.float32)
    try:
        for place, item in enumerate(encoded):
            loss = model.loss([item]) / item.weight
            own = torch.autograd.grad(loss, parameters, allow_unused=True)
            parts = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, own, strict=True)]
            found[place] = projection.of(parts).numpy()
            on_example()
    finally:
        model.module.train(was_training)
    return unit_vectors(found)


def gradient_agreement(target: Vectors, source: Vectors) -> float:
    """Mean over the source's examples of the cosine with the target's mean gradient, in [-1, 1]; LESS with one checkpoint.

    target, source: unit vectors, (examples, size).
    """
    mean: FloatArray = target.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    return float((source @ mean).mean() / length) if length > 0 else 0.0
