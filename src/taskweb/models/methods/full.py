"""Full fine-tuning: every tensor is trained, except those that the library computes anew when it opens a model."""

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
        """Mark every tensor that is saved as trained, in float32. Raises ParameterError for quantized weights."""
        refuse_quantized(model, self)
        claim(model, self)
        fixed = _unsaved(model)
        train_only(model, lambda name: name not in fixed)

    def trains(self, model: TaskModel) -> Trained:
        """All numbers that are saved."""
        fixed = _unsaved(model)
        named = model.module.named_parameters()
        own = (tensor.numel() for name, tensor in named if not model.is_head(name) and name not in fixed)
        return Trained(own=sum(own), layers=frozenset(model.module.modules()))

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:  # noqa: ARG002 - nothing depends on the model
        """Nothing depends on the model."""
        return {}


def _unsaved(model: TaskModel) -> frozenset[str]:
    """Tensors that the library leaves out of a saved model, since they follow from its configuration: Marian's positions."""
    return frozenset(getattr(model.module, "_keys_to_ignore_on_save", None) or ())
