"""The records of prompting: a template, the templates of a task, and a row with a template applied to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from taskweb.tasks.task import Example, Side

TemplateForm = Literal["taskweb", "promptsource"]


@dataclass(frozen=True, slots=True)
class Template:
    """One wording of a task, in Jinja over the columns of a row.

    name: unique within the task. input: the prompt; in the form of promptsource, prompt and target divided by `|||`.
    choices: one text per answer, or one text that renders to all of them (a JSON list; for promptsource divided by `|||`), in
    the order of the task's labels; None where the answer is free.
    answer: renders to the place of the correct choice, counted from 0; to nothing or less than 0 where it is not known.
    output: renders to the correct text, instead of `answer`. references: renders to a JSON list of all accepted texts.
    strip: whether white space around the rendered prompt and output is removed. cut: the side of a column that is cut from an
    input that is too long, as of `Example.cut`.
    """

    name: str
    task: str
    input: str
    choices: tuple[str, ...] | str | None = None
    answer: str | None = None
    output: str | None = None
    references: str | None = None
    form: TemplateForm = "taskweb"
    strip: bool = True
    cut: Side | None = None


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """The templates of a task. example: a made-up row to show them; None where a file has none."""

    task: str
    templates: tuple[Template, ...]
    example: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A row with a template applied to it.

    row: the place of the row in its file, from 1. answer: the place of the correct choice, None where it is not known or the
    answer is free. references: all accepted texts of a free answer (empty: there is no answer).
    """

    row: int
    example: Example
    answer: int | None = None
    references: tuple[str, ...] = ()
