"""Texts as all stages can write them, and values of files that stand for a text."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any, TypeGuard

_LONGEST_LITERAL = 1 << 20
_ARRAY = re.compile(r"array\((\[.*?\])(?:,\s*dtype=[^)]*)?\)", re.DOTALL)
_BETWEEN_ITEMS = re.compile(r"(?<=['\"])\s+(?=['\"])")
_UNKNOWN = frozenset({"nan", "null"})


def clean(text: str) -> str:
    """Replace lone surrogates (legal in JSON escapes, illegal in UTF-8) so that every later stage can encode the text."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def folded(text: str) -> str:
    """A text without what does not tell labels apart: case and surrounding or repeated spaces."""
    return " ".join(text.casefold().split())


def is_missing(value: Any) -> bool:
    """Whether a value says that there is nothing: null, NaN (also as text), or an empty text."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and (not value.strip() or value.strip().casefold() in _UNKNOWN))


def is_false(value: Any) -> bool:
    """Whether a value says no: a truth value, 0, or a word for it."""
    return is_single(value) and folded(str(value)) in ("false", "no", "0", "0.0")


def plain(value: str | bool | int | float) -> str:
    """A single value as a text."""
    return clean(str(value))


def is_single(value: Any) -> TypeGuard[str | bool | int | float]:
    """Whether a value is one text, number or truth value."""
    return isinstance(value, str | bool | int | float)


def parsed(value: Any) -> Any:
    """A list or mapping that a text spells in JSON or as Python prints it, with numpy's arrays; other values as they are."""
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{", "(") or len(value) > _LONGEST_LITERAL:
        return value
    for read, text in ((json.loads, value), (ast.literal_eval, _without_numpy(value))):
        try:
            return read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return value


def _without_numpy(text: str) -> str:
    """A text without numpy's `array(...)`, and with commas between items, as files have it that pandas wrote."""
    return _BETWEEN_ITEMS.sub(", ", _ARRAY.sub(r"\1", text))
