"""Updates of the weights: a gradient, and a step of the optimizer where loss and norm are finite.

`ImmediateUpdates` look at loss and norm before each step. On a GPU that would wait for the device in every update, so
`DeferredUpdates` leave the decision to the device and look at several updates together: from the first one that is not finite,
nothing changes any more. Either way an update is made from the same gradient with the same formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch

from taskweb.models.base import Encoded
from taskweb.models.memory import out_of_memory, release_memory
from taskweb.models.packing import reason_against
from taskweb.training.gradient import BatchGradient, seed_dropout
from taskweb.training.graphs import WARM_UPS, Recorder, UpdateGraphs, tokens_in
from taskweb.training.history import GraphRecord, TrainingHistory
from taskweb.training.settings import TrainingSettings
from taskweb.training.shapes import COST_OF_RECORDING

UPDATES_BETWEEN_READS = 16
FEWEST_UPDATES = 2 * COST_OF_RECORDING  # of a training in which a graph saves what it costs

Outcome = tuple[float, float]
"""Loss of an update, the mean over the batch's terms, and norm of its gradient before clipping."""


class Updates(Protocol):
    """Makes the updates of a training, one after the other.

    between_reads: most updates after which `read` must be called. record: how they were made on a GPU, None elsewhere.
    """

    between_reads: int

    @property
    def record(self) -> GraphRecord | None:
        """See above."""

    def make(self, batch: Sequence[Encoded], step: int, rate: float) -> None:
        """Make the update `step`, counted from 0, or ask the device to. It changes nothing if loss or norm are not finite."""

    def read(self) -> list[Outcome]:
        """The outcomes since the last reading, in order. After one that is not finite, the weights have not changed."""


class ImmediateUpdates:
    """Updates whose outcome is known when they are made."""

    between_reads = 1
    record = None

    def __init__(self, gradient: BatchGradient, optimizer: torch.optim.Optimizer) -> None:
        self._gradient, self._optimizer = gradient, optimizer
        self._outcomes: list[Outcome] = []

    def make(self, batch: Sequence[Encoded], step: int, rate: float) -> None:
        """Make the update, unless its loss or norm is not finite."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss, norm = torch.stack(self._gradient.of(batch, step)).tolist()
        if math.isfinite(loss) and math.isfinite(norm):
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._outcomes.append((loss, norm))

    def read(self) -> list[Outcome]:
        """The outcome of the last update."""
        found, self._outcomes = self._outcomes, []
        return found


class DeferredUpdates:
    """Updates for which nothing waits: as graphs, if they are given, else pass by pass.

    optimizer: of `adamw_on_device`.
    """

    between_reads = UPDATES_BETWEEN_READS

    def __init__(self, gradient: BatchGradient, optimizer: torch.optim.Optimizer, record: GraphRecord | None = None) -> None:
        self._gradient, self._optimizer = gradient, optimizer
        self._rate = optimizer.param_groups[0]["lr"]
        self._stopped: torch.Tensor = optimizer.found_inf
        self._latest = torch.zeros(2, device=self._stopped.device)
        self._outcomes = torch.zeros(self.between_reads, 2, device=self._stopped.device)
        self._unread = 0
        self._graphs: UpdateGraphs | None = None
        self.record = record or GraphRecord()

    def use(self, graphs: UpdateGraphs, recorder: Recorder) -> None:
        """Make updates as graphs from now on, if they can be recorded; otherwise the record says why not."""
        before, ran_out = self._stopped.clone(), False
        self._stopped.fill_(1.0)  # so that passes to warm up change no weights and no moments
        try:
            graphs.record(recorder, self._update_from)
        except RuntimeError as error:
            ran_out = out_of_memory(error)
            self.record = replace(self.record, reason=f"an update could not be recorded: {str(error).splitlines()[0]}")
        else:
            self._graphs = graphs
            warm_ups = self.record.warm_ups + WARM_UPS * len(graphs.inputs)
            self.record = replace(self.record, graphs=len(graphs.inputs), warm_ups=warm_ups)
        self._stopped.copy_(before)
        self._optimizer.zero_grad(set_to_none=True)
        if ran_out:
            release_memory(self._gradient.device)

    def make(self, batch: Sequence[Encoded], step: int, rate: float) -> None:
        """Ask the device to make the update, unless an update has had a loss or norm that is not finite."""
        self._rate.fill_(rate)
        if self._graphs is None:
            self._finish(*self._gradient.of(batch, step))
        else:
            packed, repeat = self._graphs.load(batch)
            seed_dropout(self._gradient.device, self._gradient.seed, step, 0)
            repeat()
            places, tokens = self.record.places + packed.shape.tokens, self.record.tokens + tokens_in(packed)
            self.record = replace(self.record, updates=self.record.updates + 1, places=places, tokens=tokens)
        self._outcomes[self._unread].copy_(self._latest)
        self._unread += 1

    def read(self) -> list[Outcome]:
        """The outcomes since the last reading. Waits for the device."""
        found = [(loss, norm) for loss, norm in self._outcomes[: self._unread].tolist()]
        self._unread = 0
        if self._graphs is not None:
            self._graphs.caught_up()
        return found

    def _update_from(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._finish(*self._gradient.of_tensors(tensors))

    def _finish(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        """Make the step, or stop for good; what is left is weights, moments, the latest outcome, and whether to stop."""
        self._latest.copy_(torch.stack((loss, norm)))
        self._stopped.copy_(torch.maximum(self._stopped, 1.0 - self._latest.isfinite().all().to(self._stopped.dtype)))
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)


def deferred_updates(
    gradient: BatchGradient,
    optimizer: torch.optim.Optimizer,
    history: TrainingHistory,
    recorder: Recorder | None,
    batches: Callable[[], Sequence[Sequence[Encoded]]],
) -> DeferredUpdates:
    """The updates of a training on a GPU, as graphs if that is possible and pays; `DeferredUpdates.record` says if not.

    recorder: None for none. batches: all of the training, also those before it resumes.
    """
    unfit = reason_against(gradient.model)
    reason = unfit or _reason_against_graphs(gradient.settings, history.total_steps, recorder)
    gradient.packed = unfit is None
    updates = DeferredUpdates(gradient, optimizer, replace(history.graphs or GraphRecord(), reason=reason))
    if reason is None and recorder is not None:
        updates.use(UpdateGraphs(gradient.model, batches(), gradient.device), recorder)
    return updates


def _reason_against_graphs(settings: TrainingSettings, total: int, recorder: Recorder | None) -> str | None:
    if recorder is None:
        return "this device has none"
    if total < FEWEST_UPDATES:
        return f"recording takes longer than {total} updates"
    if settings.gradient_checkpointing:
        return "gradient checkpointing computes activations twice"
    if (settings.micro_batch_size or settings.batch_size) < settings.batch_size:
        return "a batch takes several passes"
    return None
