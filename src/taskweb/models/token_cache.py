"""A cache of token ids: a text is tokenised once, however often a model reads it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_MOST_TEXTS = 100_000


class TokenCache:
    """Token ids by text. Copies of a model share them: the runs of a setup read the same examples again and again.

    Contains at most 100,000 texts; beyond that, all are dropped.
    """

    def __init__(self) -> None:
        self._cached: dict[Hashable, Any] = {}

    def of(self, keys: Sequence[_Key], tokenise: Callable[[list[_Key]], list[_Value]]) -> list[_Value]:
        """The result of `tokenise` for each key; it is called only for keys that are not cached."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._cached]
        if missing:
            if len(self._cached) + len(missing) > _MOST_TEXTS:
                self._cached.clear()
                missing = list(dict.fromkeys(keys))
            self._cached.update(zip(missing, tokenise(missing), strict=True))
        return [self._cached[key] for key in keys]
