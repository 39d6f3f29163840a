"""A plan: which transfers to measure, on which tasks, with which models; one TOML file, checked whole before anything runs."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from taskweb.errors import InputError, ParameterError, TaskWebError, unknown_name
from taskweb.tasks import Columns, Task, catalogue
from taskweb.tasks.paths import kind_of_path, unreadable
from taskweb.tasks.synthetic import find_family
from taskweb.tasks.task import TaskKind
from taskweb.training.settings import TrainingSettings

PairMode = Literal["all", "listed", "sampled", "rows"]
PAIR_MODES: tuple[PairMode, ...] = get_args(PairMode)
_PLAN_KEYS = ("store", "seeds", "threads", "examples", "tasks", "setups", "pairs", "synthetic", "budget")
_EXAMPLE_KEYS = ("source", "target", "evaluation")
_TASK_KEYS = ("file", "eval_file", "kind", "metrics", "input", "output", "choices")
_SETUP_KEYS = (
    "model",
    "revision",
    "method",
    "method_parameters",
    "max_input",
    "carry_head",
    "seeds",
    "training",
    "source_training",
    "targets",
)
_PAIR_KEYS = ("mode", "listed", "share", "seed", "sources", "targets")
_BUDGET_KEYS = ("runs",)
_SYNTHETIC_KEYS = ("preset", "tasks")


@dataclass(frozen=True, slots=True)
class ExampleCounts:
    """Most examples to train on as a source and as a target, and to evaluate on; a task with fewer gives all it has."""

    source: int = 1000
    target: int = 1000
    evaluation: int = 1000


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task of a plan and where its examples are. file None: a task of a synthetic family."""

    task: Task
    file: Path | None = None
    eval_file: Path | None = None
    columns: Columns = field(default_factory=Columns)


@dataclass(frozen=True, slots=True)
class PlannedSetup:
    """A model and a method, with the settings for targets, for sources, and for single targets.

    seeds: what to draw from, one run of each pair per seed; the plan's, or the setup's own.
    carry_head: an encoder keeps the source's head where the target's is of the same kind and size; a fresh one otherwise.
    model: Hub id, folder, or `tiny:t5`, `tiny:gpt2`, `tiny:roberta` for a small one with random weights.
    """

    name: str
    model: str
    revision: str | None
    method: str
    method_parameters: Mapping[str, Any]
    max_input: int | None
    training: TrainingSettings
    source_training: TrainingSettings
    by_target: Mapping[str, TrainingSettings]
    seeds: tuple[int, ...]
    carry_head: bool = False

    def settings_for(self, target: str) -> TrainingSettings:
        """How that target is trained."""
        return self.by_target.get(target, self.training)


@dataclass(frozen=True, slots=True)
class PairPlan:
    """Which pairs to measure. all: every source with every target; listed: these; sampled: a share of all, drawn with a seed;
    rows: all sources for these targets. A task is never its own source.
    """

    mode: PairMode = "all"
    listed: tuple[tuple[str, str], ...] = ()
    share: float = 1.0
    seed: int = 0
    sources: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to be measured. synthetic: preset of the family that tasks without a file come from."""

    name: str
    store: Path
    seeds: tuple[int, ...]
    tasks: Mapping[str, PlannedTask]
    setups: tuple[PlannedSetup, ...]
    examples: ExampleCounts = field(default_factory=ExampleCounts)
    pairs: PairPlan = field(default_factory=PairPlan)
    threads: int = 1
    most_runs: int | None = None
    synthetic: str | None = None

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of the plan and of its setups, each once, in the order in which they are run."""
        return tuple(dict.fromkeys((*self.seeds, *(seed for setup in self.setups for seed in setup.seeds))))


def read_plan(path: Path) -> Plan:
    """Read and check a plan; relative paths in it start from its folder.

    Raises InputError for a file that is no TOML, ParameterError that lists all faults of the plan at once.
    """
    plan, faults = plan_and_faults(path)
    refuse(path, faults)
    return plan


def plan_and_faults(path: Path, *, methods: bool = False) -> tuple[Plan, list[str]]:
    """A plan and what is wrong with it; where there are faults, the plan holds the parts that can be read.

    methods: check adaptation methods and their parameters too, which loads torch. Raises InputError for a file that is no TOML.
    """
    if kind_of_path(path) != "file":
        raise InputError(f"There is no plan {path}. Give a TOML file.")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise unreadable(path, fault) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        twice = " Two tasks or setups cannot share a name." if "twice" in str(fault) or "overwrite" in str(fault) else ""
        raise InputError(f"The plan {path} is not valid TOML: {fault}.{twice}") from None
    reader = _Reader(path.parent, methods)
    return reader.plan(path.stem, raw), list(dict.fromkeys(reader.faults))


def refuse(path: Path, faults: Sequence[str]) -> None:
    """Raise ParameterError that lists the faults of a plan, if there are any."""
    if faults:
        listed = "; ".join(f"({i}) {fault.rstrip('.')}" for i, fault in enumerate(faults, 1))
        raise ParameterError(f"The plan {path} cannot be run: {listed}.")


class _Reader:
    """Turns parsed TOML into records and gathers faults on the way."""

    def __init__(self, folder: Path, methods: bool) -> None:
        self.folder = folder
        self.methods = methods
        self.faults: list[str] = []

    def plan(self, name: str, raw: Mapping[str, Any]) -> Plan:
        self._known("plan", raw, _PLAN_KEYS)
        synthetic = self._table("synthetic", raw)
        self._known("[synthetic]", synthetic, _SYNTHETIC_KEYS)
        preset = synthetic.get("preset")
        tasks = {task: found for task, entry in self._table("tasks", raw).items() if (found := self._task(task, entry))}
        if preset is not None:
            tasks |= self._synthetic_tasks(str(preset), synthetic.get("tasks"), tasks)
        if not tasks and not self.faults:
            self.faults.append("it names no tasks; add [tasks.NAME] tables or [synthetic]")
        seeds = self._seeds("", raw, (1,))
        setups = tuple(
            made for label, entry in self._table("setups", raw).items() if (made := self._setup(label, entry, tasks, seeds))
        )
        if not self._table("setups", raw):
            self.faults.append('it names no setups; add a [setups."model/method"] table')
        counts = self._counts(self._table("examples", raw), "[examples]", _EXAMPLE_KEYS)
        budget = self._counts(self._table("budget", raw), "[budget]", _BUDGET_KEYS)
        threads = raw.get("threads", 1)
        if not _is_count(threads, 1):
            self.faults.append(f"threads must be a whole number from 1. Got {threads}")
            threads = 1
        pairs = self._pairs(self._table("pairs", raw), tasks)
        store = self.folder / str(raw.get("store", f"{name}.db"))
        return Plan(name, store, seeds, tasks, setups, ExampleCounts(**counts), pairs, threads, budget.get("runs"), preset)

    def _task(self, name: str, entry: Any) -> PlannedTask | None:
        where = f"[tasks.{name}]"
        if not isinstance(entry, dict):
            self.faults.append(f"{where} must be a table such as {{file = '{name}.jsonl'}}")
            return None
        self._known(where, entry, _TASK_KEYS)
        files: dict[str, Path | None] = {"file": None, "eval_file": None}
        for key in files:
            if key in entry:
                files[key] = self.folder / str(entry[key])
                try:
                    if kind_of_path(files[key]) != "file":  # type: ignore[arg-type]
                        self.faults.append(f"{where}: there is no file {files[key]}")
                except TaskWebError as fault:
                    self.faults.append(f"{where}: {fault}")
        if files["file"] is None:
            self.faults.append(f"{where} names no file")
        known = catalogue().get(name)
        kind: TaskKind = entry.get("kind", known.kind if known else "classification")
        metrics = entry.get("metrics", list(known.metrics) if known and kind == known.kind else ["accuracy"])
        try:
            task = Task(name, kind, tuple(metrics), known.category if known else "other")
        except TaskWebError as fault:
            self.faults.append(f"{where}: {fault}")
            return None
        names = entry.get("input", ["input"])
        named = frozenset(entry[key] for key in ("output", "choices") if key in entry)
        columns = Columns(
            tuple([names] if isinstance(names, str) else names),
            entry.get("output", "output"),
            entry.get("choices", "choices"),
            named,
        )
        return PlannedTask(task, files["file"], files["eval_file"], columns)

    def _synthetic_tasks(self, preset: str, chosen: Any, tasks: Mapping[str, PlannedTask]) -> dict[str, PlannedTask]:
        try:
            family = find_family(preset)
        except TaskWebError as fault:
            self.faults.append(f"[synthetic]: {fault}")
            return {}
        names = list(family.task_names) if chosen is None else self._names("[synthetic] tasks", chosen)
        for name in names:
            if name not in family.task_names:
                self.faults.append(f"[synthetic]: {unknown_name('task of the family', str(name), family.task_names)}")
            if name in tasks:
                self.faults.append(f"two tasks are named '{name}': one of the synthetic family and one with a file")
        return {name: PlannedTask(task) for name, task in family.tasks_by_name.items() if name in names}

    def _setup(
        self, name: str, entry: Any, tasks: Mapping[str, PlannedTask], plan_seeds: tuple[int, ...]
    ) -> PlannedSetup | None:
        where = f'[setups."{name}"]'
        if not isinstance(entry, dict):
            self.faults.append(f"{where} must be a table with a model and a method")
            return None
        self._known(where, entry, _SETUP_KEYS)
        method = str(entry.get("method", name.partition("/")[2].partition("@")[0]))
        if "model" not in entry:
            self.faults.append(f"{where} names no model: a Hub id or a folder")
        parameters = entry.get("method_parameters", {})
        if self.methods:
            self._check_method(where, method, parameters)
        seeds = self._seeds(f"{where} ", entry, plan_seeds)
        common = self._table("training", entry, where)
        base = self._settings(f"{where} training", common, {})
        source = self._settings(f"{where} source_training", entry.get("source_training", {}), common)
        by_target = {}
        for target, changes in self._table("targets", entry, where).items():
            if target not in tasks:
                self.faults.append(f"{where} targets: {unknown_name('task', target, tasks)}")
            settings = self._settings(f"{where} targets.{target}", changes, common)
            if settings is not None:
                by_target[target] = settings
        model = self._model(where, str(entry["model"])) if "model" in entry else None
        revision, most, carry = entry.get("revision"), entry.get("max_input"), bool(entry.get("carry_head", False))
        if revision is not None and not isinstance(revision, str):
            self.faults.append(f"{where} revision must be a commit, branch or tag. Got {revision}")
        if most is not None and not _is_count(most, 8):
            self.faults.append(f"{where} max_input must be a whole number of tokens from 8. Got {most}")
        if base is None or source is None or model is None:
            return None
        return PlannedSetup(name, model, revision, method, parameters, most, base, source, by_target, seeds, carry)

    def _check_method(self, where: str, method: str, parameters: Any) -> None:
        from taskweb.models import method_of

        try:
            method_of(method, parameters)
        except TaskWebError as fault:
            self.faults.append(f"{where}: {fault}")

    def _model(self, where: str, model: str) -> str:
        if model.startswith((".", "/", "~")):
            folder = self.folder / Path(model).expanduser()
            if kind_of_path(folder) != "folder":
                self.faults.append(f"{where}: there is no model in {folder}")
            return str(folder)
        return model

    def _settings(self, where: str, changes: Any, base: Mapping[str, Any]) -> TrainingSettings | None:
        names = [f.name for f in dataclasses.fields(TrainingSettings)]
        if not isinstance(changes, dict):
            self.faults.append(f"{where} must be a table")
            return None
        self._known(where, changes, names)
        given = {key: value for key, value in {**base, **changes}.items() if key in names}
        try:
            return TrainingSettings(**given)
        except TaskWebError as fault:
            self.faults.append(f"{where}: {fault}")
        except TypeError:
            self.faults.append(f"{where}: a value is of the wrong type")
        return None

    def _pairs(self, raw: Mapping[str, Any], tasks: Mapping[str, PlannedTask]) -> PairPlan:
        self._known("[pairs]", raw, _PAIR_KEYS)
        mode = raw.get("mode", "all")
        if mode not in PAIR_MODES:
            self.faults.append(f"[pairs]: {unknown_name('mode', str(mode), PAIR_MODES)}")
        given = raw.get("listed", [])
        if not (isinstance(given, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in given)):
            self.faults.append("[pairs] listed must hold pairs of source and target, such as [['snli', 'rte']]")
            given = []
        listed = tuple((str(source), str(target)) for source, target in given)
        self.faults += [f"[pairs] listed: '{source}' cannot be its own source" for source, target in listed if source == target]
        sources, targets = (self._names(f"[pairs] {key}", raw[key]) if key in raw else None for key in ("sources", "targets"))
        for name in sorted({*(sources or ()), *(targets or ()), *(name for pair in listed for name in pair)} - set(tasks)):
            self.faults.append(f"[pairs]: {unknown_name('task', name, tasks)}")
        share = raw.get("share", 1.0)
        if not (isinstance(share, int | float) and 0 < share <= 1):
            self.faults.append(f"[pairs] share must lie above 0 and up to 1. Got {share}")
            share = 1.0
        if mode == "rows" and targets is None:
            self.faults.append("[pairs] rows needs targets = [...]")
        seed = raw.get("seed", 0)
        if not _is_count(seed, 0):
            self.faults.append(f"[pairs] seed must be a whole number from 0. Got {seed}")
            seed = 0
        return PairPlan(mode, listed, float(share), seed, sources, targets)

    def _names(self, where: str, given: Any) -> tuple[str, ...]:
        if isinstance(given, list) and all(isinstance(name, str) for name in given):
            return tuple(given)
        self.faults.append(f"{where} must be a list of names. Got {given}")
        return ()

    def _seeds(self, where: str, raw: Mapping[str, Any], otherwise: tuple[int, ...]) -> tuple[int, ...]:
        seeds = raw.get("seeds", list(otherwise))
        if isinstance(seeds, list) and seeds and all(_is_count(seed, 0) for seed in seeds) and len(set(seeds)) == len(seeds):
            return tuple(seeds)
        self.faults.append(f"{where}seeds must be a list of different whole numbers from 0. Got {seeds}")
        return otherwise

    def _counts(self, raw: Mapping[str, Any], where: str, keys: Sequence[str]) -> dict[str, int]:
        self._known(where, raw, keys)
        for key, value in raw.items():
            if key in keys and not _is_count(value, 1):
                self.faults.append(f"{where} {key} must be a whole number from 1. Got {value}")
        return {key: value for key, value in raw.items() if key in keys and _is_count(value, 1)}

    def _table(self, key: str, raw: Mapping[str, Any], where: str = "") -> Mapping[str, Any]:
        found = raw.get(key, {})
        if isinstance(found, dict):
            return found
        fault = f"{where} {key} must be a table" if where else f"[{key}] must be a table"
        if fault not in self.faults:
            self.faults.append(fault)
        return {}

    def _known(self, where: str, raw: Mapping[str, Any], keys: Sequence[str]) -> None:
        for key in raw:
            if key not in keys:
                self.faults.append(str(unknown_name(f"key in {where}", key, keys)))


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


__all__ = ["ExampleCounts", "PairPlan", "Plan", "PlannedSetup", "PlannedTask", "read_plan"]
