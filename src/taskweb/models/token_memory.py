"""Token ids that are kept, so that a text is tokenised once however often a model reads it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_MOST_TEXTS = 100_000


class TokenMemory:
    """What was tokenised, by text. Copies of a model share it: the runs of a setup read the same examples again and again.

    Holds at most 100,000 texts, and forgets all of them beyond that.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def of(self, keys: Sequence[_Key], tokenise: Callable[[list[_Key]], list[_Value]]) -> list[_Value]:
        """What `tokenise` gives for each key, asked only for those that are not known."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._known]
        if missing:
            if len(self._known) + len(missing) > _MOST_TEXTS:
                self._known.clear()
                missing = list(dict.fromkeys(keys))
            self._known.update(zip(missing, tokenise(missing), strict=True))
        return [self._known[key] for key in keys]
