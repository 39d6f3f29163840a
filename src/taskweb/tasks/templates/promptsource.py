"""promptsource's templates.yaml (Bach et al., 2022, arXiv:2202.01279) as plain data: its tags build no objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.safe_yaml import yaml_of
from taskweb.tasks.templates.template import Template, TemplateSet

_TAGS = ("!Template", "!TemplateMetadata")


def parse_promptsource(text: str, task: str, origin: str) -> TemplateSet:
    """The templates of one data set for its original task (the others turn it into another task).

    Raises InputError where the text is not such a file, MissingDependencyError without PyYAML.
    """
    entries = _mapping(_loaded(text, origin).get("templates"), origin, "'templates'")
    found = tuple(
        _template(_mapping(entry, origin, f"the template {key}"), task, origin)
        for key, entry in entries.items()
        if _is_original(entry)
    )
    if not found:
        raise InputError(f"{origin} contains no templates for the original task. Give a templates.yaml of promptsource.")
    return TemplateSet(task, found)


def _loaded(text: str, origin: str) -> Mapping[str, Any]:
    tags = dict.fromkeys(_TAGS, lambda reader, node: reader.construct_mapping(node, deep=True))
    return _mapping(yaml_of(text, origin, "Give a templates.yaml of promptsource.", tags), origin, "the file")


def _template(entry: Mapping[str, Any], task: str, origin: str) -> Template:
    if not isinstance(entry.get("jinja"), str) or not isinstance(entry.get("name"), str):
        raise InputError(f"A template in {origin} lacks 'name' or 'jinja'. Give a templates.yaml of promptsource.")
    choices = entry.get("answer_choices")
    if isinstance(choices, Mapping | list):
        raise InputError(f"The answer_choices of '{entry['name']}' in {origin} must be a text divided by |||.")
    return Template(entry["name"], task, entry["jinja"], None if choices is None else str(choices), form="promptsource")


def _is_original(entry: Any) -> bool:
    metadata = entry.get("metadata") if isinstance(entry, dict) else None
    return not isinstance(metadata, dict) or metadata.get("original_task") is not False


def _mapping(value: Any, origin: str, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{origin}: {what} is not a mapping of names to values. Give a templates.yaml of promptsource.")
    return value
