"""What happened in a training: losses, evaluations, tokens, seconds, and where memory ran out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taskweb.errors import TaskWebError


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One update. step: counted from 1. loss: mean over the batch's terms. gradient_norm: before clipping."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One evaluation, after update `step`: metrics by name, as `evaluate` returned them, and the seconds it took."""

    step: int
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """The update at which memory ran out, and the most examples in memory at once from then on."""

    step: int
    micro_batch_size: int


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """The course of one training.

    losses: sampled updates. tokens: read and written in all updates, without padding. seconds: of training, without
    evaluations, but with the time before an interruption. step, total_steps: updates done and planned.
    micro_batch_size: most examples in memory at once, at the end. threads: of torch on the CPU; rounding depends on it.
    resumed_at: the update of the checkpoint that training resumed from; None without resuming.
    """

    losses: tuple[StepRecord, ...] = ()
    evaluations: tuple[EvaluationRecord, ...] = ()
    memory: tuple[MemoryRecord, ...] = ()
    step: int = 0
    total_steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    micro_batch_size: int = 0
    trained_parameters: int = 0
    device: str = ""
    precision: str = ""
    threads: int = 0
    resumed_at: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The history as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingHistory:
        """The history from the values of `to_dict`."""
        records = {
            "losses": tuple(StepRecord(**record) for record in values["losses"]),
            "evaluations": tuple(EvaluationRecord(**record) for record in values["evaluations"]),
            "memory": tuple(MemoryRecord(**record) for record in values["memory"]),
        }
        return cls(**{**values, **records})


class DivergedError(TaskWebError):
    """The loss or the gradient is no longer finite. `history`: up to the update before. Weights are as before this update."""

    def __init__(self, history: TrainingHistory, loss: float, gradient_norm: float) -> None:
        super().__init__(
            f"Training diverged at update {history.step + 1} of {history.total_steps}: the loss is {loss} and the gradient's "
            f"norm {gradient_norm}. Lower the learning rate, or warm up longer."
        )
        self.history = history
