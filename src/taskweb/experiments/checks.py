"""Checks before anything is trained: of the plan, its examples and its models. All errors are reported at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from taskweb.errors import InputError, TaskWebError, WebError
from taskweb.experiments.digests import cache_digests
from taskweb.experiments.memory_needs import SetupMemory, check_devices, check_quantized, memory_of, memory_warning
from taskweb.experiments.plan import Plan, PlannedSetup
from taskweb.experiments.plan_file import plan_and_errors, refuse
from taskweb.experiments.resolution import resolved_plan
from taskweb.experiments.task_data import TaskData, left_out_note, task_data_and_errors, texts_of
from taskweb.tasks import Example
from taskweb.web.store import RunStore

if TYPE_CHECKING:
    from taskweb.models.base import Encoded, TaskModel
    from taskweb.models.named_base import OtherBase


@dataclass(frozen=True, slots=True)
class CutInputs:
    """Overflow: how many inputs of a task are longer than the models of these setups read, and by how many tokens.

    examples: all of the task. dropped: they are left out instead of cut. tokens: over the limit, of all; most: of one; limit:
    most tokens of an input.
    """

    setups: tuple[str, ...]
    task: str
    cut: int
    examples: int
    dropped: int = 0
    tokens: int = 0
    most: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """A plan without errors, its examples, the memory that its setups need, and overflow (if it was counted).

    other_bases: ready sources that name another base than the model of a setup.
    """

    plan: Plan
    data: Mapping[str, TaskData]
    cut: tuple[CutInputs, ...] = ()
    memory: tuple[SetupMemory, ...] = ()
    other_bases: tuple[OtherBase, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before anything is trained, a sentence each."""
        from taskweb.models.named_base import other_bases_note

        found = (left_out_note(self.data), memory_warning(self.memory), other_bases_note(self.other_bases))
        return tuple(filter(None, found))


def _store_errors(store: Path) -> list[str]:
    """Why what is at the place of the store is none; empty where it is one, and where there is nothing.

    What is wrong with a store or its disk is said by the run that writes to it.
    """
    if not os.path.lexists(store):
        return []
    try:
        RunStore.open(store, read_only=True).close()
    except WebError:
        return []
    except InputError as fault:
        return [str(fault).rstrip(".")]
    return []


def check_plan(path: Path, *, count_cut: bool = False, workers: int = 1) -> CheckedPlan:
    """Read a plan and check everything but training: examples, configurations, tokenizers, and whether examples fit the models.

    Loads no weights; of a model on the Hub it fetches configuration and tokenizer only. A wrong part hides only the errors of
    what depends on it. count_cut: count inputs that are cut. workers: runs at once on this machine, 0 where they are done on
    others, about whose devices nothing is said. Raises InputError for a file that is not TOML, ParameterError that lists all
    errors.
    """
    plan, errors = plan_and_errors(path, methods=True)
    if not plan.store.parent.is_dir():
        errors.append(f"the store {plan.store} cannot be created: there is no folder {plan.store.parent}. Make it first")
    errors += _store_errors(plan.store)
    data, data_errors = task_data_and_errors(plan)
    cache_digests(plan, data)
    errors += [error for name, error in data_errors.items() if not _mentions(f"[tasks.{name}]", errors)]
    plan, unresolved = resolved_plan(plan)
    errors += [error for error in unresolved if not _mentions(error.partition("]")[0], errors)]
    errors += [
        f'[setups."{setup.name}"]: an encoder has no head for a target that it was not trained on. Leave measures out'
        for setup in plan.setups
        if setup.trains_only_sources and setup.resolved.get("family") == "encoder"
    ]
    errors += check_devices(plan.setups)
    setups = [setup for setup in plan.setups if not _mentions(f'[setups."{setup.name}"]', errors)]
    if workers:
        errors += check_quantized(setups)
    found = [_check_model(same_model, data, count_cut, workers) for same_model in _by_model(setups)]
    refuse(path, [*errors, *(error for one in found for error in one.errors)])
    memory = {name: own for one in found for name, own in one.memory.items()}
    cut = tuple(own for one in found for own in one.cut)
    others = tuple(own for one in found for own in one.other_bases)
    return CheckedPlan(plan, data, cut, tuple(memory[setup.name] for setup in plan.setups if setup.name in memory), others)


def _mentions(where: str, errors: Iterable[str]) -> bool:
    return any(error.startswith(where) for error in errors)


def _by_model(setups: Iterable[PlannedSetup]) -> list[list[PlannedSetup]]:
    """The setups of each model: they read examples in the same way."""
    gathered: dict[tuple[object, ...], list[PlannedSetup]] = {}
    for setup in setups:
        gathered.setdefault((*setup.loaded_from, setup.family, repr(setup.text)), []).append(setup)
    return list(gathered.values())


@dataclass
class _Found:
    """What the check of one model found; memory by setup."""

    errors: list[str] = field(default_factory=list)
    cut: list[CutInputs] = field(default_factory=list)
    memory: dict[str, SetupMemory] = field(default_factory=dict)
    other_bases: list[OtherBase] = field(default_factory=list)


def _check_model(setups: list[PlannedSetup], data: Mapping[str, TaskData], count_cut: bool, workers: int) -> _Found:
    """Try one model with the examples."""
    from taskweb.experiments.setup_models import head_of
    from taskweb.models.input_limits import within_limits
    from taskweb.models.loading import is_tiny
    from taskweb.models.outline import check_examples, outline_of

    first, names = setups[0], tuple(setup.name for setup in setups)
    where, found = f'[setups."{first.name}"]', _Found()
    name, revision = first.loaded_from
    texts = texts_of(data)
    if is_tiny(name) and not any(map(str.split, texts)):
        return found  # made from texts, of which there are none because no task can be read
    try:
        model = outline_of(name, revision=revision, text=first.text, family=first.family, texts=texts)
    except TaskWebError as error:
        return _Found([f"{where}: {error}"])
    found.errors += _ready_errors(setups, model, data)
    found.other_bases += [] if found.errors else _other_bases(name, data)
    for task, own in data.items():
        if not (own.source or own.target):  # a ready source without examples
            continue
        try:
            model.set_head(head_of(own), seed=0)
            examples = list(dict.fromkeys((*own.source, *own.target, *own.evaluation)))
            encoded = dict(zip(examples, check_examples(model, examples), strict=True))
            if count_cut or first.text.overflow == "error":
                _, report = within_limits(model, examples)
                if report:
                    found.cut.append(
                        CutInputs(
                            names, task, report.cut, report.inputs, report.dropped, report.tokens, report.most, report.limit
                        )
                    )
            _note_memory(setups, model, task, own, encoded, workers, found)
        except TaskWebError as error:
            found.errors.append(f"{where} with [tasks.{task}]: {error}")
    return found


def _ready_errors(setups: list[PlannedSetup], model: TaskModel, data: Mapping[str, TaskData]) -> list[str]:
    """Why ready sources do not fit the setups of a model."""
    from taskweb.models import method_of
    from taskweb.models.ready_weights import check_ready

    errors = []
    for setup in setups:
        for task, own in data.items():
            try:
                if own.ready is not None:
                    check_ready(model, method_of(setup.method, setup.method_parameters), own.ready)
            except TaskWebError as error:
                errors.append(f'[setups."{setup.name}"] with [tasks.{task}]: {str(error).rstrip(".")}')
    return errors


def _other_bases(model: str, data: Mapping[str, TaskData]) -> list[OtherBase]:
    """The ready sources that name another base than the model of these setups."""
    from taskweb.models.named_base import other_base

    found = (other_base(task, own.ready, model) for task, own in data.items() if own.ready is not None)
    return [own for own in found if own is not None]


def _note_memory(
    setups: list[PlannedSetup],
    model: TaskModel,
    task: str,
    data: TaskData,
    encoded: Mapping[Example, Encoded],
    workers: int,
    found: _Found,
) -> None:
    """Keep the larger of a setup's memory so far and that of training on a task."""
    for setup in setups:
        roles = ((setup.source_settings_for(task), data.source), (setup.settings_for(task), data.target))
        trainings = [(settings, [encoded[example] for example in own]) for settings, own in roles if own]
        if not trainings:
            continue
        needed, known = memory_of(setup, model, trainings, workers), found.memory.get(setup.name)
        if known is None or needed.peak > known.peak:
            found.memory[setup.name] = needed
