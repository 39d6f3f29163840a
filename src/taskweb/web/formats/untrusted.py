"""Reading bytes that anyone may have written: whatever they do to a parser, the outcome is an InputError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from taskweb.errors import InputError, TaskWebError


@contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Turn any exception of a parser into an InputError of one line, which says that `name` is not `what`.

    Errors of taskweb pass, and so do warnings where they are exceptions.
    """
    try:
        yield
    except InputError as fault:
        raise InputError(" ".join(str(fault).split())) from None  # names in a file may hold line breaks
    except (TaskWebError, Warning):
        raise
    except FileNotFoundError:
        raise InputError(f"There is no {name}. Check the path.") from None
    except OSError as fault:
        raise InputError(f"{name} cannot be read: {fault.strerror or first_line(fault)}.") from None
    except UnicodeDecodeError as fault:
        raise InputError(f"{name} is not UTF-8 text (byte {fault.start + 1}). Save it as UTF-8.") from None
    except Exception as fault:  # noqa: BLE001 - parsers raise anything on bytes that are not theirs
        raise InputError(f"{name} is not {what}: {first_line(fault)}.") from None


def first_line(fault: BaseException) -> str:
    """What an exception says, on one line without a full stop; its type where it says nothing."""
    text = str(fault).strip()
    return text.splitlines()[0].rstrip(".") if text else type(fault).__name__
