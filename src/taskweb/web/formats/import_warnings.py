"""What an import has to tell without failing: counted, with the first few, and said once at the end."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

OnNotice = Callable[[str], None]
OnProgress = Callable[[int, int], None]  # done, of how many
_SHOWN = 3


@dataclass
class Notices:
    """Troubles by kind.

    on_notice: called with one line per kind of trouble; without it, each is a warning, so that nothing is lost silently.
    """

    on_notice: OnNotice | None = None
    _kinds: dict[str, tuple[list[str], list[int]]] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        """Count one trouble of a kind, such as "runs could not be read and are kept as failed"."""
        shown, count = self._kinds.setdefault(kind, ([], [0]))
        count[0] += 1
        if len(shown) < _SHOWN:
            shown.append(example)

    def say(self) -> None:
        """Say each kind of trouble once, and forget them."""
        for kind, (shown, count) in self._kinds.items():
            more = f"; and {count[0] - len(shown)} more" if count[0] > len(shown) else ""
            say(self.on_notice, f"{count[0]} {kind}: {'; '.join(shown)}{more}.")
        self._kinds.clear()


def say(on_notice: OnNotice | None, line: str) -> None:
    """One line to the callback, or a warning where there is none."""
    if on_notice is not None:
        on_notice(line)
    else:
        warnings.warn(line, UserWarning, stacklevel=3)
