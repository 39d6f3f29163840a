"""What must be right before anything is trained: the plan, its examples and its models, all errors told at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import TaskWebError
from taskweb.experiments.digests import remember
from taskweb.experiments.plan import Plan, PlannedSetup
from taskweb.experiments.plan_file import plan_and_errors, refuse
from taskweb.experiments.task_data import TaskData, task_data_and_errors, texts_of


@dataclass(frozen=True, slots=True)
class CutInputs:
    """How many of a task's inputs are longer than the models of these setups read; their ends are cut."""

    setups: tuple[str, ...]
    task: str
    cut: int
    examples: int


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """A plan without errors, its examples, and what of them is cut (counted where it was asked for)."""

    plan: Plan
    data: Mapping[str, TaskData]
    cut: tuple[CutInputs, ...] = ()


def check_plan(path: Path, *, count_cut: bool = False) -> CheckedPlan:
    """Read a plan and try all of it but training: examples, configurations, tokenizers, and whether examples fit the models.

    Loads no weights; of a model on the Hub it fetches configuration and tokenizer only. A part that is at error hides only
    what depends on it. Raises InputError for a file that is no TOML, ParameterError that lists all errors.
    """
    plan, errors = plan_and_errors(path, methods=True)
    if not plan.store.parent.is_dir():
        errors.append(f"the store {plan.store} cannot be made: there is no folder {plan.store.parent}")
    data, data_errors = task_data_and_errors(plan)
    remember(plan, data)
    errors += [error for name, error in data_errors.items() if not _mentions(f"[tasks.{name}]", errors)]
    setups = [setup for setup in plan.setups if not _mentions(f'[setups."{setup.name}"]', errors)]
    cut: list[CutInputs] = []
    for alike in _by_model(setups):
        model_errors, found = _of_model(alike, data, count_cut)
        errors += model_errors
        cut += found
    refuse(path, errors)
    return CheckedPlan(plan, data, tuple(cut))


def _mentions(where: str, errors: Iterable[str]) -> bool:
    return any(error.startswith(where) for error in errors)


def _by_model(setups: Iterable[PlannedSetup]) -> list[list[PlannedSetup]]:
    """Setups that read examples alike: those of one model."""
    gathered: dict[tuple[str, str | None, int | None], list[PlannedSetup]] = {}
    for setup in setups:
        gathered.setdefault((*setup.loaded_from, setup.max_input), []).append(setup)
    return list(gathered.values())


def _of_model(setups: list[PlannedSetup], data: Mapping[str, TaskData], count_cut: bool) -> tuple[list[str], list[CutInputs]]:
    """What is wrong between one model and the examples, and what it cuts."""
    from taskweb.experiments.execute import head_of
    from taskweb.models.outline import check_examples, cut_inputs, outline_of

    first, names = setups[0], tuple(setup.name for setup in setups)
    where = f'[setups."{first.name}"]'
    try:
        name, revision = first.loaded_from
        model = outline_of(name, revision=revision, max_input=first.max_input, texts=texts_of(data))
    except TaskWebError as error:
        return [f"{where}: {error}"], []
    errors: list[str] = []
    cut: list[CutInputs] = []
    for task, own in data.items():
        try:
            model.set_head(head_of(own), seed=0)
            examples = list(dict.fromkeys((*own.source, *own.target, *own.evaluation)))
            check_examples(model, examples)
            if count_cut and (count := cut_inputs(model, examples)):
                cut.append(CutInputs(names, task, count, len(examples)))
        except TaskWebError as error:
            errors.append(f"{where} with [tasks.{task}]: {error}")
    return errors, cut
