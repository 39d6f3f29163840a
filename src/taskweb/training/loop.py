"""The training loop, for a task or a mixture, for every family and method."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from taskweb.errors import InputError, ParameterError
from taskweb.models.arithmetic import dtype_of, has_half_weights
from taskweb.models.base import Encoded, TaskModel
from taskweb.models.methods.trainable import trainable
from taskweb.models.padding import seeded
from taskweb.tasks import Example
from taskweb.training.batch_order import training_batches
from taskweb.training.checkpoint import CheckpointSettings, identity_of, load_checkpoint, save_checkpoint
from taskweb.training.gradient import BatchGradient
from taskweb.training.graphs import Recorder, recorder_for
from taskweb.training.history import DivergedError, EvaluationRecord, MemoryRecord, StepRecord, TrainingHistory
from taskweb.training.optimizer import adamw, adamw_on_device
from taskweb.training.settings import TrainingSettings, check_storage, chosen_device, chosen_precision, computing_in
from taskweb.training.updates import ImmediateUpdates, Updates, deferred_updates
from taskweb.training.workers import SINGLE_PROCESS, Workers


@dataclass(frozen=True, slots=True)
class Progress:
    """The state after an update: its number from 1, the total, its loss, and the metrics if the model was evaluated."""

    step: int
    total: int
    loss: float
    metrics: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that a training calls.

    evaluate: returns metrics by name; called between updates, with dropout off and in the precision of training.
    until: called after every evaluation; True ends training early. on_start: called before the first update, with the history
    of a checkpoint that is resumed. on_progress: called after every update. What they raise ends training.
    """

    evaluate: Callable[[TaskModel], Mapping[str, float]] | None = None
    until: Callable[[TrainingHistory], bool] | None = None
    on_progress: Callable[[Progress], None] | None = None
    on_start: Callable[[TrainingHistory], None] | None = None


def fit(
    model: TaskModel,
    examples: Sequence[Example],
    settings: TrainingSettings,
    *,
    seed: int,
    evaluate: Callable[[TaskModel], Mapping[str, float]] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: CheckpointSettings | None = None,
) -> TrainingHistory:
    """Train the model in place on labelled examples of its head's task, and return the history. See `fit_encoded`."""
    if not examples:
        raise InputError("There are no examples to train on. Give at least one.")
    hooks = Hooks(evaluate, on_progress=on_progress)
    return fit_encoded(model, model.encode(examples), settings, seed=seed, hooks=hooks, checkpoint=checkpoint)


def fit_encoded(
    model: TaskModel,
    encoded: Sequence[Encoded],
    settings: TrainingSettings,
    *,
    seed: int,
    hooks: Hooks | None = None,
    checkpoint: CheckpointSettings | None = None,
    workers: Workers = SINGLE_PROCESS,
    recorder: Recorder | None = None,
) -> TrainingHistory:
    """Train the model in place on examples as token ids, and return the history.

    The model must be adapted by a method, and have its head set. seed: for the order of examples and for dropout; on one
    machine, the same seed and number of threads give the same bits, whatever ran in the process before.
    checkpoint: where to save checkpoints; training resumes if one exists. workers: processes that train together; each has all
    examples and takes its share of every batch.

    The loss of an update is the mean over all its terms (tokens of answers, or examples), however many passes it takes. Where
    memory runs out, the examples per pass are halved and the update is repeated. On a GPU a single process reads losses a few
    updates at a time, and `on_progress` is called for these one after the other. recorder: of updates as CUDA graphs; None for
    that of the device, if it has one.
    Raises DivergedError when loss or gradient are no longer finite, TaskWebError when memory does not suffice for one example,
    InputError for examples that cannot be trained on, ParameterError for a model without a method, or for float32 arithmetic
    with frozen weights that are stored in half precision.
    """
    if model.method is None:
        raise ParameterError("This model has no adaptation method, which says what to train. Apply one first.")
    if not encoded:
        raise InputError("There are no examples to train on. Give at least one.")
    check_storage(settings.precision, dtype_of(model.module))
    model.module.to(chosen_device(settings.device))
    with seeded(seed), _in_training(model.module, settings):
        return _TrainingLoop(model, encoded, settings, seed, checkpoint, workers, recorder).run(hooks or Hooks())


@dataclass(frozen=True, slots=True)
class _Begun:
    """An update whose outcome is not read yet: its rate, and tokens of its batch."""

    rate: float
    tokens: int


class _TrainingLoop:
    """The state of one training."""

    def __init__(
        self,
        model: TaskModel,
        encoded: Sequence[Encoded],
        settings: TrainingSettings,
        seed: int,
        checkpoint: CheckpointSettings | None,
        workers: Workers,
        recorder: Recorder | None,
    ) -> None:
        self.model, self.encoded, self.settings, self.seed = model, encoded, settings, seed
        self.device, self.checkpoint, self.workers = chosen_device(settings.device), checkpoint, workers
        self.precision = chosen_precision(settings.precision, self.device, half_weights=has_half_weights(model.module))
        self.identity = identity_of(model, encoded, settings, seed) if checkpoint else ""
        trained = sum(parameter.numel() for parameter in trainable(model.module).values())
        workers.shard(model)
        self.per_epoch = math.ceil(len(encoded) / settings.batch_size)
        self.parameters = list(trainable(model.module).values())
        alone = workers == SINGLE_PROCESS
        self.recorder = recorder or (recorder_for(self.device) if alone else None)
        self.is_deferred = self.recorder is not None or (alone and self.device.type == "cuda")
        self.optimizer = (adamw_on_device if self.is_deferred else adamw)(self.parameters, settings)
        self.history = TrainingHistory(
            total_steps=settings.steps or settings.epochs * self.per_epoch,
            micro_batch_size=min(settings.micro_batch_size or settings.batch_size, settings.batch_size),
            trained_parameters=trained,
            device=str(self.device),
            precision=self.precision,
            threads=torch.get_num_threads(),
        )
        self.begun: list[_Begun] = []
        self.seconds = 0.0  # of updates that are not in the history yet
        self.saved = time.monotonic()

    def run(self, hooks: Hooks) -> TrainingHistory:
        if self.checkpoint and self.checkpoint.path.exists():
            self._resume(self.checkpoint)
        self.saved = time.monotonic()
        if hooks.on_start:
            hooks.on_start(self.history)
        if self._should_stop(hooks.until):
            return self.history
        updates = self._updates()
        for batch in self._batches(self.history.step):
            self._begin(updates, batch)
            if self._is_reading_due(updates, hooks) and self._read(updates, hooks):
                break
        return self.history

    def _resume(self, checkpoint: CheckpointSettings) -> None:
        try:
            found = load_checkpoint(checkpoint.path, self.model, self.optimizer, self.identity)
        except InputError:
            if checkpoint.strict:
                raise
            return
        self.history = replace(found, resumed_at=found.step)

    def _batches(self, done: int) -> Iterator[list[Encoded]]:
        return training_batches(self.encoded, self.settings, self.seed, done, self.history.total_steps)

    def _updates(self) -> Updates:
        began = time.perf_counter()
        gradient = BatchGradient(
            self.model,
            self.parameters,
            self.settings,
            self.seed,
            self.device,
            self.precision,
            self.workers,
            size=self.history.micro_batch_size,
            on_halved=self._note_halving,
        )
        if not self.is_deferred:
            return ImmediateUpdates(gradient, self.optimizer)
        updates = deferred_updates(gradient, self.optimizer, self.history, self.recorder, lambda: [*self._batches(0)])
        self.seconds += time.perf_counter() - began
        return updates

    def _begin(self, updates: Updates, batch: list[Encoded]) -> None:
        began = time.perf_counter()
        step = self.history.step + len(self.begun)
        rate = self.settings.rate_at(step, self.history.total_steps)
        updates.make(batch, step, rate)
        self.begun.append(_Begun(rate, sum(item.length for item in batch)))
        self.seconds += time.perf_counter() - began

    def _is_reading_due(self, updates: Updates, hooks: Hooks) -> bool:
        """Whether the outcomes must be known now: enough updates wait, or something is due after the last one."""
        if len(self.begun) >= updates.between_reads:
            return True
        step = self.history.step + len(self.begun)
        evaluates = hooks.evaluate is not None and self._is_evaluation_due(step)
        saves = self.checkpoint is not None and self.checkpoint.every is not None and step % self.checkpoint.every == 0
        return evaluates or saves or step == self.history.total_steps

    def _read(self, updates: Updates, hooks: Hooks) -> bool:
        """Take over the outcomes of all updates begun, with what follows each. Returns whether training ends here."""
        began = time.perf_counter()
        outcomes = updates.read()
        self.seconds += time.perf_counter() - began
        *earlier, (last, (loss, norm)) = zip(self.begun, outcomes, strict=True)
        self.begun = []
        for update, outcome in earlier:
            self._note(update, *outcome)
            self._report(hooks, outcome[0])
        self._note(last, loss, norm)
        self.history = replace(self.history, graphs=updates.record)
        metrics = self._evaluate(hooks.evaluate) if hooks.evaluate and self._is_evaluation_due(self.history.step) else None
        stop = self._should_stop(hooks.until)
        self._save_if_due()
        self._report(hooks, loss, metrics)
        return stop

    def _report(self, hooks: Hooks, loss: float, metrics: Mapping[str, float] | None = None) -> None:
        if hooks.on_progress:
            hooks.on_progress(Progress(self.history.step, self.history.total_steps, loss, metrics))

    def _note(self, update: _Begun, loss: float, norm: float) -> None:
        """Add an update to the history. Raises DivergedError."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise DivergedError(self.history, loss, norm)
        step, tokens, losses = self.history.step, self.history.tokens + update.tokens, self.history.losses
        if step % self.settings.log_every == 0 or step + 1 == self.history.total_steps:
            losses = (*losses, StepRecord(step + 1, loss, update.rate, norm, tokens))
        seconds, self.seconds = self.history.seconds + self.seconds, 0.0
        self.history = replace(self.history, step=step + 1, tokens=tokens, seconds=seconds, losses=losses)

    def _note_halving(self, record: MemoryRecord) -> None:
        memory = (*self.history.memory, record)
        self.history = replace(self.history, micro_batch_size=record.micro_batch_size, memory=memory)

    def _should_stop(self, until: Callable[[TrainingHistory], bool] | None) -> bool:
        """Whether training ends here, by the evaluation after this update."""
        evaluations = self.history.evaluations
        return bool(until and evaluations and evaluations[-1].step == self.history.step and until(self.history))

    def _save_if_due(self) -> None:
        checkpoint = self.checkpoint
        if checkpoint and checkpoint.is_due(self.history, time.monotonic() - self.saved):
            save_checkpoint(
                checkpoint.path, self.model, self.optimizer, self.history, self.identity, write=self.workers.is_first
            )
            if checkpoint.on_saved and self.workers.is_first:
                checkpoint.on_saved(checkpoint.path)
            self.saved = time.monotonic()

    def _is_evaluation_due(self, step: int) -> bool:
        return step % (self.settings.evaluate_every or self.per_epoch) == 0 or step == self.history.total_steps

    def _evaluate(self, evaluate: Callable[[TaskModel], Mapping[str, float]]) -> Mapping[str, float]:
        began = time.perf_counter()
        self.model.module.eval()
        with computing_in(self.precision, self.device):
            metrics = dict(evaluate(self.model))
        self.model.module.train()
        record = EvaluationRecord(self.history.step, metrics, time.perf_counter() - began)
        self.history = replace(self.history, evaluations=(*self.history.evaluations, record))
        return metrics


@contextmanager
def _in_training(module: nn.Module, settings: TrainingSettings) -> Iterator[None]:
    if settings.gradient_checkpointing:
        _checkpointing(module, "enable")({"use_reentrant": False})
    module.train()
    try:
        yield
    finally:
        module.eval()
        if settings.gradient_checkpointing:
            _checkpointing(module, "disable")()


def _checkpointing(module: nn.Module, action: str) -> Callable[..., None]:
    body = getattr(module, "body", module)
    # transformers renamed these within version 5, and warns when the old name is used.
    return getattr(body, f"activation_checkpointing_{action}", None) or getattr(body, f"gradient_checkpointing_{action}")
