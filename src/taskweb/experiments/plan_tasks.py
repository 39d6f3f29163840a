"""Reading the tasks of a plan: files, a folder of files, data sets on the Hub, and a synthetic family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from taskweb.errors import TaskWebError, unknown_name
from taskweb.experiments.plan import ROLES, PlannedTask
from taskweb.experiments.plan_values import PlanErrors, plan_path
from taskweb.experiments.ready_sources import HUB, checked_place, ready_places
from taskweb.metrics import METRICS
from taskweb.tasks import Columns, Task, catalogue, example_files
from taskweb.tasks.hub import parse_hub_reference
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.reading.named_columns import MEANINGS
from taskweb.tasks.synthetic import find_family
from taskweb.tasks.task import METRICS_OF_KIND, TASK_KINDS
from taskweb.tasks.templates import Template, read_templates, templated_tasks, templates_of

TASK_KEYS = (
    "file",
    "eval_file",
    "hub",
    "split",
    "eval_split",
    "role",
    "kind",
    "metrics",
    "input",
    "output",
    "choices",
    "labels",
    "answers_are",
    "templates",
    "group_column",
    "group_pattern",
    "ready",
)
SYNTHETIC_KEYS = ("preset", "tasks")
_ONLY_WITH = {"eval_file": "file", "split": "hub", "eval_split": "hub"}
_EITHER = (
    ("file", "hub"),
    ("group_column", "group_pattern"),
    ("labels", "answers_are"),
    *(("templates", key) for key in ("input", "output", "choices", "labels", "answers_are")),
)


def read_tasks(raw: Mapping[str, Any], base: Path, errors: PlanErrors) -> tuple[dict[str, PlannedTask], str | None]:
    """The tasks by name, and the preset of the family that some of them come from. Relative paths start from `base`.

    `tasks` is a table of tables, or a list of names, which is the same as empty tables. Without it, all files of `folder` are
    tasks.
    """
    reader = _TaskReader(base, _files_of(raw, base, errors), errors)
    tasks = {name: found for name, entry in _entries(raw, reader).items() if (found := reader.read(name, entry))}
    tasks |= _ready_tasks(raw, base, tasks, errors)
    synthetic = errors.table("", "synthetic", raw, SYNTHETIC_KEYS)
    preset = errors.text("[synthetic] ", synthetic, "preset")
    if preset is not None:
        tasks |= _synthetic_tasks(preset, synthetic, tasks, errors)
    elif synthetic:
        errors.add("[synthetic] has no preset")
    if not tasks and not errors.found:
        errors.add("it has no tasks; add [tasks.NAME] tables, a folder of task files, or [synthetic]")
    return tasks, preset


def _ready_tasks(
    raw: Mapping[str, Any], base: Path, tasks: Mapping[str, PlannedTask], errors: PlanErrors
) -> dict[str, PlannedTask]:
    """The tasks whose weights are in the plan's folder of ready sources; those without examples are only sources."""
    folder = errors.path("", raw, "ready", base) if "ready" in raw else None
    if folder is None:
        return {}
    try:
        found = ready_places([str(folder)])
    except TaskWebError as error:
        errors.add(f"ready: {error}")
        return {}
    known = {name: tasks[name] for name in found if name in tasks}
    others = {name: PlannedTask(_task_of(name), role="source") for name in found if name not in tasks}
    return {name: replace(task, ready=task.ready or found[name]) for name, task in (known | others).items()}


def _task_of(name: str) -> Task:
    """The catalogue's task of that name, or one that is generated, as a source without examples is nothing else."""
    return catalogue().get(name) or Task(name, "generation", METRICS_OF_KIND["generation"])


def _files_of(raw: Mapping[str, Any], base: Path, errors: PlanErrors) -> dict[str, Path] | None:
    """The files of the plan's folder by task; None without a folder."""
    if "folder" not in raw:
        return None
    folder = errors.path("", raw, "folder", base)
    if folder is None:
        return {}
    try:
        return example_files(folder)
    except TaskWebError as error:
        errors.add(f"folder: {error}")
        return {}


def _entries(raw: Mapping[str, Any], reader: _TaskReader) -> Mapping[str, Any]:
    given = raw.get("tasks")
    if given is None:
        return {name: {} for name in reader.files or ()}
    if isinstance(given, list):
        if len(set(map(str, given))) == len(given) and all(isinstance(name, str) and name for name in given):
            return {name: {} for name in given}
        reader.errors.add(f"tasks must be tables, or a list of different names. Got {given}")
        return {}
    return reader.errors.table("", "tasks", raw)


class _TaskReader:
    """Reads single tasks of a plan. files: those of the plan's folder, None without one."""

    def __init__(self, base: Path, files: Mapping[str, Path] | None, errors: PlanErrors) -> None:
        self.base = base
        self.files = files
        self.errors = errors

    def read(self, name: str, entry: Any) -> PlannedTask | None:
        where, errors = f"[tasks.{name}] ", self.errors
        if not isinstance(entry, dict):
            errors.add(f"{where}must be a table such as {{file = '{name}.jsonl'}}")
            return None
        errors.known_keys(where, entry, TASK_KEYS)
        for key, needed in _ONLY_WITH.items():
            if key in entry and needed not in entry and not (needed == "hub" and self._is_of_catalogue(entry)):
                errors.add(f"{where}{key} needs {needed}")
        for one, other in _EITHER:
            if one in entry and other in entry:
                errors.add(f"{where}has both {one} and {other}; keep one")
        task = self._record(where, name, entry)
        ready = self._ready(where, entry)
        alone = ready is not None and not {"file", "hub"} & set(entry) and name not in (self.files or {})
        file, hub, splits = (None, None, (None, None)) if alone else self._place(where, name, entry)
        if alone and entry.get("role", "source") != "source":
            errors.add(f"{where}has no examples, only ready weights, so its role is source. Add file or hub for others")
        return (
            None
            if task is None
            else PlannedTask(
                task,
                role=errors.choice(where, entry, "role", ROLES, "source" if alone else "both"),
                file=file,
                eval_file=self._file(where, entry, "eval_file"),
                hub=hub,
                split=errors.text(where, entry, "split", splits[0]),
                eval_split=errors.text(where, entry, "eval_split", splits[1]),
                columns=self._columns(where, entry),
                labels=errors.texts(where, entry, "labels"),
                templates=self._templates(where, name, entry),
                group_pattern=self._pattern(where, entry),
                ready=ready,
            )
        )

    def _ready(self, where: str, entry: Mapping[str, Any]) -> str | None:
        given = self.errors.text(where, entry, "ready")
        if given is None:
            return None
        try:
            return checked_place(given if given.startswith(HUB) else str(plan_path(self.base, given)))
        except TaskWebError as error:
            self.errors.add(f"{where}ready: {str(error).rstrip('.')}")
            return None

    def _is_of_catalogue(self, entry: Mapping[str, Any]) -> bool:
        """Whether the task's examples are the catalogue's data set."""
        return entry.get("hub") is True or (self.files is None and "file" not in entry and "hub" not in entry)

    def _place(
        self, where: str, name: str, entry: Mapping[str, Any]
    ) -> tuple[Path | None, str | None, tuple[str | None, str | None]]:
        """File or data set on the Hub, and the splits to train and to evaluate on."""
        nowhere = self.base / f"{name}.jsonl", None, (None, None)  # the task stays known, so that others may name it
        if "file" in entry:
            return self._file(where, entry, "file") or nowhere[0], None, (None, None)
        if self._is_of_catalogue(entry):
            known = catalogue().get(name)
            if known is not None and known.hub is not None:
                return None, known.hub.reference, (known.hub.split, known.hub.evaluation_split)
            if known is not None:
                self.errors.add(f"{where}has no file, and its examples are not on the Hub; add file = '...'")
            elif "hub" in entry:
                self.errors.add(f"{where}hub = true: {unknown_name('task of the catalogue', name, catalogue())}")
            else:
                self.errors.add(f"{where}has no file and no data set (hub), and is not in the catalogue")
            return nowhere
        if "hub" in entry:
            return None, self._reference(where, entry), (None, None)
        files = self.files or {}
        if files and name not in files:
            hint = unknown_name("file for the task", name, files)
            self.errors.add(f"{where}is not in the folder: {hint} Or set hub = true for the data set of the catalogue")
        return files.get(name, nowhere[0]), None, (None, None)

    def _reference(self, where: str, entry: Mapping[str, Any]) -> str:
        given = entry["hub"]
        if not (isinstance(given, str) and given.startswith("hf:")):
            self.errors.add(f"{where}hub must be true or hf:<owner>/<name>[/<config>][@<revision>]. Got {given}")
            return "hf:unknown"
        try:
            parse_hub_reference(given)
        except TaskWebError as error:
            self.errors.add(f"{where}hub: {error}")
        return given

    def _file(self, where: str, entry: Mapping[str, Any], key: str) -> Path | None:
        path = self.errors.path(where, entry, key, self.base)
        if path is None:
            return None
        try:
            if kind_of_path(path) != "file":
                self.errors.add(f"{where.strip()}: there is no file {path}")
        except TaskWebError as error:
            self.errors.add(f"{where.strip()}: {error}")
        return path

    def _record(self, where: str, name: str, entry: Mapping[str, Any]) -> Task | None:
        """The task of that name in the catalogue, if there is one, with the changes of the entry."""
        known, errors = catalogue().get(name), self.errors
        kind = errors.choice(where, entry, "kind", TASK_KINDS, known.kind if known else "classification")
        own = known.metrics if known and kind == known.kind else METRICS_OF_KIND[kind]
        computed = [metric for metric, how in METRICS.items() if how.function]
        metrics = errors.names(where, entry, "metrics", "metric", computed) or own
        try:
            return Task(name, kind, metrics, known.category if known else "other")
        except TaskWebError as error:
            errors.add(f"{where.strip()}: {error}")
            return None

    def _columns(self, where: str, entry: Mapping[str, Any]) -> Columns:
        inputs = self.errors.texts(where, entry, "input") or ("input",)
        output, choices = (self.errors.text(where, entry, key, key) or key for key in ("output", "choices"))
        named = frozenset(str(entry[key]) for key in ("output", "choices") if key in entry)
        named |= frozenset(inputs) if "input" in entry else frozenset()
        groups = self.errors.texts(where, entry, "group_column") or ()
        return Columns(
            inputs, output, choices, named, groups, self.errors.choice(where, entry, "answers_are", MEANINGS, "auto")
        )

    def _templates(self, where: str, name: str, entry: Mapping[str, Any]) -> tuple[Template, ...]:
        """The templates that the entry names; the task's first one for the catalogue's data set; none for rows of prompts."""
        errors, given = self.errors, entry.get("templates")
        if given is None:
            by_template = self._is_of_catalogue(entry) and name in templated_tasks()
            return templates_of(name).templates[:1] if by_template else ()
        try:
            if isinstance(given, str) and given != "all":
                return read_templates(plan_path(self.base, given), name).templates
            known = {template.name: template for template in templates_of(name).templates}
        except TaskWebError as error:
            errors.add(f"{where}templates: {error}")
            return ()
        chosen = tuple(known) if given == "all" else errors.names(where, entry, "templates", "template", known) or ()
        return tuple(known[one] for one in chosen if one in known)

    def _pattern(self, where: str, entry: Mapping[str, Any]) -> str | None:
        given = self.errors.text(where, entry, "group_pattern")
        try:
            if given is not None and re.compile(given).groups == 0:
                self.errors.add(f"{where}group_pattern must contain a group, (...), around the underlying text. Got {given}")
        except re.error as error:
            self.errors.add(f"{where}group_pattern is not a valid regular expression: {error}. Got {given}")
        return given


def _synthetic_tasks(
    preset: str, entry: Mapping[str, Any], tasks: Mapping[str, PlannedTask], errors: PlanErrors
) -> dict[str, PlannedTask]:
    try:
        family = find_family(preset)
    except TaskWebError as error:
        errors.add(f"[synthetic]: {error}")
        return {}
    chosen = errors.names("[synthetic] ", entry, "tasks", "task of the family", family.task_names)
    names = family.task_names if chosen is None else chosen
    for name in names:
        if name in tasks:
            errors.add(f"two tasks are named '{name}': one of the synthetic family and one of [tasks]")
    return {name: PlannedTask(task) for name, task in family.tasks_by_name.items() if name in names}
