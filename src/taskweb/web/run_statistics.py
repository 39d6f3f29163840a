"""How the runs of a store went: how many finished, how long they took, and why some failed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from taskweb.web.records.run import Run, RunStatus

_MOST_REASONS = 1000  # of different wording, counted one by one
_OTHERS = "other reasons"


@dataclass(frozen=True, slots=True)
class SetupRuns:
    """The runs of a setup. counts: by status. seconds: of the finished runs that say it, in the order of the store."""

    setup: str
    counts: dict[RunStatus, int]
    seconds: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why runs did not finish: the reason, how many runs gave it, and one of them."""

    reason: str
    runs: int
    setup: str
    source: str | None
    target: str


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """How the runs of a store went.

    seconds: of every run that says it, in the order of the store. failures: the most frequent one first.
    """

    setups: tuple[SetupRuns, ...]
    failures: tuple[Failure, ...]
    seconds: tuple[float, ...] = field(repr=False)

    def total(self, status: RunStatus) -> int:
        """How many runs have this status."""
        return sum(one.counts[status] for one in self.setups)


def run_statistics(runs: Iterable[Run]) -> RunStatistics:
    """The statistics of runs in the order in which they were stored."""
    counts: dict[str, dict[RunStatus, int]] = {}
    own: dict[str, list[float]] = {}
    seconds: list[float] = []
    failed: dict[str, tuple[int, Run]] = {}
    for run in runs:
        name = run.setup.name
        counts.setdefault(name, {"finished": 0, "failed": 0, "diverged": 0})[run.status] += 1
        took = math.fsum(run.durations.values())
        if took > 0:
            seconds.append(took)
            if run.status == "finished":
                own.setdefault(name, []).append(took)
        if run.status != "finished":
            reason = _reason(run) if len(failed) < _MOST_REASONS or _reason(run) in failed else _OTHERS
            failed[reason] = (failed.get(reason, (0, run))[0] + 1, run)
    setups = tuple(SetupRuns(name, counts[name], tuple(own.get(name, ()))) for name in sorted(counts))
    failures = tuple(
        Failure(reason, count, run.setup.name, run.source, run.target)
        for reason, (count, run) in sorted(failed.items(), key=lambda one: (-one[1][0], one[0]))
    )
    return RunStatistics(setups, failures, tuple(seconds))


def _reason(run: Run) -> str:
    if run.status == "diverged":
        return "the loss is not a number any more"
    return " ".join((run.reason or "unknown").split()).rstrip(".")
