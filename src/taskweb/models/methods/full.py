"""Full fine-tuning: every tensor is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskweb.models.base import Parameter, TaskModel, Trained
from taskweb.models.methods.trainable import claim, refuse_quantized, train_only


@dataclass(frozen=True, slots=True)
class FullFineTuning:
    """Train all of the model."""

    name: str = "finetune"

    def parameters(self) -> Mapping[str, Parameter]:
        """None."""
        return {}

    def apply(self, model: TaskModel, *, seed: int) -> None:  # noqa: ARG002 - nothing to draw
        """Mark every tensor as trained, in float32. Raises ParameterError for quantized weights."""
        refuse_quantized(model, self)
        claim(model, self)
        train_only(model, lambda _: True)

    def trains(self, model: TaskModel) -> Trained:
        """All numbers."""
        own = (tensor.numel() for name, tensor in model.module.named_parameters() if not model.is_head(name))
        return Trained(own=sum(own), layers=frozenset(model.module.modules()))

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:  # noqa: ARG002 - nothing depends on the model
        """Nothing depends on the model."""
        return {}
