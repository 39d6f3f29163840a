"""Reading the setups of a plan: models, methods, and the settings for targets and sources."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, TaskWebError, unknown_name
from taskweb.experiments.plan import MEASURES, PlannedSetup
from taskweb.experiments.plan_values import PlanErrors, plan_path
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.text_settings import TextSettings
from taskweb.training.settings import TrainingSettings, check_storage

_STAMP_BYTES = 1 << 20
FAMILIES = ("seq2seq", "causal", "encoder")
PLAN_DTYPES = ("float32", "bfloat16", "float16")
LOAD_INS = ("8bit", "4bit")
SETUP_KEYS = (
    "model",
    "revision",
    "method",
    "method_parameters",
    "family",
    "prompt_format",
    "system",
    "template_options",
    "max_input",
    "overflow",
    "end_mark",
    "router_loss",
    "dtype",
    "load_in",
    "carry_head",
    "measures",
    "seeds",
    "training",
    "source_training",
    "tasks",
    "targets",
    "sources",
)
_SETTINGS = tuple(f.name for f in dataclasses.fields(TrainingSettings))


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What setups refer to: the folder that relative paths start from, the tasks, and the seeds of the plan."""

    folder: Path
    tasks: Collection[str]
    seeds: tuple[int, ...]


def read_setup(name: str, entry: Any, context: PlanContext, errors: PlanErrors, *, methods: bool) -> PlannedSetup | None:
    """One setup; None where it has errors that prevent it. methods: check the method, with torch.

    Settings for a target are `training`, changed by `tasks.NAME` and then by `targets.NAME`. Settings for a source are
    `training`, changed by `source_training`, then `tasks.NAME`, then `sources.NAME`.
    """
    where = f'[setups."{name}"] '
    if not isinstance(entry, dict):
        errors.add(f"{where}must be a table with a model and a method")
        return None
    errors.known_keys(where, entry, SETUP_KEYS)
    method = errors.text(where, entry, "method") or name.partition("/")[2].partition("@")[0]
    parameters = dict(errors.table(where, "method_parameters", entry))
    if not method:
        errors.add(
            f'{where}names no adaptation method. Call it "{name.partition("@")[0]}/finetune", or add method = "finetune"'
        )
    elif methods:
        _check_method(where, method, parameters, errors)
    training = _changes(where, "training", entry, errors)
    source_training = {**training, **_changes(where, "source_training", entry, errors)}
    changes = {key: _changes_by_task(where, key, entry, context.tasks, errors) for key in ("tasks", "targets", "sources")}
    by_target = _by_task(f"{where}targets.", training, changes["tasks"], changes["targets"], errors)
    by_source = _by_task(f"{where}sources.", source_training, changes["tasks"], changes["sources"], errors)
    base = _settings(f"{where}training", training, errors)
    source = base if source_training == training else _settings(f"{where}source_training", source_training, errors)
    model = _model(where, entry, context.folder, errors)
    own_seeds = errors.seeds(where, entry, context.seeds)
    revision, text = errors.text(where, entry, "revision"), _text(where, entry, errors)
    family, dtype, load_in = _storage(where, entry, errors)
    carry_head = errors.flag(where, entry, "carry_head")
    used = [settings for settings in (base, source, *by_target.values(), *by_source.values()) if settings is not None]
    for precision in dict.fromkeys(settings.precision for settings in used):
        try:
            check_storage(precision, dtype, method=method, load_in=load_in)
        except TaskWebError as error:
            errors.add(f"{where.strip()}: {error}")
    if base is None or source is None or model is None or text is None:
        return None
    model_folder = _folder_of(model, context.folder)
    if model_folder is not None:
        if revision is not None:
            errors.add(f"{where}revision is only for models on the Hub, and {model_folder} is a folder")
        revision = folder_stamp(model_folder)
    return PlannedSetup(
        name=name,
        model=model,
        revision=revision,
        method=method,
        method_parameters=parameters,
        text=text,
        training=base,
        source_training=source,
        by_target=by_target,
        by_source=by_source,
        seeds=own_seeds,
        carry_head=carry_head,
        measures=errors.choice(where, entry, "measures", MEASURES, "transfer"),
        folder=None if model_folder is None else str(model_folder),
        family=family,
        dtype=dtype,
        load_in=load_in,
    )


def _text(where: str, entry: Mapping[str, Any], errors: PlanErrors) -> TextSettings | None:
    """How the setup reads examples; None where the settings cannot be."""
    values: dict[str, Any] = {
        "system": errors.text(where, entry, "system"),
        "template_options": dict(errors.table(where, "template_options", entry)),
        "max_input": errors.count_or_none(where, entry, "max_input", least=8),
        "end_mark": errors.flag(where, entry, "end_mark", default=True),
        "router_loss": errors.flag(where, entry, "router_loss"),
    }
    for key in ("prompt_format", "overflow"):
        if (found := errors.text(where, entry, key)) is not None:
            values[key] = found
    try:
        return TextSettings(**values)
    except TaskWebError as error:
        errors.add(f"{where.strip()}: {error}")
        return None


def _storage(where: str, entry: Mapping[str, Any], errors: PlanErrors) -> tuple[str | None, str, str | None]:
    """Family, dtype and quantization. A plan states its dtype, so that every machine measures the same."""
    family = errors.choice_or_none(where, entry, "family", FAMILIES)
    dtype = errors.choice(where, entry, "dtype", PLAN_DTYPES, "float32")
    return family, dtype, errors.choice_or_none(where, entry, "load_in", LOAD_INS)


def folder_stamp(folder: Path) -> str:
    """A digest of a model's files: SHA-256 over their names and sizes, and the first and last MiB of each."""
    sha = hashlib.sha256()
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix in (".safetensors", ".json", ".txt", ".model") and file.is_file():
            size = file.stat().st_size
            sha.update(f"{file.name} {size} ".encode())
            with file.open("rb") as content:
                sha.update(content.read(_STAMP_BYTES))
                content.seek(max(0, size - _STAMP_BYTES))
                sha.update(content.read(_STAMP_BYTES))
    return sha.hexdigest()[:16]


def _check_method(where: str, method: str, parameters: Mapping[str, Any], errors: PlanErrors) -> None:
    from taskweb.models import method_of

    try:
        method_of(method, parameters)
    except TaskWebError as error:
        errors.add(f"{where.strip()}: {error}")


def _model(where: str, entry: Mapping[str, Any], folder: Path, errors: PlanErrors) -> str | None:
    model = errors.text(where, entry, "model")
    if model is None:
        if "model" not in entry:
            errors.add(f"{where}has no model; give a Hub id or a folder")
        return None
    try:
        model_folder = _folder_of(model, folder)
        if model_folder is not None and kind_of_path(model_folder) != "folder":
            errors.add(f"{where.strip()}: there is no model in {model_folder}")
    except InputError as error:
        errors.add(f"{where}model: {error}")
        return None
    return model


def _folder_of(model: str, folder: Path) -> Path | None:
    """The folder that a model's name stands for, relative to the plan's; None for other names. Raises InputError."""
    return plan_path(folder, model) if model.startswith((".", "/", "~", "$", "%")) else None


def _changes(where: str, key: str, entry: Mapping[str, Any], errors: PlanErrors) -> dict[str, Any]:
    return {name: value for name, value in errors.table(where, key, entry, _SETTINGS).items() if name in _SETTINGS}


def _changes_by_task(
    where: str, key: str, entry: Mapping[str, Any], tasks: Collection[str], errors: PlanErrors
) -> dict[str, dict[str, Any]]:
    table = errors.table(where, key, entry)
    for task in table:
        if task not in tasks:
            errors.add(f"{where}{key}: {unknown_name('task', task, tasks)}")
    return {task: _changes(f"{where}{key}.", task, table, errors) for task in table}


def _by_task(
    where: str,
    base: Mapping[str, Any],
    both: Mapping[str, Mapping[str, Any]],
    own: Mapping[str, Mapping[str, Any]],
    errors: PlanErrors,
) -> dict[str, TrainingSettings]:
    """The settings of tasks that have their own in one role: `base`, changed by `both` (for both roles), then by `own`."""
    values = {task: {**base, **both.get(task, {}), **own.get(task, {})} for task in dict.fromkeys((*both, *own))}
    made = {task: _settings(f"{where}{task}", given, errors) for task, given in values.items()}
    return {task: settings for task, settings in made.items() if settings is not None}


def _settings(where: str, values: Mapping[str, Any], errors: PlanErrors) -> TrainingSettings | None:
    try:
        return TrainingSettings(**values)
    except TaskWebError as error:
        errors.add(f"{where}: {error}")
    return None
