"""Whose texts the sentence encoder can read, compared with the texts of the web."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taskweb.selectors.encoder.readability import PUBLISHED_TEXTS, Readability

_NAMED = 5
_ADVICE = "Similarity says little here: choose an encoder for their language (--encoder, with --examples)"


@dataclass(frozen=True, slots=True)
class ReadableTexts:
    """How the encoder's tokenizer divides the texts of the target and of the sources.

    target: None where the target has no texts of its own. web: by task of the web; empty where its texts are known as vectors
    only, as those of the published web. own: by task of a person's candidates.
    """

    target: Readability | None = None
    web: Mapping[str, Readability] = field(default_factory=dict)
    own: Mapping[str, Readability] = field(default_factory=dict)

    @property
    def reference(self) -> Readability:
        """What others are compared with: the web's tasks that are read well, or the published web's texts without any."""
        well = [read for read in self.web.values() if read.is_readable(PUBLISHED_TEXTS)]
        return sum(well, Readability()) if well else PUBLISHED_TEXTS

    @property
    def is_target_readable(self) -> bool:
        """Whether the target's texts can be read, or there are none."""
        return self.target is None or self.target.is_readable(self.reference)

    @property
    def unreadable_sources(self) -> tuple[str, ...]:
        """The names of sources whose texts cannot be read."""
        reference = self.reference
        return tuple(name for name, read in {**self.web, **self.own}.items() if not read.is_readable(reference))

    @property
    def note(self) -> str:
        """Whose texts cannot be read, for a person; empty where all can."""
        parts = []
        if self.target is not None and not self.is_target_readable:
            parts.append(f"the target ({_figures(self.target)}; the web's texts: {_figures(self.reference)})")
        if unreadable := self.unreadable_sources:
            shown = ", ".join(unreadable[:_NAMED]) + (", ..." if len(unreadable) > _NAMED else "")
            parts.append(f"{len(unreadable):,} of {len({**self.web, **self.own}):,} sources ({shown})")
        if not parts:
            return ""
        return f"the sentence encoder can hardly read the texts of {' and of '.join(parts)}. {_ADVICE}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: figures of the target and of the web, and the names of sources that cannot be read."""
        target = None if self.target is None else {**self.target.to_dict(), "readable": self.is_target_readable}
        read = len({**self.web, **self.own})
        sources = {"read": read, "unreadable": list(self.unreadable_sources)}
        return {"target": target, "sources": sources, "web": self.reference.to_dict()}


def _figures(read: Readability) -> str:
    return (
        f"{read.pieces_per_word:.1f} pieces a word, {read.fragment_share:.0%} of them single letters, "
        f"{read.unknown_share:.0%} of the letters unknown"
    )
