"""What is known of a file beside its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = tuple[int, Mapping[str, Any]]


@dataclass(slots=True)
class FileFacts:
    """What a reader of a format learns while it reads. form: the format, in words. label_names: names of the numbers in a
    column, as the file states them. notes: what else a person should know.
    """

    form: str = ""
    label_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add_features(self, features: Any) -> None:
        """Take the names of classes from the features of a data set, as `datasets` writes them."""
        for column, feature in features.items() if isinstance(features, Mapping) else ():
            names = feature.get("names") if isinstance(feature, Mapping) else getattr(feature, "names", None)
            if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
                self.label_names[str(column)] = tuple(names)
