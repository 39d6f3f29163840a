"""Scores of choices: log-probabilities given the prompt, per character or byte, or what the prompt adds to them.

| normalisation | score of a choice | in lm-evaluation-harness (end mark out) |
|---|---|---|
| none | mean or sum over its tokens | acc (sum) |
| unconditional | the same, less that given an empty prompt | acc_mutual_info (sum) |
| chars | sum over its tokens, per character of its text | acc_norm |
| bytes | sum over its tokens, per byte of its text in UTF-8 | acc_bytes |

The text of a choice is counted without the delimiter before it, and without the end mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from taskweb.errors import InputError, ParameterError
from taskweb.evaluation.batching import BatchSize
from taskweb.models.base import Reduction, TaskModel
from taskweb.tasks import Example

FloatArray = npt.NDArray[np.float64]
Normalisation = Literal["none", "unconditional", "chars", "bytes"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
PER_LENGTH: Mapping[Normalisation, Callable[[str], int]] = {"chars": len, "bytes": lambda text: len(text.encode())}
_CHOICES_AT_ONCE = 8


class ChoiceRanker:
    """Scores the choices of examples with one model.

    reduction: mean or sum over a choice's tokens; a score per character or byte always takes the sum. normalisation
    `unconditional` subtracts the same score given an empty input, log p(choice | prompt) - log p(choice | nothing), so that
    words that are always likely have no advantage. Whether the end mark counts is a setting of the model (`model.text`).
    An encoder scores with its head: the choices must be its labels, or, in the same order, the classes of the task. It has no
    score per character or byte, as its choices are outcomes, not texts: raises ParameterError for that.
    """

    def __init__(
        self, model: TaskModel, size: BatchSize, *, reduction: Reduction = "mean", normalisation: Normalisation = "none"
    ) -> None:
        if normalisation in PER_LENGTH and model.family == "encoder":
            raise ParameterError(
                f"An encoder gives its choices no length, so it has no scores per {normalisation}. Use --normalise none."
            )
        self.model, self.size, self.normalisation = model, size, normalisation
        self.reduction = reduction_of(reduction, normalisation)
        self._unconditional: dict[str, float] = {}

    def scores(
        self, examples: Sequence[Example], labels: Sequence[str] = (), on_done: Callable[[int], None] = lambda _: None
    ) -> list[FloatArray]:
        """One array per example, a score per choice. labels: the task's classes, in the order of the choices."""
        known = [self.with_model_labels(example, labels) for example in examples]
        found = self._scored(known, on_done)
        if self.normalisation == "none":
            return found
        if self.normalisation in PER_LENGTH:
            length = PER_LENGTH[self.normalisation]
            lengths = [np.array([length(choice) for choice in example.choices or ()]) for example in known]
            return [values / own for values, own in zip(found, lengths, strict=True)]
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
            return replace(example, output=None if index is None else labels[index], choices=tuple(labels))
        raise InputError(
            f"The model answers with {', '.join(head.labels)}, but the choices are {', '.join(choices)}. Give "
            "templates with its answers, or a T5 or GPT-2 model, which can answer with any words."
        )

    def _scored(
        self,
        examples: Sequence[Example],
        on_done: Callable[[int], None] = lambda _: None,
        *,
        unconditional: bool = False,
    ) -> list[FloatArray]:
        def work(part: list[int], size: int) -> list[FloatArray]:
            own = [examples[i] for i in part]
            return self.model.score_choices(own, reduction=self.reduction, batch_size=size, unconditional=unconditional)

        return self.size.run([len(example.input) for example in examples], work, on_done)

    def _without_prompt(self, choices: Sequence[str]) -> dict[str, float]:
        new = [choice for choice in choices if choice not in self._unconditional]
        groups = [tuple(new[begin : begin + _CHOICES_AT_ONCE]) for begin in range(0, len(new), _CHOICES_AT_ONCE)]
        found = self._scored([Example("", None, own) for own in groups], unconditional=True)
        for own, values in zip(groups, found, strict=True):
            self._unconditional.update(zip(own, values.tolist(), strict=True))
        return self._unconditional


def reduction_of(wanted: Reduction, normalisation: Normalisation) -> Reduction:
    """How the tokens of a choice are reduced: as wanted, and always summed where the sum is divided by the text's length."""
    return "sum" if normalisation in PER_LENGTH else wanted
