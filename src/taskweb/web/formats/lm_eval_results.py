"""Runs from results of lm-evaluation-harness: each model is a source, each evaluation task a target.

The harness writes `results_<date>.json` into a folder per model: `results` has the metrics of each task by name and filter
(`acc,none`, `acc_stderr,none`), `config.model_args` and `model_name` the model, `versions` and `n-shot` what was evaluated.
Which model is the base, and which of several metrics counts, is declared (`Declared`).
Format: docs/interface.md and lm_eval/evaluator.py of EleutherAI/lm-evaluation-harness.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, first_line
from taskweb.web.formats.declared import (
    CellReader,
    Declared,
    ask_baseline,
    ask_setup,
    ask_unit_of,
    is_score,
    refuse_if_asked,
    shown,
)
from taskweb.web.formats.import_warnings import OnProgress, OnWarning, warn
from taskweb.web.formats.units import Units, UnitSurvey
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.run import Run, Scalar
from taskweb.web.records.run_json import is_number

_MOST_BYTES_A_FILE = 64 * 1024 * 1024
_DEEPEST = 6
_MODEL_KEYS = ("peft", "delta", "lora_local_path")  # what was trained, where it is not a whole model
_BASE_KEYS = ("pretrained", "model", "path", "engine")


@dataclass(frozen=True, slots=True)
class _Result:
    """One metric of one model on one task.

    filter: of the harness, such as strict-match; conditions: what defines the task; is_chat: whether prompts were in the
    model's chat template.
    """

    model: str
    task: str
    metric: str
    filter: str
    value: Any
    error: float | None
    conditions: tuple[tuple[str, Scalar], ...]
    versions: tuple[tuple[str, str], ...]
    is_chat: bool
    file: str


def import_lm_eval(
    path: Path,
    declared: Declared,
    *,
    units: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Yield a run for each model and task of a result file, or of all `results*.json` in a folder and its folders.

    A model that was evaluated twice gives replicates. on_progress is called with the files done and their number. Only the
    chosen figures are in memory. Raises InputError for what is not declared, for files that are no results, and where a task
    was evaluated in two ways (version, number of examples in the prompt, limit).
    """
    name = name or str(path)
    with reading(name, "a folder of results of lm-evaluation-harness"):
        declared_units = Units.declared(units)
        files = result_files(path)
        if not files:
            raise InputError(f"{name} contains no results*.json. Give the folder that lm_eval --output_path wrote to.")
        found, groups = _all_results(files, on_progress)
        found = _of_groups(found, groups, declared, name)
        chosen = _of_metrics(found, declared, name, declared_units)
        _require_one_way(chosen, name)
        _require_baseline(chosen, declared, name)
        survey = UnitSurvey(declared_units)
        cells = CellReader(declared, declared_units)
        values = [cells.number(one.value, f"{one.file}, task '{one.task}', {one.metric}") for one in chosen]
        for row, (one, value) in enumerate(zip(chosen, values, strict=True), start=1):
            if is_score(value):
                survey.add(one.metric, value, declared.setup or "", row)
        survey.check(name, on_warning)
        _warn_of_chats(chosen, name, on_warning)
        yield from _runs(chosen, values, declared, cells)


def result_files(path: Path) -> list[Path]:
    """The result files of a folder, by name; a file is its own result."""
    if not path.is_dir():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        if len(Path(folder).relative_to(path).parts) >= _DEEPEST:
            folders.clear()
        folders.sort()
        found += [Path(folder) / file for file in sorted(names) if file.startswith("results") and file.endswith(".json")]
    return found


def _all_results(files: list[Path], on_progress: OnProgress | None) -> tuple[list[_Result], dict[str, set[str]]]:
    found: list[_Result] = []
    groups: dict[str, set[str]] = {}
    for number, file in enumerate(files, start=1):
        content = _object_in(file)
        found += _results_of(content, str(file))
        subtasks = content.get("group_subtasks")
        for group, parts in subtasks.items() if isinstance(subtasks, dict) else ():
            if isinstance(parts, list) and parts:
                groups.setdefault(group, set()).update(part for part in parts if isinstance(part, str))
        if on_progress is not None:
            on_progress(number, len(files))
    return found, groups


def _object_in(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        content = opened.read(_MOST_BYTES_A_FILE + 1)
    if len(content) > _MOST_BYTES_A_FILE:
        raise InputError(f"{file} is longer than {_MOST_BYTES_A_FILE // 2**20} MiB, so it is not read as results.")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{file} is not valid JSON: {first_line(fault)}. Fix or remove it.") from None
    if not isinstance(found, dict) or not isinstance(found.get("results"), dict):
        raise InputError(f"{file} has no object 'results', so lm-evaluation-harness did not write it. Remove it.")
    return found


def _results_of(content: Mapping[str, Any], file: str) -> Iterator[_Result]:
    model = _model_of(content, file)
    versions = tuple(
        (package, version)
        for package, key in (("lm_eval", "lm_eval_version"), ("transformers", "transformers_version"))
        if isinstance(version := content.get(key), str)
    )
    config = content.get("config")
    limit = config.get("limit") if isinstance(config, dict) else None
    is_chat = bool(content.get("chat_template"))
    for task, figures in content["results"].items():
        if not isinstance(figures, dict):
            raise InputError(f"{file}: the results of the task '{task}' are not an object.")
        conditions = tuple(
            (key, value)
            for key, value in (
                ("task_version", _entry(content, "versions", task)),
                ("n_shot", _entry(content, "n-shot", task)),
                ("limit", limit),
            )
            if isinstance(value, str | int | float)
        )
        for key, value in _metrics_of(figures):
            metric, _, chosen = key.partition(",")
            error = figures.get(f"{metric}_stderr,{chosen}" if chosen else f"{metric}_stderr")
            yield _Result(model, task, metric, chosen, value, _error(error), conditions, versions, is_chat, file)


def _error(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _entry(content: Mapping[str, Any], name: str, task: str) -> Any:
    of_tasks = content.get(name)
    return of_tasks.get(task) if isinstance(of_tasks, dict) else None


def _metrics_of(figures: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The metrics of a task: keys with a filter after a comma, or, in files of older versions, those with a number."""
    filtered = any("," in key for key in figures)
    for key, value in figures.items():
        is_figure = ("," in key) if filtered else is_number(value)
        if is_figure and not key.partition(",")[0].endswith("_stderr") and key != "alias":
            yield key, value


def _model_of(content: Mapping[str, Any], file: str) -> str:
    """The adapter that was evaluated, or else the model, with its revision where one is named: a checkpoint is a model."""
    config = content.get("config")
    given = config.get("model_args") if isinstance(config, dict) else None
    arguments = given if isinstance(given, dict) else _parsed_arguments(given)
    trained = [arguments.get(key) for key in _MODEL_KEYS]
    whole = [content.get("model_name"), *(arguments.get(key) for key in _BASE_KEYS)]
    revision = arguments.get("revision")
    at = f"@{revision.strip()}" if isinstance(revision, str) and revision.strip() not in ("", "main") else ""
    for found, suffix in [(found, "") for found in trained] + [(found, at) for found in whole]:
        if isinstance(found, str) and found.strip():
            return found.strip() + suffix
    raise InputError(f"{file} names no model: neither 'model_name' nor 'pretrained' in config.model_args. Add model_name.")


def _parsed_arguments(text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        return {}
    return {key.strip(): value for key, separator, value in (part.partition("=") for part in text.split(",")) if separator}


def _of_groups(found: list[_Result], groups: Mapping[str, set[str]], declared: Declared, name: str) -> list[_Result]:
    """Groups of tasks either whole or in their parts, as declared."""
    tasks = {one.task for one in found}
    present = {group: parts for group, parts in groups.items() if group in tasks and parts & (tasks | set(groups))}
    if not present:
        return found
    if declared.groups is None:
        refuse_if_asked(
            name, [f"--groups whole or --groups parts: whether {shown(sorted(present))} count as one target or as several"]
        )
    parts_of_all = (part for group in present for part in _all_parts(group, groups))
    left_out = set(present if declared.groups == "parts" else parts_of_all)
    return [one for one in found if one.task not in left_out]


def _all_parts(group: str, groups: Mapping[str, set[str]]) -> set[str]:
    parts: set[str] = set()
    waiting = [group]
    while waiting:
        for part in groups.get(waiting.pop(), ()):
            if part not in parts and part != group:
                parts.add(part)
                waiting.append(part)
    return parts


def _of_metrics(found: list[_Result], declared: Declared, name: str, units: Units) -> list[_Result]:
    """The result of the declared metric for each task; a task with one metric needs no declaration."""
    by_task: dict[str, dict[str, str]] = {}
    for one in found:
        by_task.setdefault(one.task, {})[_key(one)] = one.metric
    chosen: dict[str, str] = {}
    asked: list[str] = ask_setup(declared) + ask_baseline(declared, "the model that is the base, as the results name it")
    undecided = []
    for task, keys in by_task.items():
        wanted = declared.by_target.get(task) or declared.metric
        fitting = [key for key, metric in keys.items() if wanted is None or wanted in (key, metric)]
        if len(fitting) == 1:
            chosen[task] = fitting[0]
        else:
            undecided.append(f"{task} has {shown(list(keys))}")
    if undecided:
        asked.append(f"--metric NAME or TASK=NAME: which metric counts ({'; '.join(undecided[:3])}{_more(undecided)})")
    asked += ask_unit_of(units, dict.fromkeys(by_task[task][key] for task, key in chosen.items()))
    refuse_if_asked(name, asked)
    if not chosen:
        raise InputError(f"{name} contains no metric of any task.")
    return [one for one in found if chosen[one.task] == _key(one)]


def _more(items: list[str]) -> str:
    return f"; and {len(items) - 3} more tasks" if len(items) > 3 else ""


def _key(one: _Result) -> str:
    return f"{one.metric},{one.filter}" if one.filter else one.metric


def _require_one_way(chosen: list[_Result], name: str) -> None:
    first: dict[str, _Result] = {}
    for one in chosen:
        known = first.setdefault(one.task, one)
        if known.conditions != one.conditions:
            ways = [
                ", ".join(f"{key} {value}" for key, value in other.conditions) or "nothing stated" for other in (known, one)
            ]
            raise InputError(
                f"{name}: the task '{one.task}' was evaluated in two ways: {ways[0]} in {known.file}, {ways[1]} in {one.file}. "
                "Such scores cannot be compared: import the files from two folders, with two setups."
            )


def _warn_of_chats(chosen: list[_Result], name: str, on_warning: OnWarning | None) -> None:
    chats = list(dict.fromkeys(one.model for one in chosen if one.is_chat))
    plain = list(dict.fromkeys(one.model for one in chosen if not one.is_chat))
    if chats and plain:
        warn(
            on_warning,
            f"{name}: evaluated with a chat template: {shown(chats)}; without: {shown(plain)}. Gains between them contain the "
            "effect of the template.",
        )


def _require_baseline(chosen: list[_Result], declared: Declared, name: str) -> None:
    models = list(dict.fromkeys(one.model for one in chosen))
    for baseline in declared.baselines:
        if baseline not in models:
            raise InputError(f"{name} has no model '{baseline}', so there is no baseline. Models: {shown(models)}.")


def _runs(chosen: list[_Result], values: list[float | None], declared: Declared, cells: CellReader) -> Iterator[Run]:
    setup = declared.setup_record()
    replicates: Counter[tuple[str, str]] = Counter()
    for one, value in zip(chosen, values, strict=True):
        if value is None:
            continue
        source = None if declared.is_baseline(one.model) else declared.source(one.model, one.file)
        place = (source or "", one.task)
        yield Run(
            setup,
            one.task,
            source,
            None,
            {one.metric: cells.stored(value, one.metric, setup.name, f"{one.file}, task '{one.task}'")},
            replicate=replicates[place],
            definition={**dict(one.conditions), **({"filter": one.filter} if one.filter not in ("", "none") else {})},
            versions=dict(one.versions),
            extra={} if one.error is None else {f"{one.metric}_stderr": one.error},
        )
        replicates[place] += 1
