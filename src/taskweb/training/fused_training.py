"""Training several runs of one frozen base together: each as if it were alone, in shared passes.

In every round each run makes one update. Runs whose next batches are of similar length share a pass, so that little is padded.
A run keeps its own order of examples, seed, dropout, rate, schedule, decay, clipping and number of updates; what others do
changes its rounding at most. One that diverged stays in its place, without learning, until another run takes it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from taskweb.errors import TaskWebError
from taskweb.models.arithmetic import has_half_weights
from taskweb.models.base import Encoded
from taskweb.models.fused.fused_model import FusedModel, Part
from taskweb.models.head import Head
from taskweb.models.memory import half, out_of_memory, release_memory
from taskweb.models.packing import Member, Shape, shape_of
from taskweb.training.batch_order import training_batches
from taskweb.training.fused_optimizer import Rows, Step, update
from taskweb.training.gradient import dropout_seed
from taskweb.training.history import DivergedError, MemoryRecord, StepRecord, TrainingHistory
from taskweb.training.pass_size import PassSize, most_places, room_for_twice
from taskweb.training.settings import TrainingSettings, chosen_precision, computing_in

_ROUNDS_BETWEEN_READS = 16  # where losses are not read at once
_LAUNCHES = 4096  # what a pass costs on a GPU beside its tokens, in tokens
_PER_CALL, _PER_WEIGHT, _PER_CALL_AND_TOKEN = 115.0, 5e-5, 0.2
"""Microseconds of one CPU core: calling a layer, forward and backward; for each token, a weight of a matrix, and a layer."""


@dataclass(frozen=True, slots=True, eq=False)
class FusedRun:
    """One training among others.

    start: the trained tensors before the first update, by name. first, second, history: where it resumes from a checkpoint, the
    optimizer's moments and the history up to it.
    """

    head: Head
    encoded: Sequence[Encoded]
    settings: TrainingSettings
    seed: int
    start: Mapping[str, torch.Tensor]
    first: Mapping[str, torch.Tensor] | None = None
    second: Mapping[str, torch.Tensor] | None = None
    history: TrainingHistory | None = None


@dataclass(slots=True, eq=False)
class Place:
    """A place among the runs that are trained together, and the run in it. error: why it ended early, mostly DivergedError.

    reported: whether its end was returned.
    """

    row: int
    run: FusedRun
    history: TrainingHistory
    batches: Iterator[list[Encoded]]
    next_step: int
    next_batch: list[Encoded] | None
    error: Exception | None = None
    reported: bool = False

    @property
    def ended(self) -> bool:
        """Whether the run has diverged or made its last update, as far as its losses were read."""
        return self.error is not None or self.history.step >= self.history.total_steps


@dataclass(slots=True)
class Padding:
    """Places for tokens in all passes, and how many of them held tokens."""

    places: int = 0
    tokens: int = 0
    passes: int = 0
    updates: int = 0

    @property
    def share(self) -> float:
        """The share of places that were only filled, 0 to 1."""
        return 1 - self.tokens / self.places if self.places else 0.0


class FusedTraining:
    """Runs that are trained together. most: of them at once; None for what memory and speed allow.

    size: how many share a pass; lowered where memory runs out.
    """

    def __init__(self, model: FusedModel, most: int | None) -> None:
        self.model = model
        seeking, most = most is None, most or most_places(model.tensors.numbers, model.device)
        self.size = PassSize(most, seeking=seeking, has_room=partial(room_for_twice, model.device))
        self.padding = Padding()
        self.places: list[Place | None] = [None] * most
        self._rows = Rows.empty(most, model.tensors.numbers, model.device)
        self._gradients = torch.zeros_like(self._rows.weights)
        self._decaying = model.tensors.decaying()
        self._overhead = overhead_of(model.model.module, model.device)
        self._unread: list[tuple[list[Place], list[int], torch.Tensor, float]] = []

    @property
    def has_room(self) -> bool:
        """Whether another run can join: a place is empty, or its run has diverged and was taken."""
        return any(place is None or place.error is not None for place in self.places)

    @property
    def running(self) -> list[Place]:
        """The places whose runs still learn."""
        return [place for place in self.places if place is not None and place.error is None]

    def join(self, run: FusedRun) -> Place:
        """Give a run a place: an empty one, else that of a run which has diverged."""
        free = [row for row, place in enumerate(self.places) if place is None]
        free += [row for row, place in enumerate(self.places) if place is not None and place.error is not None]
        tensors, row = self.model.tensors, free[0]
        rows = self._rows
        rows.weights[row] = tensors.row(run.start)
        rows.first[row] = 0.0 if run.first is None else tensors.row(run.first)
        rows.second[row] = 0.0 if run.second is None else tensors.row(run.second)
        rows.learns[row] = True
        history = run.history or self._new_history(run)
        batches = training_batches(run.encoded, run.settings, run.seed, history.step, history.total_steps)
        place = Place(row, run, history, batches, history.step, next(batches, None))
        self.places[row] = place
        return place

    def leave(self, place: Place) -> None:
        """Empty a place."""
        self.places[place.row] = None

    def clear(self) -> None:
        """Empty the places of runs that ended early."""
        self.places = [None if place is None or place.error is not None else place for place in self.places]

    def round(self) -> list[Place]:
        """One update of every run. Returns the places whose runs have ended: finished, or early (`error`)."""
        taking_part = [place for place in self.places if place is not None and place.next_batch is not None]
        shapes = [shape_of(self.model.model, _member(place, place.next_batch or [])) for place in taking_part]
        for group in grouped(shapes, self._overhead, self.size.now):
            self._update([taking_part[index] for index in group])
        due = not taking_part or any(place.next_batch is None for place in taking_part)
        if due or reads_at_once(self.model.device) or len(self._unread) >= _ROUNDS_BETWEEN_READS:
            self._read()
        ended = [place for place in self.places if place is not None and place.ended and not place.reported]
        for place in ended:
            place.reported = True
        return ended

    def weights_of(self, place: Place) -> dict[str, torch.Tensor]:
        """The trained tensors of a run by name, on the CPU."""
        return self._tensors_of(place, self._rows.weights)

    def moments_of(self, place: Place) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """The optimizer's first and second moments of a run, by name."""
        return self._tensors_of(place, self._rows.first), self._tensors_of(place, self._rows.second)

    def read(self) -> None:
        """Bring the histories up to the last update."""
        self._read()

    def rows_of(self, places: Sequence[Place]) -> torch.Tensor:
        """The weights of some runs, (places, numbers), for `FusedModel.tensors.bind`."""
        return self._rows.weights[torch.tensor([place.row for place in places], device=self.model.device)]

    def _tensors_of(self, place: Place, matrix: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.model.tensors.tensors(matrix[place.row], {name: own.shape for name, own in place.run.start.items()})

    def _new_history(self, run: FusedRun) -> TrainingHistory:
        settings = run.settings
        per_epoch = math.ceil(len(run.encoded) / settings.batch_size)
        module = self.model.model.module
        return TrainingHistory(
            total_steps=settings.steps or settings.epochs * per_epoch,
            micro_batch_size=min(settings.micro_batch_size or settings.batch_size, settings.batch_size),
            trained_parameters=sum(tensor.numel() for tensor in run.start.values()),
            device=str(self.model.device),
            precision=chosen_precision(settings.precision, self.model.device, half_weights=has_half_weights(module)),
            threads=torch.get_num_threads(),
        )

    def _update(self, places: list[Place]) -> None:
        began = time.perf_counter()
        rows = [place.row for place in places]
        part, gradients = self._rows.part(rows), self._gradients[: len(rows)]
        try:
            losses = self._gradient(places, part, gradients)
        except Exception as error:  # noqa: BLE001 - whatever a library raises; the others go on without the one that fails
            if len(places) == 1:
                places[0].error, places[0].next_batch = error, None
                return
            losses, together = None, 1
        else:
            together = self.size.now
        if losses is None:
            for begin in range(0, len(places), together):
                self._update(places[begin : begin + together])
            return
        steps = [Step(place.run.settings, place.next_step, place.history.total_steps) for place in places]
        found = update(part, gradients, losses, steps, self._decaying)
        self._rows.put(rows, part)
        tokens = [sum(item.length for item in place.next_batch or ()) for place in places]
        if self.size.seeking and self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)
        seconds = time.perf_counter() - began
        self.size.note(len(places), sum(tokens), seconds)
        self._unread.append((places, tokens, found, seconds / len(places)))
        for place in places:
            place.next_step += 1
            place.next_batch = next(place.batches, None)

    def _gradient(self, places: list[Place], part: Rows, gradients: torch.Tensor) -> torch.Tensor | None:
        """The mean loss of each run, with the gradients left in place. None where memory ran out: fewer runs must share a pass.

        Of a single run, the examples at once are halved instead.
        """
        while True:
            gradients.zero_()
            self.model.tensors.bind(part.weights, gradients)
            try:
                return self._passes(places)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                reason = str(error).split(".")[0]
            release_memory(self.model.device)
            if len(places) > 1:
                self.size.lower(len(places))
                return None
            self._halve_batch(places[0], reason)

    def _halve_batch(self, place: Place, reason: str) -> None:
        used = min(place.history.micro_batch_size, len(place.next_batch or ()))
        if used == 1:
            raise TaskWebError(
                f"One example at a time is too much for the memory of {self.model.device} ({reason}). Lower max_input, or use "
                "a smaller model."
            )
        memory = (*place.history.memory, MemoryRecord(place.next_step + 1, half(used)))
        place.history = replace(place.history, micro_batch_size=half(used), memory=memory)

    def _passes(self, places: Sequence[Place]) -> torch.Tensor:
        batches = [place.next_batch or [] for place in places]
        sizes = [place.history.micro_batch_size for place in places]
        terms = torch.tensor([float(sum(item.weight for item in batch)) for batch in batches])
        terms, total = terms.to(self.model.device), torch.zeros(len(places), device=self.model.device)
        for number in range(max(math.ceil(len(batch) / size) for batch, size in zip(batches, sizes, strict=True))):
            parts, counted = [], []
            for place, batch, size in zip(places, batches, sizes, strict=True):
                begin = number * size
                seed = dropout_seed(place.run.seed, place.next_step, begin)
                # A run whose batch is used up reads an example again, which counts nothing: all keep their blocks.
                parts.append(Part(_member(place, batch[begin : begin + size] or batch[:1]), seed))
                counted.append(begin < len(batch))
            total += self._pass(parts, counted, terms, places[0].history.precision)
        return total

    def _pass(self, parts: list[Part], counted: list[bool], terms: torch.Tensor, precision: str) -> torch.Tensor:
        packed = self.model.packed(parts)
        with computing_in(precision, self.model.device):  # type: ignore[arg-type]  # it comes from the settings
            losses = self.model.losses(parts, packed) / terms
        if not all(counted):
            losses = losses.masked_fill(~torch.tensor(counted, device=losses.device), 0.0)
        self.model.backward(losses)
        self.padding.passes += 1
        self.padding.updates += len(parts)
        self.padding.places += packed.shape.tokens * len(parts)
        self.padding.tokens += packed.tokens
        return losses.detach()

    def _read(self) -> None:
        """Take over losses and norms of updates since the last reading; a run that was no longer finite ends at that update."""
        for places, tokens, found, seconds in self._unread:
            losses, norms, learnt = found.tolist()
            for place, read, loss, norm, ok in zip(places, tokens, losses, norms, learnt, strict=True):
                if place.error is None:
                    self._note(place, loss, norm, read, seconds, learnt=bool(ok))
        self._unread.clear()

    def _note(self, place: Place, loss: float, norm: float, tokens: int, seconds: float, *, learnt: bool) -> None:
        history, settings = place.history, place.run.settings
        if not learnt:
            place.error = DivergedError(history, loss, norm)
            return
        step, tokens = history.step, history.tokens + tokens
        losses = history.losses
        if step % settings.log_every == 0 or step + 1 == history.total_steps:
            rate = settings.rate_at(step, history.total_steps)
            losses = (*losses, StepRecord(step + 1, loss, rate, norm, tokens))
        place.history = replace(history, step=step + 1, tokens=tokens, seconds=history.seconds + seconds, losses=losses)


def reads_at_once(device: torch.device) -> bool:
    """Whether losses are read after each update. Not on a GPU, where reading waits for all that was asked of it."""
    return device.type != "cuda"


def overhead_of(module: nn.Module, device: torch.device) -> float:
    """What a pass costs beside its tokens, in tokens: on a GPU the launches of kernels, on a CPU the calls of layers.

    On a CPU that is hundreds of tokens for a tiny model, and few for a large one, whose tokens take long themselves.
    """
    if device.type == "cuda":
        return _LAUNCHES
    layers: list[Any] = [part for part in module.modules() if not any(part.children())]
    embedded = {id(part.weight) for part in layers if isinstance(part, nn.Embedding)}  # the output layer's own, often
    held = [part.weight for part in layers if isinstance(getattr(part, "weight", None), torch.Tensor)]
    passed = sum(weight.numel() for weight in held if weight.ndim == 2 and id(weight) not in embedded)
    return len(layers) * _PER_CALL / (passed * _PER_WEIGHT + len(layers) * _PER_CALL_AND_TOKEN)


def grouped(shapes: Sequence[Shape], overhead: float, most: int) -> list[list[int]]:
    """Indices of blocks in groups of at most `most`, each of neighbours in width, which cost the least together.

    A group costs `overhead` tokens, and the places of its blocks, each as large as all of them need.
    """
    order = sorted(range(len(shapes)), key=lambda index: (shapes[index].width, index))
    best, cuts = [0.0], [0]
    for end in range(1, len(order) + 1):
        block, least, cut = shapes[order[end - 1]], math.inf, end - 1
        for begin in range(end - 1, max(-1, end - most - 1), -1):
            block = block.with_room(shapes[order[begin]])
            cost = best[begin] + overhead + (end - begin) * block.tokens
            if cost < least:
                least, cut = cost, begin
        best.append(least)
        cuts.append(cut)
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(sorted(order[cuts[end] : end]))
        end = cuts[end]
    return groups


def _member(place: Place, items: Sequence[Encoded]) -> Member:
    return Member(items, place.run.head)
