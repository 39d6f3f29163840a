"""Recorders of updates for machines without a GPU: the same code, with a call in place of a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from taskweb.training.graphs import WARM_UPS

Work = Callable[[], None]


@dataclass
class CallRecorder:
    """What it records calls the work again. most: recordings before it fails; fails: what it raises then."""

    most: int = 100
    fails: BaseException = field(default_factory=lambda: RuntimeError("operation not permitted\nwhen stream is capturing"))
    recorded: int = 0
    calls: int = 0

    def record(self, work: Work) -> Work:
        """Do the work `WARM_UPS` times, as a recorder does, and return a call of it."""
        for _ in range(WARM_UPS):
            work()
        if self.recorded == self.most:
            raise self.fails
        self.recorded += 1

        def repeat() -> None:
            self.calls += 1
            work()

        return repeat
