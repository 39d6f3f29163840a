"""Retries: exponential backoff with jitter, the wait that an endpoint asks for with Retry-After, and a time limit."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeVar

from taskweb.errors import JudgeError
from taskweb.selectors.judge.endpoint import TransientError

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0

Item = TypeVar("Item")
Result = TypeVar("Result")


class TimeLimitError(JudgeError):
    """The time limit for all questions together is over."""


@dataclass
class Retries:
    """Retries of requests within a time limit, shared by the threads that ask.

    time_limit: seconds for all requests together, from the creation of this object. attempts: of each request. stop: set it
    to end all waiting. When the endpoint asks one thread to wait, all wait.
    """

    time_limit: float
    attempts: int = 5
    stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.time_limit
        self._not_before = 0.0
        self._reached = False
        self._lock = threading.Lock()

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit, 0 or more."""
        return max(0.0, self._end - time.monotonic())

    def time_limit_error(self) -> TimeLimitError:
        """The error to raise when no time is left."""
        return TimeLimitError(f"The time limit of {self.time_limit:g} s is over (--llm-time-limit).")

    def call(self, request: Callable[[float], Result]) -> Result:
        """The result of `request(seconds_left)`. Raises the TransientError of the last attempt, or TimeLimitError."""
        for attempt in range(self.attempts):
            self._wait_until_allowed()
            try:
                result = request(self.seconds_left)
            except TransientError as fault:
                if attempt + 1 == self.attempts or (fault.unreachable and not self._reached):
                    raise
                self._postpone(fault, attempt)
            else:
                self._reached = True
                return result
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _postpone(self, fault: TransientError, attempt: int) -> None:
        backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        if fault.wait is not None and fault.wait > self.seconds_left:
            raise TimeLimitError(
                f"{str(fault).rstrip('.')}. It asks to wait {fault.wait:.0f} s, but only {self.seconds_left:.0f} s are left "
                "(--llm-time-limit)."
            )
        if fault.wait is not None:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + fault.wait)
        self._sleep(backoff)

    def _wait_until_allowed(self) -> None:
        while (wait := self._not_before - time.monotonic()) > 0:
            self._sleep(wait)
        if self.seconds_left <= 0 or self.stop.is_set():
            raise self.time_limit_error()

    def _sleep(self, seconds: float) -> None:
        if self.stop.wait(min(seconds, self.seconds_left)) or self.seconds_left <= 0:
            raise self.time_limit_error()


def in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, retries: Retries
) -> Iterator[tuple[Item, Result | BaseException]]:
    """Do the work on all items in threads, and yield each item with its result, or with what it raised, as they finish.

    Once `retries.stop` is set, finished items are yielded and no more are started. The threads do not stop the program from
    ending: one that waits for a response is abandoned. Raises TimeLimitError.
    """
    todo: SimpleQueue[Item] = SimpleQueue()
    done: SimpleQueue[tuple[Item, Result | BaseException]] = SimpleQueue()
    for item in items:
        todo.put(item)

    def worker() -> None:
        while not retries.stop.is_set():
            try:
                item = todo.get_nowait()
            except Empty:
                return
            try:
                done.put((item, work(item)))
            except BaseException as fault:  # noqa: BLE001 - handed to the thread that waits
                done.put((item, fault))

    for _ in range(min(workers, len(items))):
        threading.Thread(target=worker, daemon=True).start()
    try:
        for _ in items:
            stopping = retries.stop.is_set()
            try:
                finished = done.get(timeout=0.0 if stopping else retries.seconds_left + 0.1)
            except Empty:
                if stopping:
                    return
                raise retries.time_limit_error() from None
            yield finished
    finally:
        retries.stop.set()
