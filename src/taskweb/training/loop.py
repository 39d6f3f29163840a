"""The training loop, for a task or a mixture, for every family and method."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.models.arithmetic import dtype_of, has_half_weights
from taskweb.models.base import Encoded, TaskModel
from taskweb.models.memory import half, out_of_memory, release_memory
from taskweb.models.methods.trainable import trainable
from taskweb.models.padding import seeded
from taskweb.tasks import Example
from taskweb.training.batch_order import epoch_batches
from taskweb.training.checkpoint import CheckpointSettings, identity_of, load_checkpoint, save_checkpoint
from taskweb.training.history import DivergedError, EvaluationRecord, MemoryRecord, StepRecord, TrainingHistory
from taskweb.training.settings import TrainingSettings, check_storage, chosen_device, chosen_precision, computing_in
from taskweb.training.workers import SINGLE_PROCESS, Workers, is_sharded


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
) -> TrainingHistory:
    """Train the model in place on examples as token ids, and return the history.

    The model must be adapted by a method, and have its head set. seed: for the order of examples and for dropout; on one
    machine, the same seed and number of threads give the same bits, whatever ran in the process before.
    checkpoint: where to save checkpoints; training resumes if one exists. workers: processes that train together; each has all
    examples and takes its share of every batch.

    The loss of an update is the mean over all its terms (tokens of answers, or examples), however many passes it takes. Where
    memory runs out, the examples per pass are halved and the update is repeated.
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
        return _TrainingLoop(model, encoded, settings, seed, checkpoint, workers).run(hooks or Hooks())


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
    ) -> None:
        self.model, self.encoded, self.settings, self.seed = model, encoded, settings, seed
        self.device, self.checkpoint, self.workers = chosen_device(settings.device), checkpoint, workers
        self.precision = chosen_precision(settings.precision, self.device, half_weights=has_half_weights(model.module))
        self.identity = identity_of(model, encoded, settings, seed) if checkpoint else ""
        trained = sum(parameter.numel() for parameter in trainable(model.module).values())
        workers.shard(model)
        self.per_epoch = math.ceil(len(encoded) / settings.batch_size)
        self.parameters = list(trainable(model.module).values())
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.parameters, settings.weight_decay),
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
        )
        self.history = TrainingHistory(
            total_steps=settings.steps or settings.epochs * self.per_epoch,
            micro_batch_size=min(settings.micro_batch_size or settings.batch_size, settings.batch_size),
            trained_parameters=trained,
            device=str(self.device),
            precision=self.precision,
            threads=torch.get_num_threads(),
        )

    def run(self, hooks: Hooks) -> TrainingHistory:
        checkpoint = self.checkpoint
        if checkpoint and checkpoint.path.exists():
            self._resume(checkpoint)
        saved = time.monotonic()
        if hooks.on_start:
            hooks.on_start(self.history)
        if self._should_stop(hooks.until):
            return self.history
        history = self.history
        for batch in training_batches(self.encoded, self.settings, self.seed, history.step, history.total_steps):
            loss = self._update(batch)
            metrics = self._evaluate(hooks.evaluate) if hooks.evaluate and self._evaluation_is_due() else None
            stop = self._should_stop(hooks.until)
            if checkpoint and checkpoint.is_due(self.history, time.monotonic() - saved):
                save_checkpoint(
                    checkpoint.path, self.model, self.optimizer, self.history, self.identity, write=self.workers.is_first
                )
                saved = time.monotonic()
            if hooks.on_progress:
                hooks.on_progress(Progress(self.history.step, self.history.total_steps, loss, metrics))
            if stop:
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

    def _should_stop(self, until: Callable[[TrainingHistory], bool] | None) -> bool:
        """Whether training ends here, by the evaluation after this update."""
        evaluations = self.history.evaluations
        return bool(until and evaluations and evaluations[-1].step == self.history.step and until(self.history))

    def _update(self, batch: list[Encoded]) -> float:
        began = time.perf_counter()
        step = self.history.step
        rate = self.settings.rate_at(step, self.history.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, norm = torch.stack(self._gradient(batch)).tolist()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            raise DivergedError(self.history, loss, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        tokens = self.history.tokens + sum(item.length for item in batch)
        losses = self.history.losses
        if step % self.settings.log_every == 0 or step + 1 == self.history.total_steps:
            losses = (*losses, StepRecord(step + 1, loss, rate, norm, tokens))
        seconds = self.history.seconds + time.perf_counter() - began
        self.history = replace(self.history, step=step + 1, tokens=tokens, seconds=seconds, losses=losses)
        return loss

    def _gradient(self, batch: list[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss and gradient norm. Leaves the clipped gradient in the parameters. Halves passes if memory runs out."""
        while True:
            size = self.history.micro_batch_size
            try:
                loss = self.workers.sum(self._passes(batch, size))
                self.workers.sum_gradients(self.parameters)
                limit = math.inf if self.settings.clip_norm is None else self.settings.clip_norm
                return loss, self.workers.clip(self.parameters, limit).to(loss.device)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if self.workers.world_size > 1:  # the others wait within a pass, which cannot be undone
                    raise TaskWebError(
                        f"The memory of {self.device} ran out with {size} examples at once in each process. Lower "
                        "micro_batch_size, and resume from the last checkpoint."
                    ) from None
                # The memory of the failed pass is freed only after this block, once the traceback is gone.
                reason = str(error).split(".")[0]
            self.optimizer.zero_grad(set_to_none=True)
            release_memory(self.device)
            used = min(size, len(batch))
            if used == 1:
                raise TaskWebError(
                    f"One example at a time is too much for the memory of {self.device} ({reason}). Lower max_input, "
                    "turn on gradient checkpointing, or use a smaller model or a parameter-efficient method."
                )
            halved = half(used)
            memory = (*self.history.memory, MemoryRecord(self.history.step + 1, halved))
            self.history = replace(self.history, micro_batch_size=halved, memory=memory)

    def _passes(self, batch: list[Encoded], size: int) -> torch.Tensor:
        terms = sum(item.weight for item in batch)
        own, total = self.workers.share(batch), torch.zeros((), device=self.device)
        for begin in range(0, self.workers.largest_share(batch), size):
            _seed(self.device, dropout_seed(self.seed, self.history.step, begin * self.workers.world_size + self.workers.rank))
            part = own[begin : begin + size]
            with computing_in(self.precision, self.device):
                # A process whose share is used up adds a loss of zero, because all processes must take part in each pass.
                loss = self.model.loss(part) / terms if part else self.model.loss(batch[:1]) * 0.0
            loss.backward()
            total += loss.detach()
        return total

    def _evaluation_is_due(self) -> bool:
        step = self.history.step
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


def training_batches(
    encoded: Sequence[Encoded], settings: TrainingSettings, seed: int, done: int, total: int
) -> Iterator[list[Encoded]]:
    """The batches of a training after its first `done` updates, up to `total` of them."""
    lengths = [item.length for item in encoded]
    per_epoch = math.ceil(len(encoded) / settings.batch_size)
    for epoch in range(done // per_epoch, math.ceil(total / per_epoch)):
        order = epoch_batches(lengths, settings.batch_size, seed, epoch, bucketing=settings.bucketing)
        begin = epoch * per_epoch
        for batch in order[max(0, done - begin) : total - begin]:
            yield [encoded[index] for index in batch]


def _parameter_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Groups of parameters: matrices, which decay, and vectors; each sharded among processes or not."""
    found: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in parameters:
        found.setdefault((parameter.ndim <= 1, is_sharded(parameter)), []).append(parameter)
    return [{"params": found[key], "weight_decay": 0.0 if key[0] else weight_decay} for key in sorted(found)]


def dropout_seed(seed: int, step: int, begin: int) -> int:
    """The seed of dropout in one pass: a function of the position, so that resuming needs no saved random state."""
    return int.from_bytes(hashlib.sha256(f"taskweb dropout {seed} {step} {begin}".encode()).digest()[:8], "little", signed=True)


def _seed(device: torch.device, seed: int) -> None:
    """Seed the device's generator. On the CPU no other generator: calls for absent devices would take most of the time."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


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
