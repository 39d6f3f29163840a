"""The contract of models: examples go in as token ids, a loss, scores of choices, numbers or texts come out.

Invariants that every family keeps (tests/models/test_contract.py tests them):
- nothing is padded before a batch is made, and padding changes no result beyond rounding;
- of an input that is too long, the beginning is cut or the end of its longest column; an answer or a choice never is;
- scoring, reading numbers and generating leave the training mode and the random state as they found them;
- what a model computes depends on its weights and the examples alone, not on their order or the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from taskweb.models.head import Head
from taskweb.tasks import Example

FloatArray = npt.NDArray[np.float64]
TokenIds = npt.NDArray[np.int32]
Family = Literal["seq2seq", "causal", "encoder"]
Reduction = Literal["mean", "sum"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)
Parameter = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model's first weights come from.

    name: Hub id, path of a folder, or `random` for weights drawn from a seed. revision: the commit on the Hub, the seed of
    random weights, None for a folder. fingerprint: of the files that were read (see `fingerprints`), None where the first
    weights stand in no files of their own.
    """

    name: str
    revision: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """How an input fits a model. lost: tokens that are cut from it. aligned: as of `Encoded`, with each of its answers."""

    lost: int = 0
    aligned: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One example as token ids, without padding.

    inputs: the sequences that are read: one, or one per choice where an encoder compares choices.
    answer: what is learnt: ids of the answer's tokens; for heads the index of the label or choice, or (start, end) of a span.
    number: the value of a regression by a head. weight: number of terms in the loss (tokens of the answer, or 1).
    lost: tokens that were cut from the input. aligned: whether the tokens of input and answer are those of the whole text.
    """

    inputs: tuple[TokenIds, ...]
    answer: tuple[int, ...]
    number: float = 0.0
    weight: int = 1
    lost: int = 0
    aligned: bool = True

    @property
    def length(self) -> int:
        """Tokens that are read and written."""
        return sum(len(ids) for ids in self.inputs) + (self.weight if self.weight > 1 else 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a model: scores of `choices`, `numbers`, or `texts`.

    reduction, unconditional: as in `TaskModel.score_choices`. max_new_tokens: most tokens of a text.
    """

    answer: Literal["choices", "numbers", "texts"]
    reduction: Reduction = "mean"
    unconditional: bool = False
    max_new_tokens: int = 64


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One example as it is read to be answered. What the head of its task says is in it, so tasks may share a forward pass.

    inputs: the sequences that are read: one, or one per choice where an encoder compares choices. choices: of a text model, the
    tokens of each choice. answer: makes an encoder's outputs for the inputs, or the text that was written, the answer.
    member: whose weights answer, of a model that several runs share.
    """

    inputs: tuple[TokenIds, ...]
    choices: tuple[tuple[int, ...], ...] = ()
    answer: Callable[[Any], Any] = str
    member: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that are read."""
        return sum(map(len, self.inputs)) + sum(map(len, self.choices))


class TaskModel(Protocol):
    """A model of one family, with the head of the task at hand.

    module: what is trained; float32 weights. max_input: most tokens that an input may have.
    method: how it is adapted, None until a method was applied. text: how examples are read (`TextSettings`); prompts: the
    prompt format in force. shared: who lends the weights, None for a model of its own. routing: which rows of a forward pass
    are whose, None for a model of one run.
    An instance is not to be shared between threads.
    """

    module: nn.Module
    tokenizer: Any
    origin: Origin
    head: Head
    method: Method | None
    max_input: int
    text: Any
    prompts: Any
    shared: SharedWeights | None
    routing: Routing | None

    @property
    def family(self) -> Family:
        """Which family this is."""

    def set_head(self, head: Head, *, seed: int, carry: bool = False) -> bool:
        """Prepare for a task. The body stays; returns whether the weights of the head, if it has any, stay too.

        An encoder draws a fresh head from `seed`, unless `carry` is set and the new head is of the same kind with as many
        outputs. Models that answer in text have no head of their own. Raises ParameterError for a kind the family cannot do.
        """

    def is_head(self, name: str) -> bool:
        """Whether a tensor of the module belongs to a head that is trained with every method."""

    def fits(self, examples: Sequence[Example], *, written: int | None = None) -> list[Fit]:
        """How each example's input fits: what it loses since it is longer than `max_input` or leaves its answers no room.

        written: most tokens of an answer that is generated, instead of the examples' own answers. Raises InputError that names
        the row of an input or a choice without tokens.
        """

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids of labelled examples. Raises InputError for one without an answer, or whose answer is impossible."""

    def loss(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """Sum of the loss over the batch's terms, a float32 scalar; divide by the sum of weights for the mean."""

    def score_choices(
        self,
        examples: Sequence[Example],
        *,
        reduction: Reduction = "mean",
        batch_size: int = 32,
        unconditional: bool = False,
    ) -> list[FloatArray]:
        """One array per example: log-probability of each of its choices, higher = likelier.

        Text models take the mean (or sum) over the choice's tokens, its end included, and read each input once. An encoder
        takes the log-probabilities of its head. batch_size: most choices scored at once. An example without choices is scored
        on the labels of the head; raises InputError where there are none either. unconditional: without the input.
        """

    def numbers(self, examples: Sequence[Example], *, batch_size: int = 32) -> FloatArray:
        """The predicted value of each example of a regression; text that is no number counts as `head.default`."""

    def generate(self, examples: Sequence[Example], *, max_new_tokens: int = 64, batch_size: int = 32) -> list[str]:
        """The answer to each example: greedy text, or the best span of the input. Encoders only find spans."""

    def questions(self, examples: Sequence[Example], wanted: Wanted) -> list[Question]:
        """The examples as the present head reads them. Raises InputError and ParameterError as the three methods above."""

    def answers(self, questions: Sequence[Question], wanted: Wanted, *, batch_size: int = 32) -> list[Any]:
        """What the three methods above return, of questions made with any heads: scores, a number or a text for each."""


@dataclass(frozen=True, slots=True)
class Trained:
    """How many numbers a method trains: own, of the model itself; added, of what it adds.

    layers: whose weights or updates get gradients, for which what these layers read is kept.
    """

    own: int = 0
    added: int = 0
    layers: frozenset[nn.Module] = frozenset()


class SharedWeights(Protocol):
    """Whoever lends a model's weights to one run after another."""

    def protect(self) -> None:
        """Called before any of the weights is trained, when it is known which ones will be."""


class Routing(Protocol):
    """Tells the layers of a model that several runs share which rows are whose."""

    def routed(self, members: Sequence[int]) -> AbstractContextManager[None]:
        """Inside, a forward pass has these rows: the member of each."""


class Method(Protocol):
    """A way to adapt a model: it decides which tensors are trained, and adds those that it needs. It has parameters only."""

    @property
    def name(self) -> str:
        """The short name, as in `t5l/finetune`."""

    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters in force, as they are written to records and files."""

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:
        """What the parameters come to for this model, such as the layers that LoRA changes; part of what a run is."""

    def trains(self, model: TaskModel) -> Trained:
        """How many numbers are trained besides the head, of a model that is not adapted yet; needs no weights."""

    def apply(self, model: TaskModel, *, seed: int) -> None:
        """Change the model in place; new weights are drawn from `seed`. The head is always trained."""


def config_of(model: TaskModel) -> Any:
    """The configuration of the model's body."""
    return model.module.config


def device_of(module: nn.Module) -> torch.device:
    """The device that the module's weights lie on."""
    return next(module.parameters()).device


def routed(model: TaskModel, members: Sequence[int]) -> AbstractContextManager[None]:
    """Inside, a forward pass has these rows: the member of each. Nothing happens with a model of one run."""
    return nullcontext() if model.routing is None else model.routing.routed(members)
