"""Which groups of runs are trained together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskweb.experiments.executors import Executor
from taskweb.experiments.plan import Fuse, PlannedSetup
from taskweb.experiments.specs import FusedGroups, RunGroup, Work
from taskweb.experiments.task_data import Digested
from taskweb.training.settings import TrainingSettings

FUSABLE_METHODS = ("lora", "pfeiffer", "bitfit")
_RUNS_PER_PLACE = 8  # so many runs follow each other in a place, before those that are left no longer fill the passes
_PLACES_OF_AUTO = 16


def work_of(groups: Sequence[RunGroup], fuse: int | None, workers: int = 1) -> list[Work]:
    """Groups as they are given to workers: those of a setup together where their trainings may share passes.

    fuse: most trainings at once; 1 for none together, None for as many as memory and speed allow. workers: that share the work,
    0 for an unknown number. A single one gets all groups of a setup at once.
    """
    if fuse == 1:
        return list(groups)
    by_setup: dict[str, list[RunGroup]] = {}
    for group in groups:
        by_setup.setdefault(group.setup.name, []).append(group)
    work: list[Work] = []
    for own in by_setup.values():
        if is_fusable(own[0].setup):
            least = len(own) if workers == 1 else 0
            parts = _parts(own, (fuse or _PLACES_OF_AUTO) * _RUNS_PER_PLACE, least)
            work += [FusedGroups(tuple(part), fuse) for part in parts]
        else:
            work += own
    return work


def longest_first(work: Sequence[Work], data: Mapping[str, Digested]) -> list[Work]:
    """Work in the order in which several workers should take it, so that none is left alone with much at the end."""
    return sorted(work, key=lambda piece: -sum(_examples_read(group, data) for group in _groups(piece)))


def _groups(work: Work) -> tuple[RunGroup, ...]:
    return work.groups if isinstance(work, FusedGroups) else (work,)


def _examples_read(group: RunGroup, data: Mapping[str, Digested]) -> int:
    """How many examples the trainings of a group read, all updates together."""

    def read(settings: TrainingSettings, examples: int) -> int:
        return settings.steps * settings.batch_size if settings.steps else settings.epochs * examples

    setup, source = group.setup, group.source
    own = (
        0
        if source is None or data[source].ready_digest
        else read(setup.source_settings_for(source), data[source].source_examples)
    )
    return own + sum(read(setup.settings_for(target), data[target].target_examples) for target in group.targets)


def most_together(fuse: Fuse, executor: Executor) -> int | None:
    """How many trainings share passes, None for as many as memory and speed allow. `auto` is 1 on a CPU: bits count there."""
    if fuse != "auto":
        return fuse
    import torch

    return None if torch.cuda.is_available() or getattr(executor, "uses_gpus", False) else 1


def is_fusable(setup: PlannedSetup) -> bool:
    """Whether trainings of a setup may share passes, as far as its method says; the model has the last word."""
    return setup.method in FUSABLE_METHODS and not setup.trains_only_sources and not setup.method_parameters.get("use_dora")


def _parts(groups: Sequence[RunGroup], runs: int, least: int) -> list[list[RunGroup]]:
    """Groups in parts of at least that many runs, and of at least that many groups; the last one perhaps smaller."""
    parts: list[list[RunGroup]] = [[]]
    count = 0
    for group in groups:
        if count >= runs and len(parts[-1]) >= least:
            parts.append([])
            count = 0
        parts[-1].append(group)
        count += len(group.targets)
    return parts
