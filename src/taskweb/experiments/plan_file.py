"""Reading a plan from one TOML file, and checking all of it before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskweb.errors import CombinedError, InputError
from taskweb.experiments.plan import PAIR_MODES, CheckpointLimits, ExampleCounts, PairPlan, Plan, PlannedTask
from taskweb.experiments.plan_setups import PlanContext, read_setup
from taskweb.experiments.plan_tasks import read_tasks
from taskweb.experiments.plan_values import PlanErrors
from taskweb.experiments.specs import pairs_of
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.small_files import text_of, toml_of

PLAN_KEYS = (
    "store",
    "seeds",
    "threads",
    "fuse",
    "examples",
    "folder",
    "ready",
    "tasks",
    "setups",
    "pairs",
    "synthetic",
    "budget",
    "checkpoints",
)
EXAMPLE_KEYS = ("source", "target", "evaluation")
PAIR_KEYS = ("mode", "listed", "share", "seed", "sources", "targets")
BUDGET_KEYS = ("runs", "hours")
CHECKPOINT_KEYS = ("seconds", "most_gib")


def read_plan(path: Path) -> Plan:
    """Read and check a plan; relative paths in it start from its folder.

    Raises InputError for a file that is not TOML, CombinedError that lists all errors of the plan.
    """
    plan, errors = plan_and_errors(path)
    refuse(path, errors)
    return plan


def plan_and_errors(path: Path, *, methods: bool = False) -> tuple[Plan, list[str]]:
    """A plan and its errors; with errors, the plan consists of the parts that could be read.

    methods: check adaptation methods and their parameters too, which loads torch.
    Raises InputError for a file that is not TOML.
    """
    if (kind := kind_of_path(path)) != "file":
        what = f"{path} is a folder, not a plan" if kind == "folder" else f"There is no plan {path}"
        raise InputError(f"{what}. Give a TOML file.")
    if path.suffix == ".db":
        raise InputError(f"{path} is a results store, not a plan. Give the plan's TOML file.")
    raw = toml_of(text_of(path), f"The plan {path}")
    errors = PlanErrors()
    plan = _plan(path, raw, errors, methods)
    if not errors.found and not pairs_of(plan):
        errors.add("it has no pair of a source and a target; see [pairs] and the roles of tasks")
    return plan, errors.found


def refuse(path: Path, errors: Sequence[str]) -> None:
    """Raise CombinedError that lists the errors of a plan, if any. Advice that several errors share is given once."""
    if errors:
        raise CombinedError(f"The plan {path} cannot be run", _without_repeats(errors))


def _without_repeats(errors: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for error in errors:
        first, *others = error.rstrip(".").split(". ")
        yield ". ".join([first, *(sentence for sentence in others if sentence not in seen)])
        seen.update(others)


def _plan(path: Path, raw: Mapping[str, Any], errors: PlanErrors, methods: bool) -> Plan:
    errors.known_keys("", raw, PLAN_KEYS)
    tasks, preset = read_tasks(raw, path.parent, errors)
    seeds = errors.seeds("", raw, (1,))
    setups = errors.table("", "setups", raw)
    context = PlanContext(path.parent, tasks, seeds)
    read = [read_setup(name, entry, context, errors, methods=methods) for name, entry in setups.items()]
    if not setups:
        errors.add('it has no setups; add a [setups."model/method"] table')
    counts = errors.table("", "examples", raw, EXAMPLE_KEYS)
    limits = ExampleCounts(*(errors.count("[examples] ", counts, key, getattr(ExampleCounts(), key)) for key in EXAMPLE_KEYS))
    budget = errors.table("", "budget", raw, BUDGET_KEYS)
    return Plan(
        name=path.stem,
        store=errors.path("", raw, "store", path.parent, f"{path.stem}.db") or path.with_suffix(".db"),
        seeds=seeds,
        tasks=tasks,
        setups=tuple(setup for setup in read if setup is not None),
        examples=limits,
        pairs=_pairs(raw, tasks, errors, budget),
        threads=errors.count("", raw, "threads", 1),
        fuse="auto" if raw.get("fuse") == "auto" else errors.count_or_none("", raw, "fuse") or "auto",
        most_runs=errors.count_or_none("[budget] ", budget, "runs"),
        synthetic=preset,
        most_hours=errors.number_or_none("[budget] ", budget, "hours"),
        checkpoints=_checkpoints(raw, errors),
    )


def _checkpoints(raw: Mapping[str, Any], errors: PlanErrors) -> CheckpointLimits:
    table, default = errors.table("", "checkpoints", raw, CHECKPOINT_KEYS), CheckpointLimits()
    found = {key: errors.number_or_none("[checkpoints] ", table, key, least=0.0) for key in CHECKPOINT_KEYS}
    return dataclasses.replace(default, **{key: value for key, value in found.items() if value is not None})


def _pairs(raw: Mapping[str, Any], tasks: Mapping[str, PlannedTask], errors: PlanErrors, budget: Mapping[str, Any]) -> PairPlan:
    where, table = "[pairs] ", errors.table("", "pairs", raw, PAIR_KEYS)
    mode = errors.choice(where, table, "mode", PAIR_MODES, "all")
    listed = table.get("listed", [])
    if not (isinstance(listed, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in listed)):
        errors.add(f"{where}listed must be a list of pairs of source and target, such as [['snli', 'rte']]")
        listed = []
    for source, target in listed:
        errors.names(f"{where}listed: ", {"pair": [source, target]}, "pair", "task", tasks)
        if source == target:
            errors.add(f"{where}listed: '{source}' cannot be its own source")
    sources, targets = (errors.names(where, table, key, "task", tasks) for key in ("sources", "targets"))
    for role, names in (
        ("source", [*(sources or ()), *(s for s, _ in listed)]),
        ("target", [*(targets or ()), *(t for _, t in listed)]),
    ):
        for name in dict.fromkeys(map(str, names)):
            if name in tasks and tasks[name].role not in ("both", role):
                errors.add(f"{where}'{name}' has the role {tasks[name].role} and cannot be a {role}")
    share = table.get("share", 1.0)
    if isinstance(share, bool) or not (isinstance(share, int | float) and 0 < share <= 1):
        errors.add(f"{where}share must be above 0 and at most 1. Got {share}")
        share = 1.0
    for needed, key in (("listed", "listed"), ("sampled", "share"), ("rows", "targets")):
        if mode == needed and key not in table:
            errors.add(f'{where}mode = "{mode}" needs {key} = {"0.5" if key == "share" else "[...]"}')
        if mode != needed and key in table and key in ("listed", "share"):
            errors.add(f'{where}{key} is only for mode = "{needed}"')
    if mode == "chosen" and not budget:
        errors.add(f'{where}mode = "chosen" needs [budget] with hours or runs: it chooses until they are spent')
    seed = errors.count(where, table, "seed", 0, least=0)
    pairs = tuple((str(source), str(target)) for source, target in listed)
    return PairPlan(mode, pairs, float(share), seed, sources, targets)
