"""Transfers are as planted: a related source helps, an opposed one harms, by a paired sign test over seeds."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from taskweb.models import TaskModel, head_for, method_of
from taskweb.models.tiny import tiny_model
from taskweb.tasks.synthetic import find_family
from taskweb.training import TrainingSettings, evaluate, fit

FAMILY = find_family("mixed")
EPOCHS = {"tiny:t5": 10, "tiny:gpt2": 20}


def accuracies(setup: str, seed: int, target: int, sources: list[int]) -> list[float]:
    """Accuracy on the target alone, then after each source."""
    names = FAMILY.task_names
    few = FAMILY.examples(names[target], 32, seed=seed).examples
    held_out = FAMILY.examples(names[target], 200, split="eval").examples
    fresh = tiny_model(setup, FAMILY.texts(), head_for("classification", few), seed=seed)
    method_of("finetune").apply(fresh, seed=seed)

    def learnt(model: TaskModel, examples: object, epochs: int) -> TaskModel:
        settings = TrainingSettings(learning_rate=3e-3, epochs=epochs, batch_size=16, warmup_ratio=0.1, device="cpu")
        trained = copy.deepcopy(model)
        fit(trained, examples, settings, seed=seed)  # type: ignore[arg-type]
        return trained

    starts = [fresh, *(learnt(fresh, FAMILY.examples(names[s], 400, seed=100 + seed).examples, 4) for s in sources)]
    task = FAMILY.tasks_by_name[names[target]]
    return [evaluate(learnt(start, few, EPOCHS[setup]), task, held_out)["accuracy"] for start in starts]


def sign_test(differences: np.ndarray) -> float:
    """Probability of at least this number of differences above zero if both signs are equally likely."""
    above = int(np.sum(differences > 0))
    return sum(math.comb(len(differences), k) for k in range(above, len(differences) + 1)) / 2 ** len(differences)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setup", "seeds"), [("tiny:gpt2", 8), *(pytest.param(setup, 24, marks=pytest.mark.repeats) for setup in EPOCHS)]
)
def test_a_related_source_helps_and_an_opposed_one_harms(setup: str, seeds: int) -> None:
    torch.set_num_threads(1)
    related = FAMILY.relatedness - 2 * np.eye(FAMILY.tasks)
    others = FAMILY.relatedness
    target = int(np.argmax(related.max(axis=1) - others.min(axis=1)))
    sources = [int(np.argmax(related[target])), int(np.argmin(others[target]))]
    assert others[target, sources[0]] > 0.5
    assert others[target, sources[1]] < -0.5
    alone, helped, harmed = np.array([accuracies(setup, seed, target, sources) for seed in range(seeds)]).T
    assert sign_test(helped - alone) < 0.05, f"alone {alone}, related {helped}"
    assert sign_test(alone - harmed) < 0.05, f"alone {alone}, opposed {harmed}"
