"""Warnings of an import: counted by kind, with the first few places, and reported once at the end."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

OnWarning = Callable[[str], None]
OnProgress = Callable[[int, int], None]  # done, of how many
_PLACES_SHOWN = 3


@dataclass
class ImportWarnings:
    """Collects the warnings of one import.

    on_warning: called with one line per kind of warning; None gives Python warnings instead, so that none is lost.
    """

    on_warning: OnWarning | None = None
    _kinds: dict[str, tuple[list[str], list[int]]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        """Count one warning of a kind, such as "runs cannot be read and are stored as failed"."""
        shown, count = self._kinds.setdefault(kind, ([], [0]))
        count[0] += 1
        if len(shown) < _PLACES_SHOWN:
            shown.append(place)

    def report(self) -> None:
        """Report each kind of warning once, and forget them."""
        for kind, (shown, count) in self._kinds.items():
            more = f"; and {count[0] - len(shown)} more" if count[0] > len(shown) else ""
            warn(self.on_warning, f"{count[0]} {kind}: {'; '.join(shown)}{more}.")
        self._kinds.clear()


def warn(on_warning: OnWarning | None, line: str) -> None:
    """Give one line to the callback, or a Python warning where there is none."""
    if on_warning is not None:
        on_warning(line)
    else:
        warnings.warn(line, UserWarning, stacklevel=3)
