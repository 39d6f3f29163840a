"""Several adapted models of one base, alone and as the members of a fused model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from taskweb.models import Head, TaskModel, method_of, random_model
from taskweb.models.base import Wanted
from taskweb.models.fused.fused_model import FusedModel, trained_tensors, wide_head
from taskweb.models.methods.trainable import trainable
from taskweb.tasks import Example
from tests.models import tiny, zoo

NOISE = 0.1


def base(name: str, head: Head) -> TaskModel:
    """A tiny model with the same body for every head."""
    if name in tiny.NAMES:
        return tiny.model(name, head)
    architecture = zoo.ARCHITECTURES[name]
    return random_model(architecture.config(), zoo.tokenizer(architecture.tokenizer), head, seed=0)


def adapted(name: str, head: Head, method: str, seed: int) -> TaskModel:
    """A model as if it had been trained: what a method trains is drawn from the seed."""
    model = base(name, head)
    if model.family == "encoder":
        model.set_head(head, seed=seed)
    method_of(method).apply(model, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in trainable(model.module).values():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=NOISE)
    return model


@dataclass
class Members:
    """Models of one base, one for each head, and the fused model that has the weights of all."""

    name: str
    method: str
    heads: Sequence[Head]

    def __post_init__(self) -> None:
        self.alone = [adapted(self.name, head, self.method, seed) for seed, head in enumerate(self.heads, start=1)]
        model = base(self.name, wide_head(self.heads) if self.alone[0].family == "encoder" else self.heads[0])
        method_of(self.method).apply(model, seed=0)
        self.fused = FusedModel(model)
        self.weights = torch.stack([self.fused.tensors.row(trained_tensors(own)) for own in self.alone])

    def together(self, examples: Sequence[Sequence[Example]], wanted: Wanted, batch_size: int = 32) -> list[list[Any]]:
        """Each member's answers to its examples; those of different members take turns in the batches."""
        questions = []
        for member, (head, own) in enumerate(zip(self.heads, examples, strict=True)):
            with self.fused.with_head(head) as model:
                questions += [replace(question, member=member) for question in model.questions(own, wanted)]
        order = np.random.default_rng(0).permutation(len(questions))
        with self.fused.answering(self.weights) as model:
            mixed = model.answers([questions[place] for place in order], wanted, batch_size=batch_size)
        found = dict(zip(order.tolist(), mixed, strict=True))
        begins = np.cumsum([0, *map(len, examples)])
        return [[found[place] for place in range(begin, end)] for begin, end in itertools.pairwise(begins)]
