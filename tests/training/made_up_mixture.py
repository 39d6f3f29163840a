"""A mixture of synthetic tasks, and tiny models for it."""

from __future__ import annotations

from taskweb.mixture import MixedExample, Mixture, MixtureTask
from taskweb.models import TaskModel, method_of
from taskweb.models.tiny import tiny_model
from taskweb.tasks.synthetic import find_family
from taskweb.training.encoded_mixture import Answers, shared_head


def synthetic_mixture(train: int = 24, held_out: int = 8, count: int = 2) -> Mixture:
    """`count` tasks of the family `mixed`, alternating."""
    family = find_family("mixed")
    names = family.task_names[:count]
    tasks = tuple(
        MixtureTask(name, family.tasks_by_name[name].kind, ("accuracy",), 1 / count, train, train, held_out) for name in names
    )

    def examples_of(size: int, split: str) -> tuple[MixedExample, ...]:
        rows = zip(*(family.examples(name, size, split=split).examples for name in names), strict=True) if size else ()
        return tuple(MixedExample(name, example) for row in rows for name, example in zip(names, row, strict=True))

    return Mixture(tasks, examples_of(train, "train"), examples_of(held_out, "eval"))


def tiny_for(mixture: Mixture, name: str, method: str = "finetune", seed: int = 0, answers: Answers = "choices") -> TaskModel:
    """A tiny model with the mixture's shared head."""
    texts = [text for item in mixture.train for text in (item.example.input, *(item.example.choices or ()))]
    family = {"tiny:t5": "seq2seq", "tiny:gpt2": "causal", "tiny:roberta": "encoder"}[name]
    model = tiny_model(name, texts, shared_head(family, mixture, answers), seed=seed)  # type: ignore[arg-type]
    method_of(method).apply(model, seed=seed)
    return model
