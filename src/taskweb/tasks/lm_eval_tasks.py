"""Tasks of lm-evaluation-harness: a YAML file that says where rows are, and how text, choices and answer are made of one.

No code is run: what a file defines by `!function` is refused where it decides how rows are read, and named otherwise.
Format: docs/new_task_guide.md of EleutherAI/lm-evaluation-harness.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, MissingDependencyError, first_line
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.reading.cell_texts import clean, is_missing, is_single
from taskweb.tasks.reading.formats import TASK_SUFFIXES, FileFormat, format_of_name
from taskweb.tasks.reading.split_names import TO_LEARN
from taskweb.tasks.rows import Rows, rows_of
from taskweb.tasks.safe_yaml import yaml_of
from taskweb.tasks.small_files import content_of
from taskweb.tasks.task import Example
from taskweb.tasks.templates.rendering import rendered

_LONGEST_LIST = 1 << 18  # characters
_MOST_INCLUDES = 8
_LOADERS: Mapping[str, FileFormat | None] = {"json": None, "csv": None, "parquet": "parquet", "arrow": "arrow"}
_SPLIT_KEYS = {"train": "training_split", "validation": "validation_split", "test": "test_split"}
_DECIDING = ("doc_to_text", "doc_to_choice", "doc_to_target", "process_docs", "custom_dataset", "dataset_path")
_READ = frozenset(
    {"task", "task_alias", "dataset_path", "dataset_name", "dataset_kwargs", "description", "metadata", "tag", "include"}
    | {"doc_to_text", "doc_to_choice", "doc_to_target", *_SPLIT_KEYS.values()}
)
_LIST = re.compile(r"\s*\[.*\]\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Function:
    """A function that a file names."""

    name: str


@dataclass(frozen=True, slots=True)
class LmEvalTask:
    """A task of lm-evaluation-harness.

    name: of the task. origin: the file. splits: the data set's names of training, validation and test. text, choices, target: a
    column, a template, or for choices a list and for the target the number of a choice. description: stands before
    each text. unused: keys of the file that nothing reads.
    """

    name: str
    origin: str
    folder: Path
    dataset: str
    config: str | None
    data_files: Any
    splits: Mapping[str, str]
    text: str
    choices: Any
    target: Any
    description: str = ""
    unused: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether nothing needs to be said about it: never."""
        return False

    @property
    def line(self) -> str:
        """One line that says how it is read."""
        parts = ["a task of lm-evaluation-harness: input from doc_to_text"]
        parts.append("no answers" if self.target is None else "answer from doc_to_target")
        if self.choices is not None:
            parts.append("choices from doc_to_choice")
        if self.unused:
            parts.append(f"not used: {', '.join(self.unused)}")
        return clean("; ".join(parts))

    def rows(self, split: str | None, preferred: Sequence[str]) -> Rows:
        """The rows of a split; None: the first of `preferred` that the task has. Raises InputError."""
        known = [self.splits[name] for name in preferred if name in self.splits]
        chosen = split or (known[0] if known else None)
        if self.dataset not in _LOADERS:
            local = self.folder / self.dataset
            if kind_of_path(local) != "missing":
                return rows_of(local, hub_split=chosen, preferred=preferred)
            return rows_of(f"hf:{'/'.join(filter(None, (self.dataset, self.config)))}", hub_split=chosen)
        path = self._file(chosen)
        return rows_of(path, file_format=_LOADERS[self.dataset] or format_of_name(path.name) or _format_of(self.dataset))

    def example(self, row: Mapping[str, Any], line: int) -> Example | None:
        """A row as an example; None for an empty text. Raises InputError, with the place, where a template fails."""
        text = self._made(self.text, row, line, "doc_to_text")
        if not is_single(text):
            raise self._refused(line, f"doc_to_text makes {type(text).__name__}, not a text")
        text = clean(f"{self._made(self.description, row, line, 'description') if self.description else ''}{text}")
        if not text.strip():
            return None
        choices = self._choices(row, line)
        target = None if self.target is None else self._target(row, line)
        if choices is not None:
            return Example(text, self._chosen(target, choices, line), choices, row=line)
        right = self._texts(target, line)
        return Example(text, right[0] if right else None, row=line, references=right if len(right) > 1 else ())

    def _file(self, split: str | None) -> Path:
        """The file of a split."""
        files = self.data_files
        if isinstance(files, Mapping):
            if split is None or split not in files:
                split = next(iter(files)) if split is None else split
            if split not in files:
                raise InputError(f"{self.origin} has no file for the split '{split}'. It has {', '.join(map(str, files))}.")
            files = files[split]
        files = files if isinstance(files, list) else [files]
        if len(files) != 1 or not isinstance(files[0], str):
            raise InputError(f"{self.origin} must name one file for each split in data_files. Join the files to one.")
        if "://" in files[0]:
            raise InputError(f"{self.origin} names {files[0]}, which is not downloaded. Download it, and name the file.")
        near = self.folder / files[0]
        return near if kind_of_path(near) != "missing" else Path(files[0])

    def _choices(self, row: Mapping[str, Any], line: int) -> tuple[str, ...] | None:
        if self.choices is None:
            return None
        found = self.choices
        if isinstance(found, str):
            found = self._made(found, row, line, "doc_to_choice")
            found = _listed(found) if isinstance(found, str) else found
        values = list(found.values()) if isinstance(found, Mapping) else found
        if not isinstance(values, list) or not values or not all(map(is_single, values)):
            raise self._refused(line, "doc_to_choice makes no list of texts")
        return tuple(clean(str(value)) for value in values)

    def _chosen(self, target: Any, choices: tuple[str, ...], line: int) -> str | None:
        """The choice that is the target: its number, or its text."""
        if isinstance(target, list) and len(target) == 1:
            target = target[0]
        if isinstance(target, list):
            raise self._refused(line, f"doc_to_target names {len(target)} choices, but one must be right")
        if is_missing(target):
            return None
        if isinstance(target, int):
            if target >= len(choices):
                raise self._refused(line, f"the target {target} is outside the {len(choices)} choices")
            return choices[target] if target >= 0 else None
        text = str(target)
        found = next((choice for choice in choices if choice == text or choice.strip() == text.strip()), None)
        if found is None:
            raise self._refused(line, f"the target '{text[:40]}' is none of the choices {', '.join(choices)[:80]}")
        return found

    def _target(self, row: Mapping[str, Any], line: int) -> Any:
        """What doc_to_target makes of a row: a number as such, also one that a template spells, where there are choices."""
        found = self._made(self.target, row, line, "doc_to_target")
        is_spelt = isinstance(self.target, str) and self.target not in row and isinstance(found, str)
        spells_number = is_spelt and self.choices is not None and re.fullmatch(r"-?\d+", found.strip())
        return int(found) if spells_number else found

    def _texts(self, target: Any, line: int) -> tuple[str, ...]:
        """The right texts of a free answer."""
        if isinstance(target, str) and _LIST.fullmatch(target):
            target = _listed(target)
        values = target if isinstance(target, list) else [target]
        texts = [clean(str(value)) for value in values if not is_missing(value)]
        if not all(is_single(value) or value is None for value in values):
            raise self._refused(line, "doc_to_target makes no text")
        return tuple(dict.fromkeys(texts))

    def _made(self, how: Any, row: Mapping[str, Any], line: int, key: str) -> Any:
        """The value of a column, or what a template makes of a row; numbers as they are."""
        if not isinstance(how, str):
            return how
        if how in row:
            return row[how]
        try:
            return rendered(how, row) + ("\n" if how.endswith("\n") else "")
        except MissingDependencyError:
            raise
        except Exception as fault:  # noqa: BLE001 - any error means that the template or the row is wrong
            raise self._refused(line, f"{key} fails: {first_line(fault)}") from None

    def _refused(self, line: int, reason: str) -> InputError:
        return InputError(f"{self.origin} on row {line} of its data: {reason}. Fix the template or the row.")


def is_lm_eval_task(where: str | Path) -> bool:
    """Whether a place is a file that may be such a task, by its name."""
    return str(where).lower().endswith(TASK_SUFFIXES)


def read_lm_eval_task(path: Path) -> LmEvalTask:
    """The task in a file. Raises InputError for another file and for one that needs code to be run."""
    content = _content(path, 0)
    _refuse_code(content, path)
    if "doc_to_text" not in content or not isinstance(content.get("dataset_path"), str):
        what = (
            "a group of tasks: give the file of one"
            if "group" in content or isinstance(content.get("task"), list)
            else ("no task of lm-evaluation-harness: it needs dataset_path and doc_to_text")
        )
        raise InputError(f"{path} is {what}.")
    kwargs = content.get("dataset_kwargs")
    files = kwargs.get("data_files") if isinstance(kwargs, Mapping) else None
    if content["dataset_path"] in _LOADERS and files is None:
        raise InputError(f"{path} reads '{content['dataset_path']}' files, but names none in dataset_kwargs: data_files.")
    name, config = content.get("task"), content.get("dataset_name")
    return LmEvalTask(
        name if isinstance(name, str) else path.stem,
        str(path),
        path.parent,
        content["dataset_path"],
        None if config is None else str(config),
        files,
        {split: str(content[key]) for split, key in _SPLIT_KEYS.items() if content.get(key)},
        _text_of(content, "doc_to_text", path),
        content.get("doc_to_choice"),
        content.get("doc_to_target"),
        str(content.get("description") or ""),
        tuple(sorted(str(key) for key in content if key not in _READ)),
    )


def lm_eval_examples(
    where: str | Path, split: str | None, preferred: Sequence[str] = TO_LEARN
) -> tuple[LmEvalTask, Iterator[tuple[int, Example | None]]]:
    """A task, and its rows as examples with their numbers, None for an empty text. Raises InputError."""
    task = read_lm_eval_task(Path(where))
    rows = task.rows(split, preferred)
    return task, ((line, task.example(row, line)) for line, row in rows)


def _content(path: Path, depth: int) -> dict[str, Any]:
    """The keys of a file, and of those that it includes."""
    if depth > _MOST_INCLUDES:
        raise InputError(f"{path} is included by files that include each other. Remove one include.")
    content = _loaded(path)
    include = content.get("include")
    if include is None:
        return content
    if not isinstance(include, str) or Path(include).is_absolute() or include.startswith("~"):
        raise InputError(f"{path} includes {include}. Only a path from its own folder can be included.")
    return {**_content(path.parent / include, depth + 1), **content}


def _loaded(path: Path) -> dict[str, Any]:
    if kind_of_path(path) != "file":
        raise InputError(f"There is no file {path}. Check the path, or what includes it.")
    tags = {"!function": lambda _, node: _Function(str(node.value))}
    content = yaml_of(content_of(path), str(path), "Give a task of lm-evaluation-harness.", tags)
    if not isinstance(content, dict):
        raise InputError(f"{path} is no task of lm-evaluation-harness: it has no keys.")
    return content


def _refuse_code(content: Mapping[str, Any], path: Path) -> None:
    for key in _DECIDING:
        if isinstance(content.get(key), _Function):
            raise InputError(
                f"{path} reads rows with the function '{content[key].name}' (!function in {key}), and taskweb runs no code of "
                "files. Write it as a template, or give the rows as they are made by it."
            )
    if content.get("use_prompt") is not None:
        raise InputError(f"{path} takes its prompt from promptsource (use_prompt). Give doc_to_text instead.")


def _text_of(content: Mapping[str, Any], key: str, path: Path) -> str:
    if not isinstance(content[key], str):
        raise InputError(f"{path}: {key} must be a column or a template. Got {type(content[key]).__name__} instead.")
    return str(content[key])


def _listed(text: str) -> Any:
    """The list that a template spells."""
    if len(text) > _LONGEST_LIST:
        return text
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _format_of(loader: str) -> FileFormat:
    return "csv" if loader == "csv" else "json"
