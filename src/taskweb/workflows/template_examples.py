"""The templates of a task, each applied to one example: what `taskweb templates` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks.rows import rows_of
from taskweb.tasks.templates import (
    Prompt,
    Template,
    apply_templates,
    read_templates,
    templated_tasks,
    templates_of,
)


@dataclass(frozen=True)
class TemplateExamples:
    """A task's templates and the prompts that they make of one example, None for a template that makes none of it."""

    task: str
    example: Mapping[str, Any]
    prompts: tuple[tuple[Template, Prompt | None], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "task": self.task,
            "example": dict(self.example),
            "templates": [_entry(template, prompt) for template, prompt in self.prompts],
        }


def template_examples(task: str, file: Path | None = None, row: str | None = None) -> TemplateExamples:
    """Apply the templates of a task of the catalogue, or of a file, to the task's own example or to a file's first row.

    Raises InputError where there is no example, and a TaskWebError for templates or a row that cannot be read.
    """
    ours = templates_of(task) if file is None or task in templated_tasks() else None
    chosen = ours if file is None else read_templates(file, task)
    assert chosen is not None
    example: Mapping[str, Any] | None = chosen.example or (ours.example if ours else None)
    origin = "the example"
    if row is not None:
        origin, example = row, next((columns for _, columns in rows_of(row)), None)
    if example is None:
        raise InputError(f"There is no row to show the templates of '{task}' on. Give a file with one: --row FILE.")
    applied = apply_templates(chosen.templates, [(1, example)], origin)
    prompts = (next(iter(found), None) for found in applied.values())
    return TemplateExamples(task, example, tuple(zip(chosen.templates, prompts, strict=True)))


def template_names() -> dict[str, list[str]]:
    """The names of the templates of every task that has some."""
    return {task: [template.name for template in templates_of(task).templates] for task in templated_tasks()}


def _entry(template: Template, prompt: Prompt | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": template.name, "template": template.input, "applies": prompt is not None}
    if prompt is not None:
        entry |= {"input": prompt.example.input, "choices": prompt.example.choices, "output": prompt.example.output}
    return entry
