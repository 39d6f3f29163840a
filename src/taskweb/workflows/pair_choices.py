"""Choosing the pairs of a plan by what they say about rankings for unseen targets: what `mode = "chosen"` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from taskweb.active.web_design import ChosenRun, RunCosts, WebProgress, WebTasks, chosen_runs, noise_of_runs, text_kernel
from taskweb.errors import EncoderError
from taskweb.selectors.base import FloatArray
from taskweb.tasks import Example, ExampleSet
from taskweb.web.records.run import Run
from taskweb.workflows.selector_settings import EncoderSettings

if TYPE_CHECKING:
    from taskweb.experiments.pair_choosing import MeasuredSoFar, PairCosts, PairRun, RoundLimit
    from taskweb.experiments.task_data import TaskData

_MOST_TEXTS = 100  # of a task


@dataclass(eq=False)
class UnseenTargetsChooser:
    """A chooser of pairs, see `taskweb.active.web_design`. encoder: of the tasks' texts; without its weights they are not used.

    notes: what a person should know about its choices.
    """

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    notes: list[str] = field(default_factory=list, init=False)
    _similarity: tuple[tuple[str, ...], FloatArray] | None = field(default=None, init=False, repr=False)

    def next_round(self, known: MeasuredSoFar, data: Mapping[str, TaskData], limit: RoundLimit) -> Sequence[PairRun]:
        """See `PairChooser`."""
        from taskweb.experiments.pair_choosing import PairRun

        axes = _Axes.of(known)
        tasks, costs = self._tasks(axes, known, data), _costs(axes, known.costs)
        progress, gains = axes.progress(known), axes.gains(known, data)
        found = _affordable(chosen_runs(tasks, costs, progress, noise_of_runs(gains)), limit, progress)
        return [PairRun(axes.sources[run.source], axes.targets[run.target], axes.seeds[run.seed]) for run in found]

    def _tasks(self, axes: _Axes, known: MeasuredSoFar, data: Mapping[str, TaskData]) -> WebTasks:
        names, similarity = self._similarity_of(data)
        at_source, at_target = ([names.index(name) for name in side] for side in (axes.sources, axes.targets))
        allowed = set(known.pairs)
        possible = np.array([[(source, target) in allowed for source in axes.sources] for target in axes.targets])
        return WebTasks(possible, similarity[np.ix_(at_source, at_source)], similarity[np.ix_(at_target, at_target)])

    def _similarity_of(self, data: Mapping[str, TaskData]) -> tuple[tuple[str, ...], FloatArray]:
        """The similarity of all tasks by their texts; the identity where there is no encoder."""
        if self._similarity is None:
            names = tuple(data)
            try:
                embedder = self.encoder.embedder()
                sets = [ExampleSet(name, _texts(own), own.task.name) for name, own in data.items()]
                vectors = embedder.embed(sets).vectors
                self._similarity = names, text_kernel(np.array([vectors[name].mean(axis=0) for name in names], float))
            except EncoderError as fault:
                self.notes.append(f"pairs are chosen without the tasks' texts: {fault}")
                self._similarity = names, np.eye(len(names))
        return self._similarity


@dataclass(frozen=True, slots=True)
class _Axes:
    """The names along the axes of a web's arrays."""

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, known: MeasuredSoFar) -> _Axes:
        targets, sources = (tuple(dict.fromkeys(pair[side] for pair in known.pairs)) for side in (1, 0))
        return cls(targets, sources, known.seeds)

    def place(self, run: Run) -> tuple[int, int | None, int]:
        """Of a run: target, source (None: a baseline) and seed."""
        source = None if run.source is None else self.sources.index(run.source)
        return self.targets.index(run.target), source, self.seeds.index(run.seed if run.seed is not None else self.seeds[0])

    def progress(self, known: MeasuredSoFar) -> WebProgress:
        """What was done. A source whose weights are gone costs its training again."""
        shape = (len(self.targets), len(self.sources))
        found = WebProgress.none(np.ones(shape, dtype=bool), len(self.seeds))
        for run in known.runs:
            target, source, seed = self.place(run)
            if source is None:
                found.baselines[target, seed] = True
            else:
                found.runs[target, source, seed] = True
        for name, seed in known.weights:
            found.trained[self.sources.index(name), self.seeds.index(seed)] = True
        return found

    def gains(self, known: MeasuredSoFar, data: Mapping[str, TaskData]) -> FloatArray:
        """Gains by seed, (targets, sources, seeds), NaN where a run or its baseline has no score."""
        scores = np.full((len(self.targets), len(self.sources), len(self.seeds)), np.nan)
        baseline = np.full((len(self.targets), len(self.seeds)), np.nan)
        for run in known.runs:
            target, source, seed = self.place(run)
            score = run.score(data[run.target].task.transfer_metrics)
            if source is None:
                baseline[target, seed] = score
            else:
                scores[target, source, seed] = score
        with np.errstate(invalid="ignore", divide="ignore"):
            gains = (scores - baseline[:, None]) / np.abs(baseline[:, None])
        return np.where(np.isfinite(gains), gains, np.nan)


def _costs(axes: _Axes, costs: PairCosts) -> RunCosts:
    run = np.array([costs.run[target] for target in axes.targets])
    return RunCosts(run, run, np.array([costs.source[source] for source in axes.sources]))


def _affordable(runs: Iterator[ChosenRun], limit: RoundLimit, progress: WebProgress) -> Iterator[ChosenRun]:
    """The first of the runs that stay within a round's limit."""
    spent, count = 0.0, 0
    baselines = progress.baselines.copy()
    for run in runs:
        spent, count = spent + run.cost, count + 1 + (not baselines[run.target, run.seed])
        if (limit.cost is not None and spent > limit.cost) or (limit.runs is not None and count > limit.runs):
            return
        baselines[run.target, run.seed] = True
        yield run


def _texts(data: TaskData) -> tuple[Example, ...]:
    """Some examples of a task, of whatever role it has."""
    return tuple((data.source or data.target or data.evaluation)[:_MOST_TEXTS])
