"""Runs that are trained alone and fused, for comparison."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from taskweb.models import Head, TaskModel, method_of
from taskweb.models.arithmetic import keep_vectors_exact
from taskweb.models.base import Encoded
from taskweb.models.fused.fused_model import FusedModel, trained_tensors, wide_head
from taskweb.tasks import Example
from taskweb.training import DivergedError, TrainingHistory, TrainingSettings
from taskweb.training.fused_training import FusedRun, FusedTraining
from taskweb.training.loop import fit_encoded
from tests.models import tiny

NUMBER = Head("regression")
Tensors = dict[str, torch.Tensor]


def made_up(head: Head, count: int, seed: int) -> list[Example]:
    """Examples of very different lengths."""
    draw = random.Random(seed)
    words = [word for word in tiny.WORDS if word.isalpha()]
    found = []
    for _ in range(count):
        length = max(2, min(30, int(draw.lognormvariate(2.0, 0.6))))
        text = " ".join(draw.choice(words) for _ in range(length))
        if head.kind == "regression":
            found.append(Example(text, str(round(3 * draw.random(), 1))))
        else:
            found.append(Example(text, "yes" if "cat" in text else "no", ("no", "yes")))
    return found


def adapted(
    name: str,
    head: Head,
    seed: int,
    method: str,
    parameters: dict[str, Any] | None = None,
    *,
    dropout: float = 0.0,
    half: bool = False,
) -> TaskModel:
    """A model with the same base for every seed, and a head and a method from the seed. half: stored in bfloat16."""
    model = tiny.model(name, head, dropout=dropout)
    if half:
        keep_vectors_exact(model.module.to(torch.bfloat16))
    if name in tiny.ENCODERS:
        model.set_head(head, seed=seed)
    method_of(method, parameters).apply(model, seed=seed)
    return model


@dataclass
class Comparison:
    """Runs of one base. settings: of each; heads: of each. The base is drawn from the same seed for all."""

    name: str
    method: str
    settings: Sequence[TrainingSettings]
    heads: Sequence[Head] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    dropout: float = 0.0
    examples: int = 40
    half: bool = False

    def __post_init__(self) -> None:
        self.heads = self.heads or [tiny.LABELS] * len(self.settings)
        self.runs = [self.run(number) for number in range(len(self.settings))]

    def model(self, number: int) -> TaskModel:
        return adapted(
            self.name, self.heads[number], number, self.method, self.parameters, dropout=self.dropout, half=self.half
        )

    def encoded(self, number: int) -> list[Encoded]:
        return self.model(number).encode(made_up(self.heads[number], self.examples, number))

    def run(self, number: int) -> FusedRun:
        start = trained_tensors(self.model(number))
        return FusedRun(self.heads[number], self.encoded(number), self.settings[number], number, start)

    def alone(self, number: int) -> tuple[TrainingHistory, Tensors]:
        model = self.model(number)
        try:
            history = fit_encoded(model, self.runs[number].encoded, self.settings[number], seed=number)
        except DivergedError as error:
            history = error.history
        return history, {name: tensor.cpu() for name, tensor in trained_tensors(model).items()}

    def training(self, most: int | None = None) -> FusedTraining:
        head = tiny.LABELS if self.name in tiny.TEXT else wide_head(self.heads)
        model = adapted(self.name, head, 99, self.method, self.parameters, dropout=self.dropout, half=self.half)
        fused = FusedModel(model)
        model.module.train()
        return FusedTraining(fused, most or len(self.runs))

    def fused(self, training: FusedTraining | None = None) -> dict[int, tuple[TrainingHistory, Tensors]]:
        """All runs to their ends, the next one in the place of one that ended."""
        training, waiting = training or self.training(), list(self.runs)
        found: dict[int, tuple[TrainingHistory, Tensors]] = {}
        while len(found) < len(self.runs):
            while waiting and training.has_room:
                training.join(waiting.pop(0))
            for place in training.round():
                found[place.run.seed] = (place.history, training.weights_of(place))
                if place.error is None:
                    training.leave(place)
        return found


def furthest(one: Tensors, other: Tensors, *, but: str = "no name") -> float:
    """The largest difference of two runs' weights, but for tensors with that word in their name."""
    return max(float((one[name] - other[name]).abs().max()) for name in one if but not in name)
