"""Scores of choices: log-probabilities given the prompt, or what the prompt adds to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from taskweb.errors import InputError
from taskweb.evaluation.batching import BatchSize
from taskweb.models.base import Reduction, TaskModel
from taskweb.tasks import Example

FloatArray = npt.NDArray[np.float64]
Normalisation = Literal["none", "unconditional"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
_CHOICES_AT_ONCE = 8


class ChoiceRanker:
    """Scores the choices of examples with one model.

    reduction: mean or sum over a choice's tokens. normalisation `unconditional` subtracts the same score given an empty input,
    log p(choice | prompt) - log p(choice | nothing), so that words that are always likely have no advantage.
    An encoder scores with its head: the choices must be its labels, or, in the same order, the classes of the task.
    """

    def __init__(
        self, model: TaskModel, size: BatchSize, *, reduction: Reduction = "mean", normalisation: Normalisation = "none"
    ) -> None:
        self.model, self.size, self.reduction, self.normalisation = model, size, reduction, normalisation
        self._unconditional: dict[str, float] = {}

    def scores(
        self, examples: Sequence[Example], labels: Sequence[str] = (), on_done: Callable[[int], None] = lambda _: None
    ) -> list[FloatArray]:
        """One array per example, a score per choice. labels: the task's classes, in the order of the choices."""
        known = [self.with_model_labels(example, labels) for example in examples]
        found = self._conditional(known, on_done)
        if self.normalisation == "none":
            return found
        given = self._without_prompt(list(dict.fromkeys(choice for example in known for choice in example.choices or ())))
        return [
            values - np.array([given[choice] for choice in example.choices or ()])
            for values, example in zip(found, known, strict=True)
        ]

    def with_model_labels(self, example: Example, labels: Sequence[str]) -> Example:
        """The example with choices that the model knows. Raises InputError if an encoder knows neither choices nor labels."""
        if self.model.family != "encoder" or self.model.head.kind == "multiple_choice":
            return example
        head = self.model.head
        if head.kind != "classification":
            raise InputError(
                f"The model's head is for {head.kind}, so it cannot choose among answers. Give one trained on classification."
            )
        choices = example.choices or ()
        if set(choices) <= set(head.labels):
            return example
        if len(labels) == len(choices) and set(labels) <= set(head.labels):
            index = choices.index(example.output) if example.output in choices else None
            return Example(example.input, None if index is None else labels[index], tuple(labels))
        raise InputError(
            f"The model answers with {', '.join(head.labels)}, but the choices are {', '.join(choices)}. Give "
            "templates with its answers, or a T5 or GPT-2 model, which can answer with any words."
        )

    def _conditional(self, examples: Sequence[Example], on_done: Callable[[int], None] = lambda _: None) -> list[FloatArray]:
        return self.size.run(
            [len(example.input) for example in examples],
            lambda part, size: self.model.score_choices([examples[i] for i in part], reduction=self.reduction, batch_size=size),
            on_done,
        )

    def _without_prompt(self, choices: Sequence[str]) -> dict[str, float]:
        new = [choice for choice in choices if choice not in self._unconditional]
        groups = [tuple(new[begin : begin + _CHOICES_AT_ONCE]) for begin in range(0, len(new), _CHOICES_AT_ONCE)]
        for own, values in zip(groups, self._conditional([Example("", None, own) for own in groups]), strict=True):
            self._unconditional.update(zip(own, values.tolist(), strict=True))
        return self._unconditional
