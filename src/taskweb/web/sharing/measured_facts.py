"""What was measured, gathered while runs are written: setups, tasks, metrics, statuses, versions and time."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from taskweb.tasks import catalogue
from taskweb.web.records.run import Run, Scalar
from taskweb.web.sharing.shared_manifest import SharedSetup, SharedTask

_SECONDS_PER_HOUR = 3600


@dataclass
class MeasuredFacts:
    """Counts over runs. metrics: by name, on how many runs. pairs: setup, source and target. versions: by package."""

    statuses: Counter[str] = field(default_factory=Counter)
    baselines: int = 0
    setups: dict[str, SharedSetup] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    targets: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seeds: set[int] = field(default_factory=set)
    pairs: set[tuple[str, str, str]] = field(default_factory=set)
    versions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seconds: float = 0.0

    def counted(self, runs: Iterable[Run]) -> Iterator[Run]:
        """The runs as they are shared, each counted."""
        for run in map(_as_shared, runs):
            self._add(run)
            yield run

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return self.statuses.total()

    @property
    def hours(self) -> float:
        """How long all of them took, as far as that is known."""
        return self.seconds / _SECONDS_PER_HOUR

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics."""
        return tuple(sorted(set().union(*self.targets.values()))) if self.targets else ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, sources and targets."""
        return tuple(sorted(self.sources | set(self.targets)))

    @property
    def local_models(self) -> tuple[str, ...]:
        """Models that are named by a path of this machine."""
        return tuple(sorted({setup.model for setup in self.setups.values() if _is_path(setup.model)}))

    def shared_tasks(self, texts: Mapping[str, int], licences: Mapping[str, str]) -> dict[str, SharedTask]:
        """Each task with what the catalogue knows of it. texts: how many examples are shared. licences: declared ones."""
        known, found = catalogue(), {}
        for name in self.tasks:
            task = known.get(name)
            metrics = tuple(sorted(self.targets.get(name, ())))
            own = SharedTask(metrics=metrics, texts=texts.get(name, 0), licence=licences.get(name, ""))
            if task is not None:
                licence = own.licence or task.licence
                own = dataclasses.replace(
                    own, kind=task.kind, category=task.category, title=task.title, licence=licence, citation=task.citation
                )
            found[name] = own
        return found

    def _add(self, run: Run) -> None:
        self.statuses[run.status] += 1
        if run.source is None:
            self.baselines += 1
        else:
            self.sources.add(run.source)
            self.pairs.add((run.setup.name, run.source, run.target))
        self.targets[run.target].update(run.metrics)
        if run.seed is not None:
            self.seeds.add(run.seed)
        for package, version in run.versions.items():
            self.versions[package].add(version)
        self.seconds += sum(value for value in run.durations.values() if value == value)
        self._add_setup(run)

    def _add_setup(self, run: Run) -> None:
        setup, known = run.setup, self.setups.get(run.setup.name)
        shared: Mapping[str, Scalar] = setup.hyperparameters
        if known is not None:
            shared = known.hyperparameters
            if shared != setup.hyperparameters:
                shared = {name: value for name, value in shared.items() if setup.hyperparameters.get(name) == value}
        runs = 1 + (known.runs if known is not None else 0)
        self.setups[setup.name] = SharedSetup(setup.model, setup.revision, setup.method, shared, runs)


def _as_shared(run: Run) -> Run:
    """The run without the name of this user's home folder in the reason of its failure."""
    home = str(Path.home())
    return dataclasses.replace(run, reason=run.reason.replace(home, "~")) if run.reason and home in run.reason else run


def _is_path(model: str) -> bool:
    return PurePosixPath(model).is_absolute() or PureWindowsPath(model).is_absolute() or model.startswith(("~", "."))
