"""promptsource's templates.yaml (Bach et al., 2022, arXiv:2202.01279) as plain data: its tags build no objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskweb.errors import InputError, MissingDependencyError
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
    try:
        import yaml
    except ImportError:
        raise MissingDependencyError("pyyaml", "train", f"Reading {origin}") from None

    def refuse_merging(_loader: Any, node: Any) -> None:
        """Merged mappings could grow without limit; promptsource has none."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("mappings cannot be merged (<<)")

    # A new class, since constructors are attributes of the class.
    loader: Any = type("Loader", (yaml.SafeLoader,), {"flatten_mapping": refuse_merging})
    for tag in _TAGS:
        loader.add_constructor(tag, lambda reader, node: reader.construct_mapping(node, deep=True))
    try:
        content = yaml.load(text, Loader=loader)  # noqa: S506 - a SafeLoader
    except Exception as fault:  # noqa: BLE001 - wrong dates and numbers raise all kinds
        reason = " ".join(str(fault).split())[:200].rstrip(".")
        raise InputError(f"{origin} cannot be read as YAML: {reason}. Give a templates.yaml of promptsource.") from None
    return _mapping(content, origin, "the file")


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
