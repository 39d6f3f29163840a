"""A batch size that adapts: doubled as long as memory suffices, halved when it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from taskweb.errors import ParameterError
from taskweb.models.base import device_of
from taskweb.models.memory import with_what_fits

Result = TypeVar("Result")
_START = 16
_MOST = 512
_BATCHES_AT_ONCE = 4


class BatchSize:
    """How many rows go through a model at once.

    fixed: the first and largest size; None finds it. On the CPU, whose memory all programs share and where larger batches are
    not faster, it is at most 16. Use one instance for several tasks, but not in several threads.
    """

    def __init__(self, module: Any, fixed: int | None = None) -> None:
        if fixed is not None and fixed < 1:
            raise ParameterError(f"The batch size must be 1 or more. Got {fixed} instead.")
        self.module = module
        self.size = fixed or _START
        self._most = fixed or (_START if device_of(module).type == "cpu" else _MOST)

    def run(
        self,
        lengths: Sequence[int],
        work: Callable[[list[int], int], Sequence[Result]],
        on_done: Callable[[int], None] = lambda _: None,
    ) -> list[Result]:
        """The results of all items, in their order.

        work: takes indices of items and a batch size, and returns one result per item. The longest items come first, so that a
        size which fits at the beginning fits to the end. Raises TaskWebError where memory does not suffice for a single row.
        """
        order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        results: dict[int, Result] = {}
        while len(results) < len(order):
            part = order[len(results) :][: self.size * _BATCHES_AT_ONCE]
            found = self._as_many_as_fit(part, work)
            results.update(zip(part, found, strict=True))
            on_done(len(part))
            self.size = min(2 * self.size, self._most)
        return [results[i] for i in range(len(lengths))]

    def _as_many_as_fit(self, part: list[int], work: Callable[[list[int], int], Sequence[Result]]) -> Sequence[Result]:
        def halved(size: int) -> None:
            self._most = self.size = size

        return with_what_fits(self.module, self.size, lambda size: work(part, size), halved)
