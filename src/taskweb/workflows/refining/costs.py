"""What a run will cost: the target's training, its baseline if that is missing, and the training of the source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskweb.web.records.run import Run

if TYPE_CHECKING:
    from taskweb.experiments.single_runs import SingleRuns


@dataclass(slots=True, eq=False)
class Costs:
    """Estimates from the runs made so far. Before the first one, costs are in examples read, and `known` is False."""

    runs: SingleRuns
    made: Sequence[Run] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Whether costs are seconds."""
        return self._per_example is not None

    @property
    def spent(self) -> float:
        """Seconds that all runs took, trainings of sources included."""
        return math.fsum(second for run in self.made for second in run.durations.values())

    @property
    def target(self) -> float:
        """Of one training on the target and its evaluation."""
        known = [run.durations["training"] + run.durations["evaluation"] for run in self._finished]
        return _mean(known) if known else float(self.runs.examples_read(self.runs.task.name))

    def source(self, source: str, seed: int) -> float:
        """Of training a source; 0 where its weights are there from a run that was stopped."""
        if self.runs.is_cached(source, seed):
            return 0.0
        own = [run.durations["source_training"] for run in self._finished if self._trained(run) == source]
        return _mean(own) if own else self.runs.examples_read(source) * (self._per_example or 1.0)

    def mean_of_run(self) -> float | None:
        """Seconds of a further run, by the mean of those with a source, else of all; None before the first."""
        known = [sum(run.durations.values()) for run in self._finished]
        with_source = [sum(run.durations.values()) for run in self._finished if run.source is not None]
        return _mean(with_source or known) if known else None

    @property
    def _finished(self) -> list[Run]:
        return [run for run in self.made if run.status == "finished"]

    @property
    def _per_example(self) -> float | None:
        """Seconds of training for an example read, over all trainings so far."""
        seconds, read = 0.0, 0
        for run in self._finished:
            seconds += run.durations["training"]
            read += self.runs.examples_read(run.target)
            if (source := self._trained(run)) is not None:
                seconds += run.durations["source_training"]
                read += self.runs.examples_read(source)
        return seconds / read if read and seconds > 0 else None

    @staticmethod
    def _trained(run: Run) -> str | None:
        """The source that was trained in this run and not taken from the cache."""
        return run.source if run.durations.get("source_training") else None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
