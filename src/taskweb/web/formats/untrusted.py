"""Reading files from untrusted origins: any error of a parser becomes an InputError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from taskweb.errors import InputError, TaskWebError, first_line


@contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Turn any exception of a parser into an InputError of one line, which says that `name` is not `what`.

    Errors of taskweb pass unchanged, and so do Python warnings that are raised as exceptions.
    """
    try:
        yield
    except InputError as fault:
        raise InputError(" ".join(str(fault).split())) from None  # names in a file may contain line breaks
    except (TaskWebError, Warning):
        raise
    except FileNotFoundError:
        raise InputError(f"There is no {name}. Check the path.") from None
    except OSError as fault:
        raise InputError(f"{name} cannot be read: {fault.strerror or first_line(fault)}.") from None
    except UnicodeDecodeError as fault:
        raise InputError(f"{name} is not UTF-8 text (byte {fault.start + 1}). Save it as UTF-8.") from None
    except Exception as fault:  # noqa: BLE001 - parsers raise all kinds on bytes in other formats
        raise InputError(f"{name} is not {what}: {first_line(fault)}.") from None
