"""A mixture as one model reads it: the head that serves all tasks, token ids, and what was cut from inputs.

Models that answer in text learn each task by its own words. An encoder answers through its head. For one task, that is the
task's head. For several tasks there are two kinds: `choices` scores each pair of input and choice with one number, so that all
tasks share the head and an unseen task can use it; `labels` has one output per label word of classifications, reads an input
once, and answers tasks that use the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from taskweb.errors import InputError, ParameterError
from taskweb.mixture import MixedExample, Mixture
from taskweb.models import Encoded, Head, TaskModel, head_for
from taskweb.models.base import Family, Fit
from taskweb.models.input_limits import kept_within, within_limits
from taskweb.tasks import Example, Task
from taskweb.tasks.overflow import CutReport, shortened

Answers = Literal["choices", "labels"]
ANSWERS: tuple[Answers, ...] = get_args(Answers)
Split = Literal["train", "heldout"]
_SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, slots=True)
class TaskCut:
    """How the inputs of one task fitted a model: those that are trained on, and those held out."""

    train: CutReport
    heldout: CutReport

    @property
    def total(self) -> CutReport:
        """Both together."""
        return self.train + self.heldout

    def to_dict(self) -> dict[str, Any]:
        """What was too long, as plain JSON values."""
        return {"train": self.train.to_dict(), "heldout": self.heldout.to_dict()}


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutTask:
    """The held-out examples of one task, as text and as token ids. task: as the shared head answers it."""

    task: Task
    examples: tuple[Example, ...]
    encoded: tuple[Encoded, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedMixture:
    """The examples of a mixture that a model is given. train: in the order of the mixture. cut: by task."""

    train: tuple[Encoded, ...]
    heldout: tuple[HeldOutTask, ...]
    cut: Mapping[str, TaskCut]


def shared_head(family: Family, mixture: Mixture, answers: Answers = "choices") -> Head:
    """The head that serves all tasks of a mixture. Raises ParameterError where an encoder cannot learn them together.

    answers: how an encoder answers several tasks: it compares an example's choices, or has an output for every label word.
    """
    if family != "encoder":
        return Head()
    examples = [item.example for item in (*mixture.train, *mixture.heldout)]
    if len(mixture.tasks) == 1:
        kind = mixture.tasks[0].kind
        if kind == "generation":
            raise ParameterError(
                f"An encoder cannot generate text, which '{mixture.tasks[0].name}' needs. Use a model that writes text."
            )
        return head_for(kind, examples)
    if answers == "labels":
        if others := sorted(task.name for task in mixture.tasks if task.kind != "classification"):
            raise ParameterError(
                "An encoder that answers by labels learns classifications only, and these tasks are not: "
                f"{', '.join(others)}. Leave them out, or set answers to choices."
            )
        return head_for("classification", examples)
    without = sorted({item.task for item in (*mixture.train, *mixture.heldout) if not item.example.choices})
    if without:
        raise ParameterError(
            f"An encoder learns several tasks together by comparing choices. These tasks have none: {', '.join(without)}. "
            "Leave them out, or use a model that writes text."
        )
    return Head("multiple_choice")


def encode_mixture(model: TaskModel, mixture: Mixture) -> EncodedMixture:
    """Token ids of all examples that the model is given, and what was cut; the model must have the shared head.

    Long inputs are cut, left out, or raise InputError, as the model's settings say. Raises InputError that names the task of
    an example that cannot be trained on, and for a task of which no example is short enough.
    """
    encoded: dict[int, Encoded] = {}
    heldout, cut = [], {}
    for task in mixture.tasks:
        indices = [index for index, item in enumerate(mixture.train) if item.task == task.name]
        kept_out = [item.example for item in mixture.heldout if item.task == task.name]
        examples = [mixture.train[index].example for index in indices]
        with _answering(model, task.to_task(), examples):
            found = model.encode(examples)
            fitting, report = kept_within(model, examples, found)
        if not fitting:
            raise InputError(
                f"Every input of '{task.name}' is longer than {report.limit:,} tokens, so none is left to train on. Raise "
                "--max-input, or choose --overflow trim."
            )
        encoded |= {indices[place]: found[place] for place in fitting}
        own, held_report = _held_out(model, task.to_task(), kept_out)
        heldout += [] if own is None else [own]
        cut[task.name] = TaskCut(report, held_report)
    return EncodedMixture(tuple(encoded[index] for index in sorted(encoded)), tuple(heldout), cut)


def _held_out(model: TaskModel, task: Task, examples: Sequence[Example]) -> tuple[HeldOutTask | None, CutReport]:
    if not examples:
        return None, CutReport(limit=model.max_input)
    with _answering(model, task, examples):
        short, report = within_limits(model, examples)
        read = model.encode(short)
    return HeldOutTask(_as_answered(task, model.head), tuple(short), tuple(read)) if short else None, report


def longest_input(model: TaskModel, mixture: Mixture) -> int:
    """Tokens of the mixture's longest input as the model reads it; the model must have the shared head."""
    longest = 0
    for task in mixture.tasks:
        examples = [item.example for item in (*mixture.train, *mixture.heldout) if item.task == task.name]
        with _answering(model, task.to_task(), examples):
            longest = max(longest, *(len(ids) for item in model.encode(examples) for ids in item.inputs))
    return longest


def cut_of(model: TaskModel, mixture: Mixture) -> dict[str, TaskCut]:
    """What `encode_mixture` would cut of each task, by its settings; the model needs the shared head but no weights.

    Raises InputError where a long input is an error.
    """
    found = {}
    for task in mixture.tasks:
        own = {split: list(_own(mixture, split, task.name).values()) for split in _SPLITS}
        found[task.name] = TaskCut(*(_losses(model, task.to_task(), own[split], split)[1] for split in _SPLITS))
    return found


def as_read(model: TaskModel, mixture: Mixture) -> Mixture:
    """The mixture with inputs as the model reads them: long ones are shorter, or left out where its settings say so.

    The counts of its tasks stay those of the whole mixture. Errors as of `cut_of`.
    """
    return replace(mixture, train=_as_read(model, mixture, "train"), heldout=_as_read(model, mixture, "heldout"))


def _as_read(model: TaskModel, mixture: Mixture, split: Split) -> tuple[MixedExample, ...]:
    read: dict[int, MixedExample] = {}
    for task in mixture.tasks:
        own = _own(mixture, split, task.name)
        lost, report = _losses(model, task.to_task(), list(own.values()), split)
        if report.cut:
            with _answering(model, task.to_task(), list(own.values())):
                pairs = zip(own.items(), lost, strict=True)
                own = {at: _shortened(model, example, split) if tokens else example for (at, example), tokens in pairs}
        for (index, example), tokens in zip(own.items(), lost, strict=True):
            if not tokens or not report.dropped:
                read[index] = MixedExample(task.name, example)
    return tuple(read[index] for index in sorted(read))


def _shortened(model: TaskModel, example: Example, split: Split) -> Example:
    """The example with its input as short as the model reads it."""

    def fits(text: str) -> bool:
        return not text.strip() or not _fits(model, [replace(example, input=text, columns=())], split)[0].lost

    return shortened(example, fits) or shortened(replace(example, columns=()), fits) or example


def _own(mixture: Mixture, split: Split, task: str) -> dict[int, Example]:
    """The examples of a task in a split, by their places there."""
    items = mixture.train if split == "train" else mixture.heldout
    return {index: item.example for index, item in enumerate(items) if item.task == task}


def _losses(model: TaskModel, task: Task, examples: Sequence[Example], split: Split) -> tuple[list[int], CutReport]:
    """Tokens that the input of each example of a task loses."""
    if not examples:
        return [], CutReport(limit=model.max_input)
    with _answering(model, task, examples):
        fits = _fits(model, examples, split)
        return [fit.lost for fit in fits], kept_within(model, examples, fits)[1]


def _fits(model: TaskModel, examples: Sequence[Example], split: Split) -> Sequence[Fit | Encoded]:
    """Those trained on need room for their answer, held-out ones for their longest choice."""
    return model.encode(examples) if split == "train" else model.fits(examples)


def _as_answered(task: Task, head: Head) -> Task:
    """The task as the shared head answers it: a head that compares choices treats every task as multiple choice."""
    return replace(task, kind="multiple_choice") if head.kind == "multiple_choice" else task


@contextmanager
def _answering(model: TaskModel, task: Task, examples: Sequence[Example]) -> Iterator[None]:
    """Read examples of one task: a model that answers in text gets the task's head inside the block."""
    shared = model.head
    try:
        if shared.kind == "generation":
            model.set_head(head_for(task.kind, examples), seed=0)
        yield
    except InputError as error:
        raise InputError(f"'{task.name}' cannot be trained on: {error}") from None
    finally:
        if shared.kind == "generation":
            model.set_head(shared, seed=0)
