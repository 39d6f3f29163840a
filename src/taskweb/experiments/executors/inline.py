"""One run after the other, in this process."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from taskweb.experiments.executors.base import Job
from taskweb.experiments.specs import RunGroup


@dataclass(frozen=True, slots=True)
class InlineExecutor:
    """For tests, debugging, and a single GPU."""

    @property
    def workers_here(self) -> int:
        """See Executor."""
        return 1

    def run(self, job: Job, groups: Sequence[RunGroup]) -> Generator[int, None, None]:
        """See Executor."""
        opened = job.open()
        for group in groups:
            yield opened.execute(group)
