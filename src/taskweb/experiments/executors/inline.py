"""One run after the other, in this process."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from taskweb.experiments.executors.base import Job
from taskweb.experiments.specs import Work


@dataclass(frozen=True, slots=True)
class InlineExecutor:
    """For tests, debugging, and a single GPU."""

    @property
    def workers_here(self) -> int:
        """See Executor."""
        return 1

    def run(self, job: Job, work: Sequence[Work]) -> Generator[int, None, None]:
        """See Executor."""
        opened = job.open()
        for piece in work:
            yield opened.execute(piece)
