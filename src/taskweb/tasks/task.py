"""The records that all stages share: an example, a task, and a named set of examples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from taskweb.errors import ParameterError

TaskKind = Literal["classification", "multiple_choice", "regression", "span_qa", "generation"]
TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
METRICS_OF_KIND: Mapping[TaskKind, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "multiple_choice": ("accuracy",),
    "regression": ("pearson", "spearmanr"),
    "span_qa": ("exact_match", "token_f1"),
    "generation": ("exact_match", "token_f1"),
}
"""The metrics of a task whose metrics nobody states."""
Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True, slots=True)
class Example:
    """One example of a task.

    input: the prompt, not empty.
    output: the correct answer; None where the example is unlabelled.
    choices: the answers to choose from; None where the answer is free.
    references: all correct answers, `output` first, where a free answer has several; () otherwise. The best match counts.
    columns: where the texts of the row's columns stand in the input, begin and end, so that the longest can be cut; () where
    the input is one text. cut: the side of a column that is cut; None is right, and left for a column that ends the input.
    row: where the example stands in its file, from 1, for messages. The last three are no part of the content.
    """

    input: str
    output: str | None = None
    choices: tuple[str, ...] | None = None
    columns: tuple[tuple[int, int], ...] = field(default=(), compare=False, repr=False)
    cut: Side | None = field(default=None, compare=False, repr=False)
    row: int | None = field(default=None, compare=False, repr=False)
    references: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[str, ...]:
        """All correct answers of a labelled example; () for an unlabelled one."""
        return self.references or (() if self.output is None else (self.output,))


@dataclass(frozen=True, slots=True)
class HubSource:
    """The place of a task's examples on the Hugging Face Hub.

    input_columns are joined by a newline; label_column contains the answer or, with `label_names`, an index into them.
    choice_columns, where given, contain the choices of each row. split: to train on; evaluation_split: with public labels.
    """

    id: str
    config: str | None
    split: str
    revision: str
    input_columns: tuple[str, ...]
    label_column: str | None = None
    label_names: tuple[str, ...] | None = None
    choice_columns: tuple[str, ...] | None = None
    evaluation_split: str = "validation"

    @property
    def reference(self) -> str:
        """`hf:<id>[/<config>]@<revision>`."""
        return f"hf:{'/'.join(filter(None, (self.id, self.config)))}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its kind, its metrics, and the origin of its examples.

    metrics: names from `taskweb.metrics`; the task score is their mean.
    transfer_metrics: the metrics that relative gains (PC, PM) are computed from, usually the same.
    train_examples: size of the training split, 0 where the task has none.
    description: what to do in this task, in plain words. illustration: one made-up example.
    """

    name: str
    kind: TaskKind
    metrics: tuple[str, ...]
    category: str = "other"
    title: str = ""
    transfer_metrics: tuple[str, ...] = ()
    train_examples: int = 0
    licence: str = "unstated"
    citation: str = ""
    description: str = ""
    illustration: Example | None = None
    zero_shot_only: bool = False
    hub: HubSource | None = None

    def __post_init__(self) -> None:
        if self.kind not in TASK_KINDS:
            raise ParameterError(
                f"The kind of task '{self.name}' must be one of {', '.join(TASK_KINDS)}. Got '{self.kind}' instead."
            )
        if not self.metrics:
            raise ParameterError(f"Task '{self.name}' names no metric.")
        if not self.transfer_metrics:
            object.__setattr__(self, "transfer_metrics", self.metrics)


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """Examples of one task, as loaded.

    name: the task's name (a file's stem, a data set's id).
    origin: where they came from, for messages.
    skipped: rows with an empty input.
    total: rows read (reading stops early when the first ones are taken).
    kind: of the task, where the file shows it; None otherwise.
    reading: how the file was understood, in one line; empty where there was none.
    """

    name: str
    examples: tuple[Example, ...]
    origin: str
    skipped: int = 0
    total: int = 0
    digest: str = field(default="")
    kind: TaskKind | None = None
    reading: str = ""

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", digest_of(self.examples))

    def __len__(self) -> int:
        return len(self.examples)


def digest_of(examples: tuple[Example, ...]) -> str:
    """SHA-256 over the content of examples, in order; equal content gives an equal digest."""
    sha = hashlib.sha256()
    for example in examples:
        content = (example.input, example.output, example.choices, *((example.references,) if example.references else ()))
        sha.update(repr(content).encode("utf-8", "backslashreplace"))
    return sha.hexdigest()
