"""Checks before anything is trained: of the plan, its examples and its models. All errors are reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import TaskWebError
from taskweb.experiments.digests import cache_digests
from taskweb.experiments.plan import Plan, PlannedSetup
from taskweb.experiments.plan_file import plan_and_errors, refuse
from taskweb.experiments.resolution import resolved_plan
from taskweb.experiments.task_data import TaskData, task_data_and_errors, texts_of


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
    """A plan without errors, its examples, and their overflow (if it was counted)."""

    plan: Plan
    data: Mapping[str, TaskData]
    cut: tuple[CutInputs, ...] = ()


def check_plan(path: Path, *, count_cut: bool = False) -> CheckedPlan:
    """Read a plan and check everything but training: examples, configurations, tokenizers, and whether examples fit the models.

    Loads no weights; of a model on the Hub it fetches configuration and tokenizer only. A wrong part hides only the errors of
    what depends on it. count_cut: count inputs that are cut. Raises InputError for a file that is not TOML, ParameterError that
    lists all errors.
    """
    plan, errors = plan_and_errors(path, methods=True)
    if not plan.store.parent.is_dir():
        errors.append(f"the store {plan.store} cannot be created: there is no folder {plan.store.parent}")
    data, data_errors = task_data_and_errors(plan)
    cache_digests(plan, data)
    errors += [error for name, error in data_errors.items() if not _mentions(f"[tasks.{name}]", errors)]
    plan, unresolved = resolved_plan(plan)
    errors += [error for error in unresolved if not _mentions(error.partition("]")[0], errors)]
    setups = [setup for setup in plan.setups if not _mentions(f'[setups."{setup.name}"]', errors)]
    cut: list[CutInputs] = []
    for same_model in _by_model(setups):
        model_errors, found = _check_model(same_model, data, count_cut)
        errors += model_errors
        cut += found
    refuse(path, errors)
    return CheckedPlan(plan, data, tuple(cut))


def _mentions(where: str, errors: Iterable[str]) -> bool:
    return any(error.startswith(where) for error in errors)


def _by_model(setups: Iterable[PlannedSetup]) -> list[list[PlannedSetup]]:
    """The setups of each model: they read examples in the same way."""
    gathered: dict[tuple[object, ...], list[PlannedSetup]] = {}
    for setup in setups:
        gathered.setdefault((*setup.loaded_from, setup.family, repr(setup.text)), []).append(setup)
    return list(gathered.values())


def _check_model(
    setups: list[PlannedSetup], data: Mapping[str, TaskData], count_cut: bool
) -> tuple[list[str], list[CutInputs]]:
    """The errors of one model with the examples, and the inputs that it cuts."""
    from taskweb.experiments.setup_models import head_of
    from taskweb.models.input_limits import within_limits
    from taskweb.models.outline import check_examples, outline_of

    first, names = setups[0], tuple(setup.name for setup in setups)
    where = f'[setups."{first.name}"]'
    try:
        name, revision = first.loaded_from
        model = outline_of(name, revision=revision, text=first.text, family=first.family, texts=texts_of(data))
    except TaskWebError as error:
        return [f"{where}: {error}"], []
    errors: list[str] = []
    cut: list[CutInputs] = []
    for task, own in data.items():
        try:
            model.set_head(head_of(own), seed=0)
            examples = list(dict.fromkeys((*own.source, *own.target, *own.evaluation)))
            check_examples(model, examples)
            if count_cut or first.text.overflow == "error":
                _, report = within_limits(model, examples)
                if report:
                    cut.append(
                        CutInputs(
                            names, task, report.cut, report.inputs, report.dropped, report.tokens, report.most, report.limit
                        )
                    )
        except TaskWebError as error:
            errors.append(f"{where} with [tasks.{task}]: {error}")
    return errors, cut
