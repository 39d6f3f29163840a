"""The target of a ranking: a task of the web, or examples from a file, the Hub, standard input or memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import InputError, unknown_name
from taskweb.tasks import Example, ExampleSet, Sampling, load_examples
from taskweb.tasks.lm_eval_tasks import is_lm_eval_task
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.reading.formats import format_of_name
from taskweb.web import TransferWeb
from taskweb.workflows.candidate_sources import load_source
from taskweb.workflows.rank_settings import TargetSettings

FEW_EXAMPLES = 8  # with fewer, rankings vary a lot (benchmarks/README.md)


@dataclass(frozen=True, slots=True)
class TaskOfWeb:
    """The task of the web with this name, whatever files there are."""

    name: str

    def __str__(self) -> str:
        return self.name


Target = str | Path | TaskOfWeb | Sequence[Example]


def task_of_web(target: Target, web: TransferWeb) -> str | None:
    """The task of the web that the target names; None for a target given as examples. A file goes before a name.

    Raises NameNotFoundError for a name of neither.
    """
    if isinstance(target, TaskOfWeb):
        if target.name not in web.tasks:
            raise unknown_name("task in the web", target.name, web.tasks)
        return target.name
    if not isinstance(target, str) or target == "-" or target.startswith("hf:"):
        return None
    kind = kind_of_path(Path(target))
    if kind == "file":
        return None
    if target in web.targets or target in web.sources:
        return target
    if kind == "folder":
        return None  # the loader says whether the folder is a data set
    looks_like_path = os.sep in target or format_of_name(target) is not None or is_lm_eval_task(target)
    if looks_like_path:
        return None  # the loader says that there is no such file
    raise unknown_name("file, nor task in the web,", target, web.tasks)


def examples_to_rank_by(target: Target, settings: TargetSettings) -> ExampleSet:
    """The examples of the target, at most as many as the settings sample. Raises InputError where there are none."""
    if isinstance(target, str | Path):
        return _loaded(target, settings)
    examples = _checked(target)
    usable = tuple(example for example in examples if example.input.strip())
    if not usable:
        raise InputError("The target contains no usable examples. Give at least one Example with text in its input.")
    chosen = usable[: settings.sampling.limit]
    return ExampleSet(settings.name or "target", chosen, "the target", len(examples) - len(usable), len(examples))


def _checked(target: object) -> Sequence[Example]:
    if not isinstance(target, Sequence) or not all(isinstance(example, Example) for example in target):
        raise InputError("The target must be a path, the name of a task in the web, or a list of taskweb.Example.")
    return target


def all_examples(
    target: Target | None, task: str | None, settings: TargetSettings, places: Mapping[str, str]
) -> ExampleSet | None:
    """All examples of the target that can be found, so that none of them is trained on: more than a ranking uses.

    task: the task of the web that the target names. places: of the sources; that of the task has its examples.
    """
    if target is None:
        return None
    if task is not None:
        return load_source(task, places[task], settings.columns, Sampling(None)) if task in places else None
    if not isinstance(target, str | Path):
        return ExampleSet(settings.name or "target", tuple(_checked(target)), "the target")
    return _loaded(target, dataclasses.replace(settings, sampling=Sampling(None)))


def target_notes(examples: ExampleSet | None) -> list[str]:
    """What a person should know about the target's examples: rows that were skipped, and that they are few."""
    if examples is None:
        return []
    notes = []
    if examples.skipped:
        notes.append(f"{examples.skipped} rows of {examples.origin} have no input and were skipped")
    if len(examples) < FEW_EXAMPLES:
        count = "1 target example" if len(examples) == 1 else f"{len(examples)} target examples"
        notes.append(f"only {count}: with fewer than {FEW_EXAMPLES} the ranking varies a lot")
    return notes


def printable(text: str) -> str:
    """The text without control characters, which could write anywhere on a terminal."""
    return "".join(character for character in text if character.isprintable()) or "target"


def _loaded(target: str | Path, settings: TargetSettings) -> ExampleSet:
    return load_examples(
        target,
        columns=settings.columns,
        sampling=settings.sampling,
        file_format=settings.file_format,
        name=settings.name,
        hub_split=settings.hub_split,
    )
