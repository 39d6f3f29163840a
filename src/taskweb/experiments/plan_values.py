"""Reading the values of a plan: types are checked and errors collected."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from taskweb.errors import InputError, TaskWebError, unknown_name
from taskweb.training.settings import is_count

_VARIABLE = re.compile(r"^~|\$\w|\$\{|%\w+%")
Choice = TypeVar("Choice", bound=str)


def plan_path(base: Path, text: str) -> Path:
    """The place that a path in a plan means; relative ones start from the plan's folder, `base`.

    Raises InputError for `~` and environment variables: a plan means the same for everyone who runs it.
    """
    if found := _VARIABLE.search(text):
        raise InputError(f"The path '{text}' contains '{found[0]}', which plans do not expand. Write the whole path.")
    return base / text


class PlanErrors:
    """The errors of a plan, in the order in which they were found, each once.

    Every method that reads a value returns one of the right type, the default instead of a wrong one, so that all errors are
    found. `where` is how the table is shown: `[tasks.rte] `, with a space, or "" for the plan itself.
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, error: str | TaskWebError) -> None:
        """Add an error, unless it is there already."""
        text = str(error).rstrip(".")
        if text not in self.found:
            self.found.append(text)

    def known_keys(self, where: str, raw: Mapping[str, Any], keys: Iterable[str]) -> None:
        """Check that all keys of a table are among these."""
        keys = tuple(keys)
        for key in raw:
            if key not in keys:
                self.add(unknown_name(f"key in {where.strip() or 'the plan'}", key, keys))

    def table(self, where: str, key: str, raw: Mapping[str, Any], keys: Iterable[str] | None = None) -> Mapping[str, Any]:
        """A table, empty without the key. keys: the only ones that it may have; None for any."""
        found = raw.get(key, {})
        if not isinstance(found, dict):
            self.add(f"{where}{key} must be a table" if where else f"[{key}] must be a table")
            return {}
        if keys is not None:
            self.known_keys(f"{where}{key} " if where else f"[{key}] ", found, keys)
        return found

    def text(self, where: str, raw: Mapping[str, Any], key: str, default: str | None = None) -> str | None:
        """A text that is not empty; the default without the key."""
        found = raw.get(key, default)
        if found is default or (isinstance(found, str) and found):
            return found
        self.add(f"{where}{key} must be text. Got {found}")
        return default

    def path(self, where: str, raw: Mapping[str, Any], key: str, base: Path, default: str | None = None) -> Path | None:
        """A place, relative to `base`; the default without the key."""
        given = self.text(where, raw, key, default)
        if given is None:
            return None
        try:
            return plan_path(base, given)
        except InputError as error:
            self.add(f"{where}{key}: {error}")
            return None if default is None else base / default

    def texts(self, where: str, raw: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
        """One text or a list of texts, none empty; None without the key."""
        found = raw.get(key)
        if found is None:
            return None
        listed = [found] if isinstance(found, str) else found
        if isinstance(listed, list) and listed and all(isinstance(text, str) and text for text in listed):
            return tuple(listed)
        self.add(f"{where}{key} must be a text or a list of texts. Got {found}")
        return None

    def names(self, where: str, raw: Mapping[str, Any], key: str, kind: str, known: Iterable[str]) -> tuple[str, ...] | None:
        """A list of known names, each once; None without the key."""
        found = raw.get(key)
        if found is None:
            return None
        if not (isinstance(found, list) and found and all(isinstance(name, str) for name in found)):
            self.add(f"{where}{key} must be a list of names. Got {found}")
            return None
        for name in found:
            if name not in known:
                self.add(f"{where}{key}: {unknown_name(kind, name, known)}")
        return tuple(dict.fromkeys(found))

    def choice(self, where: str, raw: Mapping[str, Any], key: str, choices: Sequence[Choice], default: Choice) -> Choice:
        """One of the choices; the default without the key."""
        found = raw.get(key, default)
        for choice in choices:
            if choice == found:
                return choice
        self.add(f"{where.strip()}: {unknown_name(key, str(found), choices)}")
        return default

    def choice_or_none(self, where: str, raw: Mapping[str, Any], key: str, choices: Sequence[Choice]) -> Choice | None:
        """One of the choices; None without the key."""
        return self.choice(where, raw, key, choices, choices[0]) if key in raw else None

    def flag(self, where: str, raw: Mapping[str, Any], key: str, *, default: bool = False) -> bool:
        """True or false; the default without the key."""
        found = raw.get(key, default)
        if isinstance(found, bool):
            return found
        self.add(f"{where}{key} must be true or false. Got {found}")
        return default

    def count(self, where: str, raw: Mapping[str, Any], key: str, default: int, *, least: int = 1) -> int:
        """A whole number, `least` or more."""
        found = raw.get(key, default)
        if is_count(found, least):
            return int(found)
        self.add(f"{where}{key} must be a whole number, {least} or more. Got {found}")
        return default

    def count_or_none(self, where: str, raw: Mapping[str, Any], key: str, *, least: int = 1) -> int | None:
        """A whole number, `least` or more; None without the key."""
        return self.count(where, raw, key, least, least=least) if key in raw else None

    def number_or_none(self, where: str, raw: Mapping[str, Any], key: str, *, least: float | None = None) -> float | None:
        """A finite number, `least` or more (above 0 if None); None without the key."""
        found = raw.get(key)
        if found is None:
            return None
        is_number = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
        if is_number and (found > 0 or (least is not None and found >= least)):
            return float(found)
        self.add(f"{where}{key} must be a number{' above 0' if least is None else f', {least:g} or more'}. Got {found}")
        return None

    def seeds(self, where: str, raw: Mapping[str, Any], default: tuple[int, ...]) -> tuple[int, ...]:
        """Different whole numbers, 0 or more."""
        found = raw.get("seeds", list(default))
        if isinstance(found, list) and found and all(is_count(seed, 0) for seed in found) and len(set(found)) == len(found):
            return tuple(found)
        self.add(f"{where}seeds must be a list of different whole numbers, 0 or more. Got {found}")
        return default
