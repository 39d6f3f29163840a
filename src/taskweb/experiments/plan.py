"""A plan: which transfers to measure, on which tasks, with which models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from taskweb.tasks import Columns, Task
from taskweb.tasks.templates import Template
from taskweb.tasks.text_settings import TextSettings
from taskweb.training.settings import TrainingSettings

PairMode = Literal["all", "listed", "sampled", "rows", "chosen"]
PAIR_MODES: tuple[PairMode, ...] = get_args(PairMode)
Measures = Literal["transfer", "zero-shot"]
MEASURES: tuple[Measures, ...] = get_args(Measures)
Role = Literal["both", "source", "target"]
ROLES: tuple[Role, ...] = get_args(Role)
Fuse = int | Literal["auto"]
"""How many trainings may share passes: a number, or as many as memory and speed allow on a GPU, and 1 on a CPU."""


@dataclass(frozen=True, slots=True)
class ExampleCounts:
    """Most examples to train on as a source and as a target, and to evaluate on. A task with fewer gives all of them."""

    source: int = 1000
    target: int = 1000
    evaluation: int = 1000


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task of a plan, its role, and where its examples are: in files, on the Hub, or else in a synthetic family.

    hub: `hf:<id>[/<config>][@<revision>]`. split, eval_split: of it. Without eval_file or eval_split, examples are held out.
    columns: of rows that are prompts. labels: the texts for the numbers 0, 1, ... in the output column, and the choices.
    templates: make prompts of rows instead; each row gets one template, in turn. group_pattern: a regular expression that
    matches a whole input; its groups are the underlying text, which several prompts may share. ready: a folder, or
    `hf:<owner>/<name>@<revision>`, with weights that were trained on the task elsewhere: as a source it is not trained.
    """

    task: Task
    role: Role = "both"
    file: Path | None = None
    eval_file: Path | None = None
    hub: str | None = None
    split: str | None = None
    eval_split: str | None = None
    columns: Columns = field(default_factory=Columns)
    labels: tuple[str, ...] | None = None
    templates: tuple[Template, ...] = ()
    group_pattern: str | None = None
    ready: str | None = None

    @property
    def origin(self) -> str:
        """Where its examples, or else its weights, come from, to show to people."""
        return str(self.file or self.hub or self.ready or "synthetic")

    @property
    def has_examples(self) -> bool:
        """Whether it has any, in files, on the Hub or in a synthetic family: a ready source may have none."""
        return self.ready is None or self.file is not None or self.hub is not None


@dataclass(frozen=True, slots=True)
class PlannedSetup:
    """A model and a method, with the settings for targets, for sources, and for single tasks in either role.

    seeds: one run of each pair per seed; the plan's seeds, or the setup's own.
    measures: what runs measure: `transfer`, the source and then the target's training; or `zero-shot`, the source alone.
    carry_head: an encoder uses the source's head for a target of the same kind and size; otherwise a new head.
    model: Hub id, folder, or `tiny:t5`, `tiny:gpt2`, `tiny:llama`, ... for a small one with random weights; as written in the
    plan, so that runs keep their keys when the plan is moved. folder: the folder that it is loaded from, None for others.
    revision: commit on the Hub, or a digest of a folder's files (`folder_stamp`).
    text: how examples are read. family: instead of the one that the configuration says. dtype: of frozen weights.
    load_in: quantization. resolved: what follows from all this for the model at hand (`resolution`), part of what a run is.
    """

    name: str
    model: str
    revision: str | None
    method: str
    method_parameters: Mapping[str, Any]
    text: TextSettings
    training: TrainingSettings
    source_training: TrainingSettings
    by_target: Mapping[str, TrainingSettings]
    by_source: Mapping[str, TrainingSettings]
    seeds: tuple[int, ...]
    carry_head: bool = False
    measures: Measures = "transfer"
    folder: str | None = None
    family: str | None = None
    dtype: str = "float32"
    load_in: str | None = None
    resolved: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)

    @property
    def is_made_from_texts(self) -> bool:
        """Whether this is one of the tiny models, whose vocabulary is made from the texts of the plan's tasks."""
        return self.model.startswith("tiny:")

    @property
    def trains_only_sources(self) -> bool:
        """Whether the target is evaluated without being trained on."""
        return self.measures == "zero-shot"

    @property
    def loaded_from(self) -> tuple[str, str | None]:
        """The name and the revision by which the model is loaded."""
        return (self.model, self.revision) if self.folder is None else (self.folder, None)

    def settings_for(self, target: str) -> TrainingSettings:
        """The settings for that target."""
        return self.by_target.get(target, self.training)

    def source_settings_for(self, source: str) -> TrainingSettings:
        """The settings for that source."""
        return self.by_source.get(source, self.source_training)


@dataclass(frozen=True, slots=True)
class PairPlan:
    """Which pairs to measure. all: every source with every target; listed: these pairs; sampled: a share of all pairs, drawn
    with a seed; rows: all sources for these targets; chosen: any pairs, bought in rounds until the budget is spent. A task is
    never its own source.
    """

    mode: PairMode = "all"
    listed: tuple[tuple[str, str], ...] = ()
    share: float = 1.0
    seed: int = 0
    sources: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class CheckpointLimits:
    """seconds: training time between two checkpoints of a training. most_gib: most GiB of cached weights after sources; beyond
    it, the least recently used ones are removed, but none in use.
    """

    seconds: float = 60.0
    most_gib: float = 50.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to be measured. synthetic: preset of the family that tasks without a file come from.

    fuse: trainings at once, for setups whose runs share a frozen base; no part of what a run is, as results differ by rounding.
    most_runs: only the first `most_runs` of all runs, or, of chosen pairs, as many. most_hours: no run is started once the runs
    took that many hours of one worker.
    """

    name: str
    store: Path
    seeds: tuple[int, ...]
    tasks: Mapping[str, PlannedTask]
    setups: tuple[PlannedSetup, ...]
    examples: ExampleCounts = field(default_factory=ExampleCounts)
    pairs: PairPlan = field(default_factory=PairPlan)
    threads: int = 1
    fuse: Fuse = "auto"
    most_runs: int | None = None
    synthetic: str | None = None
    most_hours: float | None = None
    checkpoints: CheckpointLimits = field(default_factory=CheckpointLimits)

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of the plan and of its setups, each once, in the order of the runs."""
        return tuple(dict.fromkeys((*self.seeds, *(seed for setup in self.setups for seed in setup.seeds))))

    @property
    def is_chosen(self) -> bool:
        """Whether pairs are bought in rounds, as a chooser decides."""
        return self.pairs.mode == "chosen"

    @property
    def sources(self) -> tuple[str, ...]:
        """The tasks that may be sources."""
        return self.pairs.sources or tuple(name for name, task in self.tasks.items() if task.role != "target")

    @property
    def targets(self) -> tuple[str, ...]:
        """The tasks that may be targets."""
        return self.pairs.targets or tuple(name for name, task in self.tasks.items() if task.role != "source")
