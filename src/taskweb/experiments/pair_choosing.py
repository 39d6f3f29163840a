"""Pairs of a plan that are bought in rounds: what a chooser is told, what it answers, and what a round costs.

All of it follows from the store, so a plan that was stopped goes on with the same rounds as if it had not been.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from taskweb.experiments.checkpoint_cache import checkpoint_cache_of
from taskweb.experiments.plan import Plan, PlannedSetup
from taskweb.experiments.specs import RunGroup, RunSpec, pairs_of
from taskweb.experiments.task_data import TaskData
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore, is_store

ROUNDS = 10  # that a budget is spent in, at least
_FEWEST_RUNS = 4  # of a round


@dataclass(frozen=True, slots=True)
class PairCosts:
    """Estimates. run: of a target's training and evaluation, by target; its baseline costs as much. source: to train one.

    in_seconds: whether they are seconds; before the first run, they are examples read.
    """

    run: Mapping[str, float]
    source: Mapping[str, float]
    in_seconds: bool


@dataclass(frozen=True, eq=False)
class MeasuredSoFar:
    """What was measured of one setup, and what may still be.

    pairs: of source and target, that the plan allows. seeds: of each. runs: outcomes, baselines and failed runs included.
    weights: sources and seeds whose weights are there, so that their training costs nothing.
    """

    setup: str
    pairs: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    runs: tuple[Run, ...] = field(repr=False)
    weights: frozenset[tuple[str, int]]
    costs: PairCosts


@dataclass(frozen=True, slots=True)
class RoundLimit:
    """What a round may come to for one setup: in the unit of its costs, or in runs; baselines included. None: no limit."""

    cost: float | None = None
    runs: int | None = None


@dataclass(frozen=True, slots=True)
class PairRun:
    """A pair to run with a seed."""

    source: str
    target: str
    seed: int


@runtime_checkable
class PairChooser(Protocol):
    """Decides which pairs of a plan are run next."""

    def next_round(self, known: MeasuredSoFar, data: Mapping[str, TaskData], limit: RoundLimit) -> Sequence[PairRun]:
        """The runs of the next round for one setup, the most important first; none where nothing is left or affordable.

        Baselines are not listed: those that a run needs are made before it. Must depend on its arguments alone.
        """
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """A round that is about to be run. seconds: estimated for one worker, None where no run was timed yet.

    spent: seconds so far. pairs: in `runs`, those without any run so far. sources: trainings of sources that it needs.
    """

    number: int
    runs: tuple[RunSpec, ...]
    pairs: int
    sources: int
    seconds: float | None
    spent: float

    @property
    def baselines(self) -> int:
        """How many of the runs are baselines."""
        return sum(run.source is None for run in self.runs)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is left of a budget buys, by the costs so far. pairs: without any run yet; runs: baselines included.

    hours: that is left; None where the budget is in runs.
    """

    pairs: int
    runs: int
    hours: float | None


@dataclass(frozen=True, slots=True)
class Rounds:
    """The next round of a plan, from what is in its store. keys: of all runs that may be chosen."""

    plan: Plan
    data: Mapping[str, TaskData]
    chooser: PairChooser
    keys: Mapping[str, RunSpec] = field(repr=False)

    def next(self, number: int) -> Round | str:
        """The next round, or why there is none."""
        known = [self._known(setup) for setup in self.plan.setups]
        made = sum(len(own.runs) for own in known)
        spent = sum(seconds_of(run) for own in known for run in own.runs)
        if self.plan.most_hours is not None and spent >= self.plan.most_hours * 3600:
            return f"the budget of {self.plan.most_hours:g} hours is spent"
        if self.plan.most_runs is not None and made >= self.plan.most_runs:
            return f"the budget of {self.plan.most_runs:,} runs is spent"
        specs: list[RunSpec] = []
        sources, seconds, timed = 0, 0.0, True
        for setup, own in zip(self.plan.setups, known, strict=True):
            limit = self._limit(own, made + len(specs), spent)
            runs = _with_baselines(setup, own, self.chooser.next_round(own, self.data, limit), limit.runs)
            specs += runs
            new = {(run.source, run.seed) for run in runs if run.source is not None} - own.weights
            sources += len(new)
            timed &= own.costs.in_seconds or not runs
            seconds += sum(own.costs.run[run.target] for run in runs) + sum(own.costs.source[source] for source, _ in new)
        if not specs:
            every = all(len(own.runs) >= len(own.seeds) * (len(own.pairs) + len(_targets(own))) for own in known)
            return "every pair was run with every seed" if every else "what is left of the budget is less than a run costs"
        return Round(number, tuple(specs), len(_new_pairs(specs, known)), sources, seconds if timed else None, spent)

    def rest(self) -> Purchase | None:
        """What the rest of the budget buys; None where hours are given and no run was timed yet."""
        known = [self._known(setup) for setup in self.plan.setups]
        share = len(known)
        limit, hours = RoundLimit(), None
        if self.plan.most_hours is not None:
            if not all(own.costs.in_seconds for own in known):
                return None
            left = max(0.0, self.plan.most_hours * 3600 - sum(seconds_of(run) for own in known for run in own.runs))
            limit, hours = RoundLimit(left / share), left / 3600
        if self.plan.most_runs is not None:
            made = sum(len(own.runs) for own in known)
            limit = RoundLimit(limit.cost, max(0, self.plan.most_runs - made) // share)
        specs: list[RunSpec] = []
        for setup, own in zip(self.plan.setups, known, strict=True):
            specs += _with_baselines(setup, own, self.chooser.next_round(own, self.data, limit), limit.runs)
        return Purchase(len(_new_pairs(specs, known)), len(specs), hours)

    def _limit(self, known: MeasuredSoFar, made: int, spent: float) -> RoundLimit:
        """A tenth of the budget, shared by the setups, and not more than is left of it."""
        share, runs = len(self.plan.setups), None
        if self.plan.most_runs is not None:
            runs = max(_FEWEST_RUNS, math.ceil(self.plan.most_runs / ROUNDS / share))
            runs = min(runs, self.plan.most_runs - made)
        if self.plan.most_hours is None:
            return RoundLimit(runs=runs)
        if not known.costs.in_seconds:  # a few runs, to learn what they cost
            return RoundLimit(runs=min(runs or _FEWEST_RUNS, _FEWEST_RUNS))
        seconds = self.plan.most_hours * 3600
        least = _FEWEST_RUNS * max(known.costs.run.values(), default=0.0)
        return RoundLimit(min(max(seconds / ROUNDS / share, least), seconds - spent), runs)

    def _known(self, setup: PlannedSetup) -> MeasuredSoFar:
        runs = tuple(self._stored(setup))
        pairs = tuple(pairs_of(self.plan))
        cache = checkpoint_cache_of(self.plan)
        weights = frozenset(
            (source, seed)
            for source in dict.fromkeys(source for source, _ in pairs)
            for seed in setup.seeds
            if cache.source_path(RunGroup(setup, source, seed, ()).source_key(self.data, self.plan.threads)).exists()
        )
        return MeasuredSoFar(setup.name, pairs, setup.seeds, runs, weights, _costs(setup, self.data, pairs, runs))

    def _stored(self, setup: PlannedSetup) -> Iterator[Run]:
        """The plan's runs of a setup that are in the store."""
        if is_store(self.plan.store):
            with RunStore.open(self.plan.store, read_only=True) as store:
                yield from (run for run in store.runs(setup=setup.name) if run.key in self.keys)


def seconds_of(run: Run) -> float:
    """What a run took, training of its source included where it was trained for this run."""
    return math.fsum(run.durations.values())


def examples_read(setup: PlannedSetup, data: Mapping[str, TaskData], task: str, *, as_source: bool) -> int:
    """How many examples a training on that task reads, all updates together."""
    if not as_source and setup.trains_only_sources:
        return 0
    if as_source and data[task].ready_digest:
        return 0
    settings = setup.source_settings_for(task) if as_source else setup.settings_for(task)
    examples = data[task].source_examples if as_source else data[task].target_examples
    return settings.steps * settings.batch_size if settings.steps else settings.epochs * examples


def _costs(
    setup: PlannedSetup, data: Mapping[str, TaskData], pairs: Sequence[tuple[str, str]], runs: Sequence[Run]
) -> PairCosts:
    """Means of what was timed; for what was not, by the examples that are read."""
    timed: dict[str, list[float]] = {}
    trained: dict[str, list[float]] = {}
    seconds, read = 0.0, 0
    for run in (run for run in runs if run.status == "finished"):
        own = run.durations.get("training", 0.0) + run.durations.get("evaluation", 0.0)
        timed.setdefault(run.target, []).append(own)
        seconds, read = seconds + own, read + max(1, examples_read(setup, data, run.target, as_source=False))
        if run.source is not None and (of_source := run.durations.get("source_training")):
            trained.setdefault(run.source, []).append(of_source)
            seconds, read = seconds + of_source, read + examples_read(setup, data, run.source, as_source=True)
    each = seconds / read if read and seconds > 0 else 1.0

    def estimated(task: str, known: Mapping[str, list[float]], *, as_source: bool) -> float:
        if task in known:
            return math.fsum(known[task]) / len(known[task])
        return each * max(1, examples_read(setup, data, task, as_source=as_source))

    return PairCosts(
        {target: estimated(target, timed, as_source=False) for _, target in pairs},
        {source: estimated(source, trained, as_source=True) for source, _ in pairs},
        bool(seconds),
    )


def _with_baselines(setup: PlannedSetup, known: MeasuredSoFar, wanted: Sequence[PairRun], most: int | None) -> list[RunSpec]:
    """The runs, each after its baseline if that is missing; at most so many.

    First come the baselines of pairs that were run without one, as where a stop came between the two: without it, a pair that
    is paid for says nothing.
    """
    made = {(run.source, run.target, run.seed) for run in known.runs}
    lacking = dict.fromkeys((run.target, run.seed) for run in known.runs if (None, run.target, run.seed) not in made)
    found = [RunSpec(setup, None, target, seed) for target, seed in lacking if seed is not None][:most]
    made |= {(None, spec.target, spec.seed) for spec in found}
    for run in wanted:
        new = [
            RunSpec(setup, source, run.target, run.seed)
            for source in (None, run.source)
            if (source, run.target, run.seed) not in made
        ]
        if most is not None and len(found) + len(new) > most:
            new = new[: most - len(found)]
        made |= {(spec.source, spec.target, spec.seed) for spec in new}
        found += new
    return found


def _new_pairs(specs: Sequence[RunSpec], known: Sequence[MeasuredSoFar]) -> set[tuple[str, str, str]]:
    """The pairs of these runs that have no run yet, by setup."""
    seen = {(own.setup, run.source, run.target) for own in known for run in own.runs if run.source is not None}
    return {(run.setup.name, run.source, run.target) for run in specs if run.source is not None} - seen


def _targets(known: MeasuredSoFar) -> set[str]:
    return {target for _, target in known.pairs}
