"""The prompts for a model: the labelled rows of a task under each of its templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, NameNotFoundError, unknown_name
from taskweb.tasks import Columns, Example, Sampling, Task, catalogue, example_files, find_task
from taskweb.tasks.example_sets import empty_row, taken
from taskweb.tasks.lm_eval_tasks import is_lm_eval_task, lm_eval_examples
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.reading.dataset_folders import is_dataset
from taskweb.tasks.reading.deciding import understood
from taskweb.tasks.reading.formats import FileFormat
from taskweb.tasks.reading.hearing import tell
from taskweb.tasks.reading.reading import Reading
from taskweb.tasks.reading.split_names import TO_EVALUATE
from taskweb.tasks.rows import Rows as SourceRows
from taskweb.tasks.rows import origin_of, rows_of
from taskweb.tasks.task import METRICS_OF_KIND, TaskKind
from taskweb.tasks.templates import (
    PROMPTED,
    Prompt,
    Template,
    TemplateSet,
    apply_templates,
    columns_of,
    read_templates,
    templates_of,
)

_ALL = "all"
_ENDINGS = (".toml", ".yaml", ".yml")
_MOST_LABELS = 20
Rows = list[tuple[int, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """Which templates to use. names: some of them; None for all, or for examples that are prompts already, the text as it is.

    file: the user's own templates, in TOML or promptsource's YAML.
    """

    names: tuple[str, ...] | None = None
    file: Path | None = None

    @classmethod
    def parse(cls, text: str | None) -> TemplateChoice:
        """The choice that a user typed: a file's name, `all`, or names separated by commas."""
        if text is None:
            return cls()
        if text.lower().endswith(_ENDINGS):
            return cls(file=Path(text))
        return cls(names=tuple(part.strip() for part in text.split(",") if part.strip()))


@dataclass(frozen=True, slots=True)
class PromptedTask:
    """A task's rows under each template, without those that have no label, or only one choice, which says nothing of a model.

    labels: names of the classes, in the order of the choices, where every prompt has the same ones; () otherwise.
    origin: where the rows came from. skipped: rows without a label. single_choice: rows that have one choice under a template,
    and are left out of it.
    """

    task: Task
    prompts: Mapping[str, tuple[Prompt, ...]]
    labels: tuple[str, ...]
    origin: str
    skipped: int = 0
    single_choice: int = 0

    @property
    def size(self) -> int:
        """Number of prompts."""
        return sum(map(len, self.prompts.values()))

    @property
    def has_choices(self) -> bool:
        """Whether the answer is one of given choices."""
        return any(prompt.example.choices for prompts in self.prompts.values() for prompt in prompts)


def load_prompted(
    name: str,
    where: str | Path | None = None,
    *,
    templates: TemplateChoice | None = None,
    sampling: Sampling | None = None,
    split: str | None = None,
    columns: Columns | None = None,
    file_format: FileFormat | None = None,
) -> PromptedTask:
    """Read a task's rows and apply templates to them.

    where: a file, a folder with `<task>.jsonl` in it, `hf:<id>`, a task of lm-evaluation-harness (.yaml), or None for the
    catalogue's data set on the Hub.
    Templates are applied to rows with the columns of the task's templates. Rows with an input are prompts already, and so are
    all rows if `columns` is given. file_format: for a file whose name does not show it.
    Raises InputError for rows that are neither, if no row has a label or all have only one choice, or if a template fails.
    """
    location, split = _location_of(name, where, split)
    origin, chosen, sampling = origin_of(location), templates or TemplateChoice(), sampling or Sampling(None)
    if is_lm_eval_task(location):
        read = _of_lm_eval(location, split, chosen, sampling)
    else:
        source = rows_of(location, file_format=file_format, hub_split=split, preferred=TO_EVALUATE)
        read = _of_rows(name, source, chosen, columns, sampling)
    own, rows, given = read.templates, read.rows, read.given
    applied = apply_templates(_named(own, chosen.names), rows, origin)
    if given:
        applied = {key: [_with_given(prompt, given[prompt.row]) for prompt in found] for key, found in applied.items()}
    task = _task_of(name, _with_several_choices(applied)[0], read.kind)
    labelled = {key: tuple(prompt for prompt in found if _is_labelled(prompt, task.kind)) for key, found in applied.items()}
    known = {prompt.row for found in labelled.values() for prompt in found}
    if empty := [key for key, found in labelled.items() if not found]:
        if known:
            raise InputError(f"The template '{empty[0]}' of '{name}' gives nothing for any row of {origin}. Leave it out.")
        raise InputError(f"None of the {len(rows)} rows of {origin} has a label. Give labelled rows.")
    skipped = sum(line not in known for line, _ in rows)
    usable, single = _with_several_choices(labelled)
    if empty := [key for key, found in usable.items() if not found]:
        raise InputError(
            f"Every row of {origin} has only one choice under the template '{empty[0]}', so there is nothing to choose. Give "
            "rows with two choices or more."
        )
    return PromptedTask(task, usable, _labels(task, usable, prompted=own.task == PROMPTED), origin, skipped, single)


@dataclass(frozen=True, slots=True)
class _Read:
    """Rows and the templates for them. given: the examples that the rows are, by number, where they are prompts already."""

    templates: TemplateSet
    rows: Rows
    given: Mapping[int, Example]
    kind: TaskKind | None = None


def _of_rows(name: str, source: SourceRows, chosen: TemplateChoice, columns: Columns | None, sampling: Sampling) -> _Read:
    first = source.first()
    if first is None:
        raise InputError(f"{source.origin} contains no rows. Give at least one labelled example of '{name}'.")
    own = None if columns is not None else _templates(name, chosen, first[1])
    if own is not None:
        return _Read(own, taken(source, sampling), {})
    found = understood(source, columns)
    assert found.reading is not None
    given = _prompts_in(taken(found.rows, sampling), found.reading)
    return _Read(_templates_of_prompts(chosen), _rows_of(given), given, found.reading.kind)


def _of_lm_eval(location: str | Path, split: str | None, chosen: TemplateChoice, sampling: Sampling) -> _Read:
    task, examples = lm_eval_examples(location, split, TO_EVALUATE)
    given = {}
    for line, example in taken(examples, sampling):
        if example is None:
            raise empty_row(line, f"the data of {task.origin}")
        given[line] = example
    if not given:
        raise InputError(f"The data of {task.origin} contain no rows. Give at least one.")
    tell(task, list(given.values()))
    return _Read(_templates_of_prompts(chosen), _rows_of(given), given)


def is_folder_of_tasks(where: str | Path) -> bool:
    """Whether it is a folder with a file for each task, and not one data set. Raises InputError where it cannot be read."""
    if str(where) == "-" or str(where).startswith("hf:"):
        return False
    return kind_of_path(Path(where)) == "folder" and not is_dataset(Path(where))


def _location_of(name: str, where: str | Path | None, split: str | None) -> tuple[str | Path, str | None]:
    if where is None:
        hub = find_task(name).hub
        if hub is None:
            raise InputError(f"'{name}' is not on the Hub. Give its examples with --examples.")
        return hub.reference, split or hub.evaluation_split
    if is_folder_of_tasks(where):
        found = example_files(Path(where))
        if name not in found:
            raise unknown_name(f"file of examples in {where}", name, found)
        return found[name], split
    return where, split


def _templates(name: str, chosen: TemplateChoice, row: Mapping[str, Any]) -> TemplateSet | None:
    """The templates that read the columns of the rows; None for rows that are prompts already."""
    if chosen.file is not None:
        return read_templates(chosen.file, name)
    try:
        own = templates_of(name)
    except NameNotFoundError:
        return None
    fits = columns_of(own.templates[0]) <= set(row)
    return own if fits else None


def _templates_of_prompts(chosen: TemplateChoice) -> TemplateSet:
    own = templates_of(PROMPTED)
    return TemplateSet(PROMPTED, own.templates[:1]) if chosen.names is None else own


def _prompts_in(rows: Rows, reading: Reading) -> dict[int, Example]:
    """Rows that are prompts already, by their number."""
    found = {}
    for line, row in rows:
        example = reading.example(row, line)
        if example is None:
            raise empty_row(line, reading.origin)
        found[line] = example
    tell(reading, list(found.values()))
    return found


def _rows_of(given: Mapping[int, Example]) -> Rows:
    return [
        (line, {"input": own.input, "choices": None if own.choices is None else list(own.choices), "output": own.output})
        for line, own in given.items()
    ]


def _with_given(prompt: Prompt, given: Example) -> Prompt:
    """The prompt with all right answers, and with the columns that its input was made from, where it was made from several."""
    if given.references:
        prompt = replace(prompt, references=given.references, example=replace(prompt.example, references=given.references))
    text, own = prompt.example.input, given.input
    found = text.find(own.strip())
    if not given.columns or found < 0:
        return prompt
    shift = found - (len(own) - len(own.lstrip()))
    spans = tuple((max(0, begin + shift), min(len(text), end + shift)) for begin, end in given.columns)
    return replace(prompt, example=replace(prompt.example, columns=spans, cut=None))


def _named(found: TemplateSet, names: Sequence[str] | None) -> tuple[Template, ...]:
    if names is None or tuple(names) == (_ALL,):
        return found.templates
    by_name = {template.name: template for template in found.templates}
    for name in names:
        if name not in by_name:
            raise unknown_name(f"template for '{found.task}'", name, by_name)
    return tuple(by_name[name] for name in names)


def _task_of(name: str, prompts: Mapping[str, Sequence[Prompt]], kind: TaskKind | None) -> Task:
    """The task of the catalogue, or else one of the kind that its rows show. kind: what its file shows without choices."""
    if name in catalogue():
        return catalogue()[name]
    choices = {prompt.example.choices for found in prompts.values() for prompt in found}
    if choices <= {None}:
        return Task(name, kind or "generation", METRICS_OF_KIND[kind or "generation"])
    words = {word for own in choices for word in own or ()}
    shared = len(words) <= _MOST_LABELS and all(set(own or ()) == words for own in choices)
    return Task(name, "classification" if shared else "multiple_choice", ("accuracy",))


def _is_labelled(prompt: Prompt, kind: TaskKind) -> bool:
    if prompt.example.choices:
        return prompt.answer is not None
    return kind == "span_qa" or prompt.example.output is not None


def _with_several_choices(prompts: Mapping[str, Sequence[Prompt]]) -> tuple[dict[str, tuple[Prompt, ...]], int]:
    """The prompts without those that have one choice, and how many rows those come from."""
    single = {prompt.row for found in prompts.values() for prompt in found if len(prompt.example.choices or ()) == 1}
    return {
        key: tuple(prompt for prompt in found if len(prompt.example.choices or ()) != 1) for key, found in prompts.items()
    }, len(single)


def _labels(task: Task, prompts: Mapping[str, Sequence[Prompt]], *, prompted: bool) -> tuple[str, ...]:
    everything = [prompt.example.choices or () for found in prompts.values() for prompt in found]
    counts = {len(own) for own in everything}
    if not prompted and task.hub is not None and task.hub.label_names and counts == {len(task.hub.label_names)}:
        return task.hub.label_names
    return everything[0] if all(set(own) == set(everything[0]) for own in everything) else ()
