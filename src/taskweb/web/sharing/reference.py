"""The name of a web on the Hub: `hf:<owner>/<name>[@<revision>]`."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from taskweb.errors import InputError

PREFIX = "hf:"
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_WEB = re.compile(rf"({_PART}/{_PART})(?:@([A-Za-z0-9_][A-Za-z0-9._/-]{{0,199}}))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
DEFAULT_REVISION = "main"


@dataclass(frozen=True, slots=True)
class HubWeb:
    """A data set repository with a web. revision: a branch, a tag or a commit; None is the newest commit."""

    id: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubWeb:
        """Read `hf:<owner>/<name>[@<revision>]`. Raises InputError for anything else."""
        found = _WEB.fullmatch(text.removeprefix(PREFIX))
        if not text.startswith(PREFIX) or found is None or ".." in text or "--" in found[1]:
            raise InputError(f"'{text}' is no web on the Hub. Write hf:<owner>/<name>, or hf:<owner>/<name>@<revision>.")
        return cls(found[1], found[2])

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    @property
    def wanted_revision(self) -> str:
        """The revision to ask the Hub for."""
        return self.revision or DEFAULT_REVISION

    def at(self, revision: str | None) -> HubWeb:
        """The same repository at another revision."""
        return dataclasses.replace(self, revision=revision)

    def __str__(self) -> str:
        return f"{PREFIX}{self.id}" + (f"@{self.revision}" if self.revision else "")


def is_on_hub(where: object) -> bool:
    """Whether a web is named as one on the Hub."""
    return str(where).startswith(PREFIX)
