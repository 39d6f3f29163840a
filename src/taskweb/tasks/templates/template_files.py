"""Templates from files: our own TOML file per task, a user's file in the same form, and promptsource's YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, unknown_name
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.small_files import text_of, toml_of
from taskweb.tasks.task import SIDES
from taskweb.tasks.templates.promptsource import parse_promptsource
from taskweb.tasks.templates.template import Template, TemplateSet

PROMPTED = "prompted"
_FILE_KEYS = ("like", "answer", "output", "references", "cut", "example", "template")
_TEMPLATE_KEYS = ("name", "input", "choices", "answer", "output", "references", "strip", "cut")


def templated_tasks() -> tuple[str, ...]:
    """The tasks with templates, sorted."""
    names = (entry.name for entry in files("taskweb.tasks").joinpath("data/templates").iterdir())
    return tuple(sorted({name.removesuffix(".toml") for name in names if name.endswith(".toml")} - {PROMPTED}))


@cache
def templates_of(task: str) -> TemplateSet:
    """The templates of a task; those of `prompted` are for examples that are prompts already.

    Raises NameNotFoundError for a task without templates.
    """
    if task not in (*templated_tasks(), PROMPTED):
        raise unknown_name("task with templates", task, templated_tasks())
    text = files("taskweb.tasks").joinpath(f"data/templates/{task}.toml").read_text(encoding="utf-8")
    return parse_templates(text, task, f"the templates of {task}")


def read_templates(path: Path, task: str) -> TemplateSet:
    """Templates for a task from a file: TOML in the form of our own, or promptsource's templates.yaml.

    Raises InputError that says what is wrong for any other file.
    """
    if kind_of_path(path) != "file":
        raise InputError(f"There is no file {path}. Give a file of templates, .toml or promptsource's .yaml.")
    text = text_of(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return parse_promptsource(text, task, str(path))
    return parse_templates(text, task, str(path))


def parse_templates(text: str, task: str, origin: str) -> TemplateSet:
    """Parse templates in TOML; `like` uses those of another task. Raises InputError for unknown keys and missing ones."""
    content = toml_of(text, origin)
    _refuse_unknown(origin, content, _FILE_KEYS)
    if "like" in content:
        other = templates_of(str(content["like"]))
        shared = tuple(replace(template, task=task) for template in other.templates)
        return TemplateSet(task, shared, content.get("example", other.example))
    common = {key: value for key, value in content.items() if key not in ("example", "template")}
    entries = content.get("template", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"The templates in {origin} must be tables, each under [[template]].")
    found = tuple(_template(entry, task, origin, common) for entry in entries)
    if not found:
        raise InputError(f"{origin} contains no [[template]]. Write at least one.")
    if twice := {template.name for template in found if [other.name for other in found].count(template.name) > 1}:
        raise InputError(f"{origin} contains two templates named '{min(twice)}'. Give each a name of its own.")
    return TemplateSet(task, found, content.get("example"))


def _template(entry: Mapping[str, Any], task: str, origin: str, common: Mapping[str, Any]) -> Template:
    _refuse_unknown(f"a template in {origin}", entry, _TEMPLATE_KEYS)
    if lacking := [key for key in ("name", "input") if not isinstance(entry.get(key), str)]:
        raise InputError(f"A template in {origin} needs a text for '{lacking[0]}'.")
    choices = entry.get("choices")
    if not isinstance(choices, str | list | None):
        raise InputError(f"The choices of '{entry['name']}' in {origin} must be a list of texts, or one template.")

    def text(key: str) -> str | None:
        value = entry.get(key, common.get(key))
        return None if value is None else str(value)

    cut = entry.get("cut", common.get("cut"))
    if cut is not None and cut not in SIDES:
        raise unknown_name(f"side of a column to cut in {origin}", str(cut), SIDES)
    return Template(
        name=entry["name"],
        task=task,
        input=entry["input"],
        choices=tuple(map(str, choices)) if isinstance(choices, list) else choices,
        answer=None if "output" in entry else text("answer"),
        output=text("output"),
        references=text("references"),
        strip=entry.get("strip", True) is not False,
        cut=cut,
    )


def _refuse_unknown(what: str, entry: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in entry:
        if key not in known:
            raise unknown_name(f"key of {what}", key, known)
