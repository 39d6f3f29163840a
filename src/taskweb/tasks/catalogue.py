"""The catalogue of tasks: one TOML file, the only list of tasks in the project."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from taskweb.errors import ParameterError, unknown_name
from taskweb.tasks.task import Example, HubSource, Task

CATEGORIES = ("NLI", "paraphrase", "sentiment", "commonsense", "semantics", "QA")
_TASK_KEYS = frozenset(
    {
        "title",
        "description",
        "illustration",
        "kind",
        "metrics",
        "transfer_metrics",
        "category",
        "train_examples",
        "licence",
        "citation",
        "zero_shot_only",
        "hub",
    }
)
_ILLUSTRATION_KEYS = frozenset({"input", "output", "choices"})
_HUB_KEYS = frozenset(
    {"id", "config", "split", "revision", "input_columns", "label_column", "label_names", "choice_columns", "evaluation_split"}
)


def parse_catalogue(text: str) -> dict[str, Task]:
    """Parse a catalogue in TOML into tasks by name. Raises ParameterError for unknown keys and missing ones."""
    return {name: _task_of(name, entry) for name, entry in tomllib.loads(text).items()}


@cache
def catalogue() -> MappingProxyType[str, Task]:
    """The tasks of the catalogue by name: the 22 of the published web and three zero-shot targets."""
    return MappingProxyType(parse_catalogue(files("taskweb.tasks").joinpath("data/catalogue.toml").read_text(encoding="utf-8")))


def find_task(name: str) -> Task:
    """The task of that name. Raises NameNotFoundError with the closest match."""
    try:
        return catalogue()[name]
    except KeyError:
        raise unknown_name("task", name, catalogue()) from None


def _task_of(name: str, entry: dict[str, Any]) -> Task:
    _refuse_unknown(f"task '{name}'", entry, _TASK_KEYS)
    hub = entry.get("hub")
    if hub is not None:
        _refuse_unknown(f"the Hub entry of task '{name}'", hub, _HUB_KEYS)
    illustration = entry.get("illustration")
    if illustration is not None:
        _refuse_unknown(f"the illustration of task '{name}'", illustration, _ILLUSTRATION_KEYS)
    if entry.get("category") not in CATEGORIES:
        raise ParameterError(
            f"The category of task '{name}' must be one of {', '.join(CATEGORIES)}. Got '{entry.get('category')}' instead."
        )
    try:
        source = None if hub is None else HubSource(**{key: _frozen(value) for key, value in ({"config": None} | hub).items()})
        shown = None if illustration is None else Example(**{key: _frozen(value) for key, value in illustration.items()})
        plain = {key: _frozen(value) for key, value in entry.items() if key not in ("hub", "illustration")}
        return Task(name=name, **plain, illustration=shown, hub=source)
    except TypeError as fault:
        raise ParameterError(f"Task '{name}' in the catalogue is incomplete: {fault}.") from None


def _refuse_unknown(what: str, entry: dict[str, Any], known: frozenset[str]) -> None:
    for key in entry:
        if key not in known:
            raise unknown_name(f"field of {what}", key, known)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
