"""The progress of a running plan, reported now and then, for every executor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from taskweb.errors import TaskWebError
from taskweb.experiments.heartbeats import RunningRun, running_runs
from taskweb.experiments.spool import waiting_jobs
from taskweb.experiments.state import PlanState, stored_outcomes

_SECONDS_BETWEEN_READS = 0.5
_LARGEST_SHARE = 0.02  # of the time, for reading the state


@dataclass(frozen=True, slots=True)
class PlanProgress:
    """The progress of a running plan. total: runs of the plan. known: those that were stored when it began.

    done: runs finished, failed or diverged since. failed: those of `done` without a score. seconds: since it began.
    seconds_left: estimated from the speed so far; None before the first run is done. waiting: jobs in a cluster's queue, and
    why they wait.
    """

    plan: str
    total: int
    known: int
    done: int
    failed: int
    left: int
    running: tuple[RunningRun, ...]
    seconds: float
    seconds_left: float | None
    waiting: tuple[int, str] = (0, "")

    @property
    def runs_per_hour(self) -> float | None:
        """Runs per hour since it began; None before the first run is done."""
        return 3600 * self.done / self.seconds if self.done and self.seconds > 0 else None


@contextmanager
def reporting_progress(
    before: PlanState, keys: Collection[str], on_progress: Callable[[PlanProgress], None] | None
) -> Iterator[None]:
    """Report progress during the block: at its beginning, now and then from a thread, and at its end."""
    if on_progress is None:
        yield
        return
    progress = partial(_progress, before, frozenset(keys), stored_outcomes(before.plan.store), time.monotonic())
    on_progress(progress())
    ended = threading.Event()

    def watch() -> None:
        pause = _SECONDS_BETWEEN_READS
        while not ended.wait(pause):
            began = time.monotonic()
            with suppress(TaskWebError):  # a busy store is read again later
                on_progress(progress())
            pause = max(_SECONDS_BETWEEN_READS, (time.monotonic() - began) / _LARGEST_SHARE)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    on_progress(progress())


def _progress(
    before: PlanState, keys: Collection[str], known: dict[str, tuple[str, float | None]], began: float
) -> PlanProgress:
    found = {key: own for key, own in stored_outcomes(before.plan.store).items() if key in keys and known.get(key) != own}
    done, failed = len(found), sum(status != "finished" for status, _ in found.values())
    left, seconds = max(0, len(before.todo) - done), time.monotonic() - began
    return PlanProgress(
        plan=before.plan.name,
        total=before.total,
        known=before.total - len(before.todo),
        done=done,
        failed=failed,
        left=left,
        running=tuple(running_runs(before.plan.store)),
        seconds=seconds,
        seconds_left=seconds / done * left if done else None,
        waiting=waiting_jobs(before.plan.store),
    )
