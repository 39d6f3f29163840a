"""Errors that a user can cause, and the wording they share.

Every error of this family prints as one line on the command line (exit status 2, no traceback); several errors that are
reported at once print as one line each.
Anything else that is raised is a bug and shows its traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_LONG_WORD = re.compile(r"(\S{100})\S{200,}(\S{30})")


class TaskWebError(Exception):
    """Base of all errors a user can cause: the message names the thing, what is wrong, and what to do.

    Words of more than 330 characters, which come from damaged files, are shown without their middle.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_LONG_WORD.sub(r"\1...\2", message))


class InputError(TaskWebError):
    """A file, a stream or a data set that cannot be used as given."""


class NameNotFoundError(TaskWebError, LookupError):
    """A name (task, setup, selector, ...) that does not exist; the message offers the closest match."""


class WebError(TaskWebError):
    """A web of transfers that cannot be read, or lacks what is needed."""


class StorageError(InputError, WebError):
    """A place that cannot be written or read now: full, write-protected, gone. The same command can go on later."""


class EncoderError(TaskWebError):
    """Encoder weights that are missing, unsupported, or do not fit the embeddings at hand."""


class JudgeError(TaskWebError):
    """A language model that cannot be asked, or whose answers cannot be used."""


class ParameterError(TaskWebError, ValueError):
    """An argument outside its range."""


class CombinedError(ParameterError):
    """All errors of one thing, found at once. `about`: what cannot be done; `errors`: each in words, without a full stop."""

    def __init__(self, about: str, errors: Iterable[str]) -> None:
        self.about, self.errors = about, tuple(error.rstrip(".") for error in errors)
        super().__init__(f"{about}: {'; '.join(self._numbered())}.")

    def lines(self) -> list[str]:
        """The message for a person: one line, or for several errors a line for each."""
        if len(self.errors) == 1:
            return [str(self)]
        return [f"{self.about}:", *(f"{error}." for error in self._numbered())]

    def _numbered(self) -> list[str]:
        several = len(self.errors) > 1
        return [f"({number}) {error}" if several else error for number, error in enumerate(self.errors, 1)]


class MissingDependencyError(TaskWebError, ImportError):
    """An optional dependency that is needed here and not installed."""

    def __init__(self, package: str, extra: str | None, purpose: str) -> None:
        also = "" if extra is None else f" (or all of the extra '{extra}')"
        super().__init__(f"{purpose} needs {package}, which is not installed. Install it with: pip install {package}{also}.")


def first_line(fault: BaseException) -> str:
    """The first line of an exception's message, without a full stop; its type where there is no message."""
    text = str(fault).strip()
    return text.splitlines()[0].rstrip(".") if text else type(fault).__name__


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """` Did you mean 'x'?` with the closest of the valid names, without regard to case; empty where none is close."""
    by_folded = {own.casefold(): own for own in valid}
    close = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.5)
    return f" Did you mean '{by_folded[close[0]]}'?" if close else ""


_MOST_NAMES_SHOWN = 12


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> NameNotFoundError:
    """Build the error for a name that does not exist, with the closest match and the valid names.

    `kind` is the noun shown to the user ("task", "setup", ...).
    """
    name, names = str(name), sorted(set(valid))  # a name from a file may be a number
    hint = did_you_mean(name, names)
    shown = ", ".join(names[:_MOST_NAMES_SHOWN])
    more = f", ... ({len(names)} in all)" if len(names) > _MOST_NAMES_SHOWN else ""
    listing = f" Known: {shown}{more}." if names else " None are known here."
    return NameNotFoundError(f"There is no {kind} named '{name}'.{hint}{listing}")
