"""Computations in worker threads: a few at once, a few more waiting, each within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from taskweb.server.request_limits import Limits, RequestError

_Result = TypeVar("_Result")


class WorkerThreads:
    """Threads that requests share, first come, first served."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._threads = ThreadPoolExecutor(limits.workers, "request")
        self._pending = 0

    async def run(self, compute: Callable[[], _Result], seconds: float | None = None) -> _Result:
        """The result of a computation. Raises RequestError where too many wait, and after the time; and what it raises."""
        if self._pending >= self.limits.workers + self.limits.waiting:
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "Too many people rank just now. Try again in a few seconds.")
        most = self.limits.seconds if seconds is None else seconds
        future = asyncio.get_running_loop().run_in_executor(self._threads, compute)
        self._pending += 1
        future.add_done_callback(partial(self._ended))
        try:
            return await asyncio.wait_for(future, most)
        except TimeoutError:
            given_up = f"This takes longer than {most:g} s, so it was given up."
            message = f"{given_up} Give fewer examples, or try again when the machine is less busy."
            raise RequestError(HTTPStatus.GATEWAY_TIMEOUT, message) from None

    def _ended(self, future: asyncio.Future[_Result]) -> None:
        self._pending -= 1
        if not future.cancelled():
            future.exception()  # it was heard, whether anybody still waits or not
