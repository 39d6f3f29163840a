"""YAML as plain data: no tag builds an object, and no file grows when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from taskweb.errors import InputError, MissingDependencyError

_MOST_SHOWN = 200
_MERGE = "tag:yaml.org,2002:merge"


def yaml_of(text: str | bytes, what: str, advice: str, tags: Mapping[str, Callable[[Any, Any], Any]] | None = None) -> Any:
    """The values in a text in YAML.

    what: the file, for messages. advice: what to do about one that cannot be read. tags: constructors of further tags.
    Mappings that are merged (`<<`) are refused: a few lines of them can grow without limit. Raises InputError for any other
    text, MissingDependencyError without PyYAML.
    """
    try:
        import yaml
    except ImportError:
        raise MissingDependencyError("pyyaml", "train", f"Reading {what}") from None

    def refuse_merging(_loader: Any, node: Any) -> None:
        if any(key.tag == _MERGE for key, _ in node.value):
            raise yaml.YAMLError("mappings cannot be merged (<<)")

    # A new class, since constructors are attributes of the class.
    loader: Any = type("Loader", (yaml.SafeLoader,), {"flatten_mapping": refuse_merging})
    for tag, construct in (tags or {}).items():
        loader.add_constructor(tag, construct)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - a SafeLoader
    except Exception as fault:  # noqa: BLE001 - wrong dates and numbers raise all kinds
        reason = " ".join(str(fault).split())[:_MOST_SHOWN].rstrip(".")
        raise InputError(f"{what} cannot be read as YAML: {reason or type(fault).__name__}. {advice}") from None
