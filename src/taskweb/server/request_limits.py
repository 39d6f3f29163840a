"""Limits of what one request may ask for, and the errors of a request that goes beyond them."""

from __future__ import annotations

from dataclasses import dataclass

from taskweb.errors import TaskWebError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for.

    body: bytes of a request. content: bytes of a file after it is decompressed. rows: of a file. cell: characters of a text.
    examples: most that are used for a ranking. compared: rankings side by side. seconds: of one computation, waiting included.
    mixture_seconds: of a mixture. workers: computations at once. waiting: requests that may wait for a worker.
    """

    body: int = 8 << 20
    content: int = 64 << 20
    rows: int = 20_000
    cell: int = 200_000
    examples: int = 128
    compared: int = 8
    seconds: float = 60.0
    mixture_seconds: float = 120.0
    workers: int = 2
    waiting: int = 64


class RequestError(TaskWebError):
    """A request that is refused; `status` is that of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
