"""Reading the tasks of a plan: files and a synthetic family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskweb.errors import TaskWebError
from taskweb.experiments.plan import ROLES, PlannedTask
from taskweb.experiments.plan_values import Faults
from taskweb.metrics import METRICS
from taskweb.tasks import Columns, Task, catalogue
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.synthetic import find_family
from taskweb.tasks.task import TASK_KINDS, TaskKind

TASK_KEYS = ("file", "eval_file", "role", "kind", "metrics", "input", "output", "choices")
METRICS_OF_KIND: Mapping[TaskKind, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "multiple_choice": ("accuracy",),
    "regression": ("pearson", "spearmanr"),
    "span_qa": ("exact_match", "token_f1"),
    "generation": ("exact_match", "token_f1"),
}
SYNTHETIC_KEYS = ("preset", "tasks")


def read_tasks(raw: Mapping[str, Any], folder: Path, faults: Faults) -> tuple[dict[str, PlannedTask], str | None]:
    """The tasks by name, and the preset of the family that some of them come from. Relative paths start from `folder`."""
    tables = faults.table("", "tasks", raw)
    tasks = {name: found for name, entry in tables.items() if (found := _task(name, entry, folder, faults))}
    synthetic = faults.table("", "synthetic", raw, SYNTHETIC_KEYS)
    preset = faults.text("[synthetic] ", synthetic, "preset")
    if preset is not None:
        tasks |= _synthetic_tasks(preset, synthetic, tasks, faults)
    elif synthetic:
        faults.add("[synthetic] names no preset")
    if not tasks and not faults.found:
        faults.add("it names no tasks; add [tasks.NAME] tables or [synthetic]")
    return tasks, preset


def _task(name: str, entry: Any, folder: Path, faults: Faults) -> PlannedTask | None:
    where = f"[tasks.{name}] "
    if not isinstance(entry, dict):
        faults.add(f"{where}must be a table such as {{file = '{name}.jsonl'}}")
        return None
    faults.known_keys(where, entry, TASK_KEYS)
    file, eval_file = (_file(where, entry, key, folder, faults) for key in ("file", "eval_file"))
    if file is None:
        file = folder / f"{name}.jsonl"
        if "file" not in entry:
            faults.add(f"{where}names no file")
    task = _record(where, name, entry, faults)
    role = faults.choice(where, entry, "role", ROLES, "both")
    inputs = faults.texts(where, entry, "input") or ("input",)
    output, choices = (faults.text(where, entry, key, key) or key for key in ("output", "choices"))
    columns = Columns(inputs, output, choices, frozenset(entry[key] for key in ("output", "choices") if key in entry))
    return None if task is None else PlannedTask(task, file, eval_file, columns, role)


def _file(where: str, entry: Mapping[str, Any], key: str, folder: Path, faults: Faults) -> Path | None:
    given = faults.text(where, entry, key)
    if given is None:
        return None
    path = folder / Path(given).expanduser()
    try:
        if kind_of_path(path) != "file":
            faults.add(f"{where.strip()}: there is no file {path}")
    except TaskWebError as fault:
        faults.add(f"{where.strip()}: {fault}")
    return path


def _record(where: str, name: str, entry: Mapping[str, Any], faults: Faults) -> Task | None:
    """The task by its name in the catalogue, where it is known there, with what the entry says differently."""
    known = catalogue().get(name)
    kind = faults.choice(where, entry, "kind", TASK_KINDS, known.kind if known else "classification")
    own = known.metrics if known and kind == known.kind else METRICS_OF_KIND[kind]
    computed = [metric for metric, how in METRICS.items() if how.function]
    metrics = faults.names(where, entry, "metrics", "metric", computed) or own
    try:
        return Task(name, kind, metrics, known.category if known else "other")
    except TaskWebError as fault:
        faults.add(f"{where.strip()}: {fault}")
        return None


def _synthetic_tasks(
    preset: str, entry: Mapping[str, Any], tasks: Mapping[str, PlannedTask], faults: Faults
) -> dict[str, PlannedTask]:
    try:
        family = find_family(preset)
    except TaskWebError as fault:
        faults.add(f"[synthetic]: {fault}")
        return {}
    chosen = faults.names("[synthetic] ", entry, "tasks", "task of the family", family.task_names)
    names = family.task_names if chosen is None else chosen
    for name in names:
        if name in tasks:
            faults.add(f"two tasks are named '{name}': one of the synthetic family and one of [tasks]")
    return {name: PlannedTask(task) for name, task in family.tasks_by_name.items() if name in names}
