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
class GraphRecord:
    """How updates were made on a GPU: as CUDA graphs, or, for a reason, pass by pass.

    graphs: recorded ones, one per padded shape. warm_ups: passes before they were recorded, which changed nothing.
    updates: made by graphs. places: for tokens in these updates; tokens: that were in them. reason: why there are no graphs.
    """

    graphs: int = 0
    warm_ups: int = 0
    updates: int = 0
    places: int = 0
    tokens: int = 0
    reason: str | None = None

    @property
    def padding(self) -> float:
        """The share of places without a token, 0 to 1."""
        return 1 - self.tokens / self.places if self.places else 0.0

    @property
    def line(self) -> str:
        """The record in one line, for a person."""
        if self.reason is not None:
            return f"no CUDA graphs: {self.reason}"
        return f"{self.updates:,} updates by {self.graphs} CUDA graphs; padding is {self.padding:.0%} of their tokens"


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """The course of one training.

    losses: sampled updates. tokens: read and written in all updates, without padding. seconds: of training, without
    evaluations, but with the time before an interruption. step, total_steps: updates done and planned.
    micro_batch_size: most examples in memory at once, at the end. threads: of torch on the CPU; rounding depends on it.
    resumed_at: the update of the checkpoint that training resumed from; None without resuming. graphs: None but on a GPU.
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
    graphs: GraphRecord | None = None

    def to_dict(self) -> dict[str, Any]:
        """The history as plain JSON values; `graphs` only where it is known."""
        values = dataclasses.asdict(self)
        return values if self.graphs else {name: value for name, value in values.items() if name != "graphs"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingHistory:
        """The history from the values of `to_dict`."""
        records = {
            "losses": tuple(StepRecord(**record) for record in values["losses"]),
            "evaluations": tuple(EvaluationRecord(**record) for record in values["evaluations"]),
            "memory": tuple(MemoryRecord(**record) for record in values["memory"]),
        }
        graphs = GraphRecord(**values["graphs"]) if values.get("graphs") else None
        return cls(**{**values, **records, "graphs": graphs})


class DivergedError(TaskWebError):
    """The loss or the gradient is no longer finite. `history`: up to the update before. Weights are as before this update."""

    def __init__(self, history: TrainingHistory, loss: float, gradient_norm: float) -> None:
        super().__init__(
            f"Training diverged at update {history.step + 1} of {history.total_steps}: the loss is {loss} and the gradient's "
            f"norm {gradient_norm}. Lower the learning rate, or warm up longer."
        )
        self.history = history
