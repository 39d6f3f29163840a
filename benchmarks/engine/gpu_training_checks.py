"""Checks of fused runs and of updates as graphs on a GPU, and the table of engine_throughput in short."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

import torch

from benchmarks.engine.engine_throughput import SHAPES, figures_of
from benchmarks.engine.gpu_place import HEAD, NAMES, Check, Figures, Place, cosine, needs, statements
from benchmarks.engine.ways import Cell, Ways
from taskweb.models import Head, TaskModel, method_of
from taskweb.models.base import Encoded
from taskweb.models.fused.fused_model import FusedModel, trained_tensors, wide_head
from taskweb.models.memory import release_memory
from taskweb.models.shared_base import SharedBase
from taskweb.tasks import Example
from taskweb.training import TrainingHistory, TrainingSettings, loop
from taskweb.training.fused_training import FusedRun, FusedTraining
from taskweb.training.graphs import WARM_UPS, CudaRecorder
from taskweb.training.loop import fit_encoded
from taskweb.training.settings import Precision

METHODS = ("lora", "pfeiffer", "bitfit")
UPDATES = 20
RATES = (1e-3, 5e-4, 2e-3)
NUMBER = Head("regression")
Tensors = Mapping[str, torch.Tensor]
Outcomes = dict[int, tuple[TrainingHistory, Tensors]]
TABLE = (("roberta-base", "finetune"), ("gpt2-medium", "finetune"), ("roberta-base", "lora"), ("llama-0.5b", "lora"))
TABLE_ON_CPU = (("tiny-roberta", "finetune"), ("tiny-llama", "lora"))
BARS = {"finetune": {"roberta-base": 2.5, "gpt2-medium": 1.3}, "lora": {"roberta-base": 6.0, "llama-0.5b": 6.0}}
"""Runs per hour, as multiples of the Trainer's; a short measurement reports them and does not fail by them."""


@dataclass(frozen=True)
class Family:
    """Runs of one base, alone and fused, each with examples, a rate and a seed of its own."""

    base: SharedBase
    method: str
    head: Head
    settings: Sequence[TrainingSettings]

    @classmethod
    def of(cls, place: Place, name: str, method: str, precision: Precision, head: Head = HEAD) -> Family:
        """Three runs of a model."""
        settings = [
            place.settings(precision, steps=UPDATES, batch_size=4 + 2 * i, learning_rate=r) for i, r in enumerate(RATES)
        ]
        return cls(SharedBase(place.model(name, head)), method, head, settings)

    def ready(self, number: int) -> TaskModel:
        """The model of a run as it begins."""
        model = self.base.fresh()
        model.set_head(self.head, seed=number)
        method_of(self.method).apply(model, seed=number)
        return model

    def encoded(self, number: int) -> list[Encoded]:
        """The examples of a run."""
        own = statements(40)[8 * number :]
        if self.head == NUMBER:
            own = [Example(example.input, str(place % 3)) for place, example in enumerate(own)]
        return self.ready(number).encode(own)

    def alone(self, number: int) -> tuple[TrainingHistory, Tensors]:
        """A run without the others, and the weights after it."""
        model = self.ready(number)
        history = fit_encoded(model, self.encoded(number), self.settings[number], seed=number)
        return history, trained_tensors(model)

    def run(self, number: int) -> FusedRun:
        """A run as others share passes with it."""
        encoded = self.encoded(number)
        return FusedRun(self.head, encoded, self.settings[number], number, trained_tensors(self.ready(number)))

    def fused(self, runs: Sequence[FusedRun], most: int | None) -> tuple[FusedTraining, Outcomes]:
        """All runs at once, by seed."""
        model = self.base.fresh()
        model.set_head(wide_head([self.head]) if model.family == "encoder" else self.head, seed=0)
        method_of(self.method).apply(model, seed=0)
        fused = FusedModel(model)
        model.module.train()
        training, waiting = FusedTraining(fused, most), list(runs)
        found: Outcomes = {}
        while len(found) < len(runs):
            while waiting and training.has_room:
                training.join(waiting.pop(0))
            for place in training.round():
                found[place.run.seed] = place.history, training.weights_of(place)
                if place.error is None:
                    training.leave(place)
        return training, found


def flat(tensors: Tensors) -> torch.Tensor:
    """All numbers in one vector, on the CPU in float64."""
    return torch.cat([tensor.detach().flatten().double().cpu() for _, tensor in sorted(tensors.items())])


def losses_of(history: TrainingHistory) -> torch.Tensor:
    """The loss of every update."""
    return torch.tensor([record.loss for record in history.losses], dtype=torch.float64)


def apart(one: TrainingHistory, other: TrainingHistory) -> float:
    """The largest difference of two runs' losses, relative to losses above 1."""
    wanted = losses_of(other)
    return float(((losses_of(one) - wanted).abs() / wanted.clamp(min=1)).max())


# Checks


def check_fused(place: Place) -> Figures:
    """Runs that share passes learn what they learn alone, within rounding; without dropout."""
    found: Figures = {}
    for name in NAMES:
        for method in METHODS:
            if method == "bitfit" and name == "tiny:llama":
                continue  # it has no biases
            for precision in ("float32", "bfloat16"):
                found[f"{name} {method} {precision}"] = _fused_and_alone(place, name, method, precision)
    return found


def _fused_and_alone(place: Place, name: str, method: str, precision: Precision) -> Figures:
    """How far losses are apart, and the cosine of what both ways changed."""
    family = Family.of(place, name, method, precision)
    runs = [family.run(number) for number in range(len(RATES))]
    _, fused = family.fused(runs, len(runs))
    losses, cosines = [], []
    for number, run in enumerate(runs):
        history, weights = family.alone(number)
        needs(fused[number][0].step == history.step, f"{name} {method}: another number of updates")
        losses.append(apart(fused[number][0], history))
        start = flat(run.start)
        cosines.append(cosine(flat(fused[number][1]) - start, flat(weights) - start))
    exact = precision == "float32"
    own = {"losses_apart": max(losses), "least_cosine": min(cosines)}
    needs(own["losses_apart"] < (1e-3 if exact else 0.05), f"{name} {method} {precision}: losses differ: {own}")
    # A bias whose gradient is zero in truth moves by rounding alone.
    least = (0.9 if method == "bitfit" else 0.999) if exact else 0.8
    needs(own["least_cosine"] > least, f"{name} {method} {precision}: weights differ: {own}")
    return own


def check_fused_apart(place: Place) -> Figures:
    """A run whose data explode changes no bit of the runs that share its passes."""
    family = Family.of(place, "tiny:roberta", "lora", "float32", NUMBER)
    outcomes, ends = [], []
    for value in (1.0, 1e30):
        runs = [family.run(number) for number in range(3)]
        changed = [replace(item, number=value if at == 20 else 1.0) for at, item in enumerate(runs[1].encoded)]
        _, found = family.fused([runs[0], replace(runs[1], encoded=changed), runs[2]], 3)
        outcomes.append(found)
        ends.append(found[1][0].step)
    needs(ends[1] < ends[0], f"the run did not diverge: it made {ends[1]} updates")
    for number in (0, 2):
        one, other = (found[number][1] for found in outcomes)
        same = all(torch.equal(one[name], other[name]) for name in one)
        needs(same, f"the weights of run {number} changed with the data of another")
    return {"updates_before_divergence": ends[1]}


def check_fuse_auto(place: Place) -> Figures:
    """`fuse = "auto"` picks a number of runs at once."""
    family = Family.of(place, "tiny:llama", "lora", "auto")
    runs = [replace(family.run(number % 3), settings=family.settings[0], seed=number) for number in range(12)]
    training, found = family.fused(runs, None)
    needs(len(found) == 12, "not every run ended")
    needs(1 <= training.size.now <= training.size.most, f"{training.size.now} runs at once of at most {training.size.most}")
    own = {"together": training.size.now, "most": training.size.most, "still_seeking": training.size.seeking}
    return {**own, "padding": round(training.padding.share, 3)}


class _CallRecorder(CudaRecorder):
    """In place of a recorder where there is no GPU: what it records is called again."""

    def __init__(self) -> None:
        pass

    def record(self, work: Any) -> Any:
        for _ in range(WARM_UPS):
            work()
        return work


def check_graphs(place: Place) -> Figures:
    """Updates as CUDA graphs lose what the same updates lose pass by pass."""
    found: Figures = {}
    gpu = place.device.type == "cuda"
    for name in NAMES:
        histories, changes = [], []
        for graphs in (False, True):
            model = place.model(name)
            method_of("finetune").apply(model, seed=0)
            start, encoded = flat(trained_tensors(model)), model.encode(statements(40))
            settings = place.settings("float32", steps=2 * UPDATES, learning_rate=1e-4)
            with mock.patch.object(loop, "recorder_for", lambda _: None) if not graphs else mock.MagicMock():
                recorder = _CallRecorder() if graphs and not gpu else None
                histories.append(fit_encoded(model, encoded, settings, seed=0, recorder=recorder))
            changes.append(flat(trained_tensors(model)) - start)
        record = histories[1].graphs
        needs(record is not None and record.graphs > 0, f"{name}: no graph was recorded: {record}")
        own = {"losses_apart": apart(histories[1], histories[0]), "cosine": cosine(*changes)}
        needs(own["losses_apart"] < 1e-3 and own["cosine"] > 0.99, f"{name}: graphs train otherwise: {own}")
        found[name] = {**own, "graphs": record.graphs if record else 0}
    return found


def check_throughput(place: Place) -> Figures:
    """Runs per hour beside the Trainer's, in short."""
    gpu, found = place.device.type == "cuda", {}
    for name, method in TABLE if gpu else TABLE_ON_CPU:
        precision = "bfloat16" if gpu else "float32"
        cell = Cell(name, SHAPES[name], method, 16 if gpu else 4, 2 * UPDATES if gpu else 2, place.device, precision)
        ways = Ways(cell, 16 if gpu else 4)
        calls = {"trainer": partial(ways.trainer, 2), "alone": partial(ways.alone, 2)}
        if cell.frozen:
            calls["fused"] = partial(ways.fused, ways.most, None)
        figures = figures_of(cell, ways, {way: [call(), call()][1:] for way, call in calls.items()})
        bar = BARS[method].get(name)
        ratio = figures["ratios"][f"{'fused' if cell.frozen else 'alone'}_over_trainer"]["median"]
        shown = ("runs_per_hour", "tokens_per_second", "share_of_peak", "peak_memory_mib", "padding", "together", "graphs")
        short = {way: {key: own[key] for key in shown} for way, own in figures["ways"].items()}
        met = None if bar is None else ratio >= bar
        found[f"{name} {method}"] = {**short, "times_the_trainer": ratio, "bar": bar, "meets_bar": met}
        del ways, calls
        gc.collect()
        release_memory(place.device)
    return found


CHECKS: Mapping[str, Check] = {
    "fused": check_fused,
    "fused_apart": check_fused_apart,
    "fuse_auto": check_fuse_auto,
    "graphs": check_graphs,
    "throughput": check_throughput,
}
