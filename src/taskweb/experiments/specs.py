"""The runs of a plan, and the keys that they will have in the store."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from taskweb.experiments.plan import Plan, PlannedSetup
from taskweb.experiments.task_data import Digested
from taskweb.training.settings import TrainingSettings
from taskweb.web.records.run import Run, Scalar, SetupRecord, canonical_json

RECORD_FORMAT = "record_format"
"""The hyperparameter that tells runs with resolved values in their definition (2) from those of version 0.1, without it."""


@lru_cache
def _as_text(settings: TrainingSettings) -> str:
    return canonical_json(settings.to_dict())


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run to do. source None: a baseline."""

    setup: PlannedSetup
    source: str | None
    target: str
    seed: int

    def record(self, data: Mapping[str, Digested], threads: int) -> Run:
        """The run's record without its outcome. Its key depends on all that defines the run."""
        settings = self.setup.settings_for(self.target)
        own = data[self.target]
        definition: dict[str, Scalar] = {
            "train_examples": own.target_examples,
            "evaluation_examples": own.evaluation_examples,
            "train_data": own.target_digest,
            "evaluation_data": own.evaluation_digest,
            "threads": threads,
            **self.setup.resolved,
        }
        if self.setup.trains_only_sources:
            definition |= {"measures": self.setup.measures, "train_examples": 0}
            del definition["train_data"]
        if self.source is not None:
            given = data[self.source]
            trained: dict[str, Scalar] = {
                "source_examples": given.source_examples,
                "source_data": given.source_digest,
                "source_training": _as_text(self.setup.source_settings_for(self.source)),
            }
            definition |= {"source_weights": given.ready_digest} if given.ready_digest else trained
        if self.setup.is_made_from_texts:
            definition["vocabulary"] = _vocabulary(data)
        parameters = {f"method.{name}": value for name, value in self.setup.method_parameters.items()}
        record = SetupRecord(
            self.setup.name,
            self.setup.model,
            self.setup.revision,
            self.setup.method,
            {
                **settings.to_dict(),
                **parameters,
                "max_input": self.setup.text.max_input,
                "carry_head": self.setup.carry_head,
                RECORD_FORMAT: 2,
            },
        )
        return Run(record, self.target, self.source, self.seed, definition=definition)


def _vocabulary(data: Mapping[str, Digested]) -> str:
    """A digest of the texts of a plan. Tiny models take their vocabulary from them: with another task it is another model."""
    named = [(name, data[name].source_digest, data[name].target_digest) for name in sorted(data)]
    return hashlib.sha256(canonical_json(named).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Runs that share one source and seed: the source is trained once, then every target."""

    setup: PlannedSetup
    source: str | None
    seed: int
    targets: tuple[str, ...]

    def specs(self) -> Iterator[RunSpec]:
        """The runs of the group, in order."""
        return (RunSpec(self.setup, self.source, target, self.seed) for target in self.targets)

    def keeping(self, wanted: Callable[[RunSpec], bool]) -> RunGroup | None:
        """The group with those of its runs that are wanted; None where there are none."""
        targets = tuple(spec.target for spec in self.specs() if wanted(spec))
        return dataclasses.replace(self, targets=targets) if targets else None

    def source_key(self, data: Mapping[str, Digested], threads: int) -> str:
        """The key of the weights after the source, which do not depend on the targets."""
        assert self.source is not None
        own = RunSpec(self.setup, None, self.source, self.seed).record(data, threads)
        settings = self.setup.source_settings_for(self.source)
        given = data[self.source]
        defining = {"source_data": given.source_digest, "training": repr(settings.to_dict())}
        defining = {"source_weights": given.ready_digest} if given.ready_digest else defining
        return outcome(own, definition={**own.definition, **defining}).key


@dataclass(frozen=True, slots=True)
class FusedGroups:
    """Groups of one setup whose trainings share passes: sources and transfers, baselines and seeds together.

    most: trainings at once; None chooses by memory and speed.
    """

    groups: tuple[RunGroup, ...]
    most: int | None

    def specs(self) -> Iterator[RunSpec]:
        """The runs of all groups, in order."""
        return (spec for group in self.groups for spec in group.specs())

    def keeping(self, wanted: Callable[[RunSpec], bool]) -> FusedGroups | None:
        """The groups with those of their runs that are wanted; None where there are none."""
        kept = tuple(found for group in self.groups if (found := group.keeping(wanted)) is not None)
        return dataclasses.replace(self, groups=kept) if kept else None


Work = RunGroup | FusedGroups
"""What a worker is given at once."""


def runs_of(plan: Plan) -> list[RunSpec]:
    """All runs of a plan: for every seed and setup the baselines first, then the transfers, source by source.

    Where pairs are chosen, all that may be.
    """
    specs = []
    pairs = pairs_of(plan)
    targets = [task for task in plan.tasks if any(task == target for _, target in pairs)]
    for seed in plan.all_seeds:
        for setup in (setup for setup in plan.setups if seed in setup.seeds):
            specs += [RunSpec(setup, None, target, seed) for target in targets]
            specs += [RunSpec(setup, source, target, seed) for source, target in pairs]
    return specs if plan.most_runs is None or plan.is_chosen else specs[: plan.most_runs]


def keys_of(plan: Plan, data: Mapping[str, Digested]) -> dict[str, RunSpec]:
    """The runs of a plan by their keys in the store, in the order in which they are done."""
    return {spec.record(data, plan.threads).key: spec for spec in runs_of(plan)}


def groups_of(specs: list[RunSpec]) -> list[RunGroup]:
    """Group runs by setup, source and seed, in the order of their first runs."""
    groups: dict[tuple[str, str | None, int], RunGroup] = {}
    for spec in specs:
        key = (spec.setup.name, spec.source, spec.seed)
        known = groups.get(key)
        targets = (*known.targets, spec.target) if known else (spec.target,)
        groups[key] = RunGroup(spec.setup, spec.source, spec.seed, targets)
    return list(groups.values())


def pairs_of(plan: Plan) -> list[tuple[str, str]]:
    """The pairs of source and target of a plan, in the order of its runs. The same plan gives the same pairs."""
    wanted = plan.pairs
    if wanted.mode == "listed":
        return sorted(set(wanted.listed), key=lambda pair: (pair[0], pair[1]))
    everything = [(source, target) for source in plan.sources for target in plan.targets if source != target]
    if wanted.mode == "sampled":
        count = max(1, round(wanted.share * len(everything)))
        chosen = set(random.Random(wanted.seed).sample(everything, count))  # noqa: S311 - a fixed choice, not security
        return [pair for pair in everything if pair in chosen]
    return everything


def outcome(record: Run, **changes: object) -> Run:
    """The record with its outcome; what defines the run stays."""
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]
