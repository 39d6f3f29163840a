"""Full fine-tuning: every tensor is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskweb.models.base import Parameter, TaskModel
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

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:  # noqa: ARG002 - nothing depends on the model
        """Nothing depends on the model."""
        return {}
