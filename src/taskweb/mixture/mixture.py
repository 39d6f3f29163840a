"""The records of a mixture: tasks, rates, and sampled examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from taskweb.errors import unknown_name
from taskweb.html_tables import Column, html_table
from taskweb.tasks import Example, Task
from taskweb.tasks.task import TaskKind


@dataclass(frozen=True, slots=True)
class MixedExample:
    """An example and the name of its task."""

    task: str
    example: Example

    def to_row(self) -> dict[str, Any]:
        """The example as a row of a mixture's files: task, input, output, choices, and references where it has some."""
        example = self.example
        choices = None if example.choices is None else list(example.choices)
        row = {"task": self.task, "input": example.input, "output": example.output, "choices": choices}
        return row | ({"references": list(example.references)} if example.references else {})


@dataclass(frozen=True, slots=True)
class MixtureTask:
    """One task of a mixture.

    rate: the requested share, in (0, 1]; the rates of all tasks sum to 1. available: distinct examples that could be trained
    on, before sampling. train, held_out: examples in the mixture. dropped: rows dropped before, by reason (see `cleaning`).
    origin: where the examples came from. source_digest: SHA-256 over all that was read there. licence, citation: of the data,
    as in the catalogue; `unknown` outside it.
    """

    name: str
    kind: TaskKind
    metrics: tuple[str, ...]
    rate: float
    available: int
    train: int
    held_out: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    origin: str = ""
    source_digest: str = ""
    licence: str = "unknown"
    citation: str = ""

    def to_task(self) -> Task:
        """The task, to train on and to evaluate."""
        return Task(self.name, self.kind, self.metrics, licence=self.licence, citation=self.citation)


@dataclass(frozen=True)
class Mixture:
    """Tasks, and the examples sampled from each. Every task has at least one training example.

    train: in the order of the file, in which tasks are shuffled together. heldout: to evaluate on while training; no normalised
    input text is in both splits. record: how the mixture was made, plain JSON values (see `manifest`).
    """

    tasks: tuple[MixtureTask, ...]
    train: tuple[MixedExample, ...] = field(repr=False)
    heldout: tuple[MixedExample, ...] = field(repr=False)
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def task(self, name: str) -> MixtureTask:
        """The task of that name. Raises NameNotFoundError with the closest match."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise unknown_name("task in the mixture", name, [task.name for task in self.tasks])

    @property
    def rates(self) -> dict[str, float]:
        """The requested rate of each task, by name."""
        return {task.name: task.rate for task in self.tasks}

    @property
    def realised(self) -> dict[str, float]:
        """The share that each task has of the training examples, by name."""
        total = sum(task.train for task in self.tasks)
        return {task.name: task.train / total for task in self.tasks}

    def _repr_html_(self) -> str:
        """The tasks and their shares as a table, for notebooks."""
        realised = self.realised
        columns = (
            Column("task", [task.name for task in self.tasks]),
            Column("kind", [task.kind for task in self.tasks]),
            Column("requested", [task.rate for task in self.tasks], ".1%"),
            Column("realised", [realised[task.name] for task in self.tasks], ".1%"),
            Column("examples", [task.train for task in self.tasks], ",d"),
            Column("held out", [task.held_out for task in self.tasks], ",d"),
            Column("available", [task.available for task in self.tasks], ",d"),
        )
        facts = f"{len(self.train):,} training examples, {len(self.heldout):,} held out"
        return html_table(f"Mixture of {len(self.tasks):,} tasks", facts, columns, rows=len(self.tasks))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over tasks and examples, in order, whatever the format of the files."""
        sha = hashlib.sha256()
        for line in self._content():
            sha.update(line.encode("utf-8", "surrogatepass"))
        return sha.hexdigest()

    def _content(self) -> Iterator[str]:
        yield from (json.dumps([task.name, task.kind, list(task.metrics)]) + "\n" for task in self.tasks)
        for split in (self.train, self.heldout):
            yield "\n"
            yield from rows_as_lines(split)


def rows_as_lines(examples: Iterable[MixedExample]) -> Iterator[str]:
    """The rows of a mixture as JSON lines, each with its newline."""
    for example in examples:
        yield json.dumps(example.to_row(), ensure_ascii=False) + "\n"
