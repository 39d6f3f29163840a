"""The folder of a refinement: the rows of the target and its sources, and the plan that the engine reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.mixture.cleaning import normalised
from taskweb.mixture.kinds import task_for
from taskweb.tasks import Example, ExampleSet, Task
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.example_lines import example_line
from taskweb.tasks.paths import expanded, kind_of_path
from taskweb.workflows.refining.refine_settings import RefineSettings
from taskweb.workflows.refining.target_parts import TargetParts
from taskweb.workflows.saved_rankings import RANKING_FILE

STORE, REPORT_STORE = "web.db", "report.db"
_STARTS_OF_PATHS = (".", "/", "~")
_PLAN, _REPORT_ROWS = "plan.toml", "target/report.jsonl"


@dataclass(frozen=True, slots=True)
class RefineFolder:
    """A folder of a refinement. store: the runs, which may lie elsewhere."""

    path: Path
    store: Path

    @classmethod
    def at(cls, path: Path) -> RefineFolder:
        """With its store inside."""
        return cls(path, path / STORE)

    @property
    def plan(self) -> Path:
        """The plan."""
        return self.path / _PLAN

    @property
    def report_rows(self) -> Path:
        """The rows of the target that nothing is decided by."""
        return self.path / _REPORT_ROWS

    @property
    def report_store(self) -> Path:
        """The runs that are evaluated on the report rows."""
        return self.store.with_name(REPORT_STORE)

    @property
    def ranking(self) -> Path:
        """The ranking after all runs."""
        return self.path / RANKING_FILE


@dataclass(frozen=True, slots=True)
class UsableSources:
    """The labelled examples of sources, without those that are the target's. notes: what was left out.

    ready: places of weights by task, of sources that are not trained; some have no examples.
    """

    examples: Mapping[str, tuple[Example, ...]]
    notes: tuple[str, ...] = ()
    ready: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, those with examples first."""
        return tuple(dict.fromkeys((*self.examples, *self.ready)))


def usable_sources(sources: Iterable[ExampleSet], parts: TargetParts, ready: Mapping[str, str]) -> UsableSources:
    """The sources that can be trained on, or are trained already. Raises InputError where there is none."""
    taken = {normalised(example.input) for example in parts.labelled}
    found: dict[str, tuple[Example, ...]] = {}
    notes = []
    for source in sources:
        labelled = [example for example in source.examples if example.output is not None]
        kept = tuple(example for example in labelled if normalised(example.input) not in taken)
        if same := len(labelled) - len(kept):
            notes.append(f"the source {source.name}: {same} rows are the target's, too, and are not trained on")
        if unlabelled := len(source.examples) - len(labelled):
            notes.append(f"the source {source.name}: {unlabelled} rows have no label and are not trained on")
        if kept:
            found[source.name] = kept
        else:
            notes.append(f"the source {source.name} has no row to train on{'' if source.name in ready else ' and is left out'}")
    if not found and not ready:
        raise InputError("None of the sources has labelled rows to train on. Add files with an output to --sources.")
    return UsableSources(found, tuple(notes), ready)


def write_folder(folder: RefineFolder, target: Task, parts: TargetParts, sources: UsableSources, how: RefineSettings) -> None:
    """Write rows and plan. The same input writes the same files. Raises InputError where they cannot be written."""
    if target.name in sources.examples:
        raise InputError(f"A source has the name of the target, '{target.name}'. Give the target another one with --name.")
    for name in ("target", "sources"):
        try:
            (folder.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The folder {folder.path} cannot be made: {error.strerror or error}.") from None
    for part in ("train", "choose", "report"):
        _write(folder.path / f"target/{part}.jsonl", map(example_line, getattr(parts, part)))
    for name, examples in sources.examples.items():
        _write(folder.path / f"sources/{name}.jsonl", map(example_line, examples))
    _write(folder.plan, _plan_lines(folder, target, parts, sources, how))


def _plan_lines(
    folder: RefineFolder, target: Task, parts: TargetParts, sources: UsableSources, how: RefineSettings
) -> Iterator[str]:
    most = {"source": how.source_examples, "target": len(parts.train), "evaluation": max(len(parts.choose), len(parts.report))}
    yield f"store = {_toml(str(folder.store.resolve()) if folder.store.parent != folder.path else folder.store.name)}"
    yield f"seeds = [{how.seed}]"
    yield f"examples = {_toml(most)}"
    yield f'pairs = {{mode = "rows", targets = [{_toml(target.name)}]}}'
    yield f"\n[setups.{_toml(how.setup)}]"
    yield f"model = {_toml(model_of(how.model))}"
    yield f"method = {_toml(how.method)}"
    for key, value in how.entries.items():
        yield f"{key} = {_toml(value)}"
    files = {"file": "target/train.jsonl", "eval_file": "target/choose.jsonl"}
    yield from _task_lines(target, {"role": "target", **files})
    for name, examples in sources.examples.items():
        source = task_for(name, examples, how.kinds.get(name))
        ready = {"ready": sources.ready[name]} if name in sources.ready else {}
        yield from _task_lines(source, {"role": "source", "file": f"sources/{name}.jsonl", **ready})
    for name in sources.names[len(sources.examples) :]:
        yield f"\n[tasks.{_toml(name)}]\nready = {_toml(sources.ready[name])}"


def model_of(model: str) -> str:
    """The model as a plan names it: a folder by its whole path, other names as they are."""
    is_path = model.startswith(_STARTS_OF_PATHS) or model.endswith("/") or kind_of_path(expanded(model)) == "folder"
    if model.startswith("tiny:") or not is_path:
        return model
    return str(expanded(model).resolve())


def _task_lines(task: Task, values: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n[tasks.{_toml(task.name)}]"
    for key, value in {**values, "kind": task.kind, "metrics": list(task.metrics)}.items():
        yield f"{key} = {_toml(value)}"


def _toml(value: Any) -> str:
    """A value as TOML: texts, numbers, lists and tables in one line; empty entries of tables are left out."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_toml(str(key))} = {_toml(own)}' for key, own in value.items() if own is not None)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(path: Path, lines: Iterable[str]) -> None:
    with whole_file(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
