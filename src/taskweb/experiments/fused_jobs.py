"""What fused execution works on: trainings to do and under way, lanes of those that may share passes, weights of sources."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.experiments.checkpoint_cache import CachedSource
from taskweb.experiments.run_outcomes import Source
from taskweb.experiments.specs import RunGroup, RunSpec
from taskweb.models.shared_base import PutAside
from taskweb.tasks import Example
from taskweb.tasks.overflow import CutReport
from taskweb.training import TrainingSettings
from taskweb.training.fused_training import FusedTraining, Place


@dataclass(slots=True, eq=False)
class SourceWeights:
    """The weights after one source: how they are cached, and the group whose transfers need them."""

    group: RunGroup
    key: str
    cached: CachedSource
    left: int


@dataclass(slots=True, eq=False)
class TrainingJob:
    """One training to do: of a source (spec None), or of a target, after a source where there is one."""

    group: RunGroup
    key: str
    spec: RunSpec | None = None
    source: Source | None = None
    weights: SourceWeights | None = None

    @property
    def task(self) -> str:
        """What is trained on."""
        return str(self.group.source) if self.spec is None else self.spec.target

    @property
    def settings(self) -> TrainingSettings:
        """How."""
        setup = self.group.setup
        return setup.source_settings_for(self.task) if self.spec is None else setup.settings_for(self.task)


@dataclass(slots=True, eq=False)
class RunningTraining:
    """A job in a place."""

    job: TrainingJob
    place: Place
    identity: str
    trained: list[Example]
    cut: CutReport
    checkpoint: Path


@dataclass(slots=True, eq=False)
class Lane:
    """Trainings that may share passes: their heads are of one kind, and they compute in the same precision.

    spans: whether the head finds spans.
    """

    spans: bool
    jobs: deque[TrainingJob] = field(default_factory=deque)
    training: FusedTraining | None = None
    aside: PutAside | None = None
    running: list[RunningTraining] = field(default_factory=list)
