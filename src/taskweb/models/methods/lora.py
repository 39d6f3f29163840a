"""LoRA through the PEFT library: low-rank updates of the attention's projections (Hu et al., 2022, arXiv:2106.09685)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskweb.errors import MissingDependencyError, ParameterError
from taskweb.models.base import Parameter, TaskModel, config_of, device_of
from taskweb.models.methods.trainable import claim, train_only
from taskweb.models.padding import seeded

DEFAULT_TARGETS: Mapping[str, str] = {"t5": "q,v", "gpt2": "c_attn", "bert": "query,value", "roberta": "query,value"}


@dataclass(frozen=True, slots=True)
class LoRA:
    """Train updates of rank `r`, scaled by alpha / r.

    targets: comma-separated ends of names of layers; None takes queries and values (GPT-2: the joint projection).
    dropout: on the input of the update, in [0, 1).
    """

    r: int = 8
    alpha: float = 16
    dropout: float = 0.0
    targets: str | None = None
    name: str = "lora"

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise ParameterError(
                f"LoRA needs r >= 1, alpha > 0 and dropout in [0, 1). Got {self.r}, {self.alpha} and {self.dropout} instead."
            )

    def parameters(self) -> Mapping[str, Parameter]:
        """Rank, scale, dropout and targets."""
        return {"r": self.r, "alpha": self.alpha, "dropout": self.dropout, "targets": self.targets}

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:
        """The ends of names of the layers that get updates."""
        return {"lora_targets": ",".join(sorted(self._targets(model)))}

    def _targets(self, model: TaskModel) -> list[str]:
        return (self.targets or DEFAULT_TARGETS[config_of(model).model_type]).replace(" ", "").split(",")

    def apply(self, model: TaskModel, *, seed: int) -> None:
        """Add the updates. Raises MissingDependencyError without PEFT, ParameterError where no layer is named so."""
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError:
            raise MissingDependencyError("peft", "train", "LoRA") from None
        config = config_of(model)
        targets = self._targets(model)
        named = [name for name, _ in model.module.named_modules() if name.rpartition(".")[2] in targets]
        if not named:
            raise ParameterError(
                f"The model has no layers named {', '.join(targets)} for LoRA. Name layers of {config.model_type}."
            )
        claim(model, self)
        settings = LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=targets,
            fan_in_fan_out=config.model_type == "gpt2",  # its layers hold their weights transposed
        )
        device = device_of(model.module)
        with seeded(seed):
            inject_adapter_in_model(settings, model.module)
        model.module.to(device)
        train_only(model, lambda name: ".lora_" in name)
