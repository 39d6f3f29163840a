"""How templates look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from taskweb.cli.tables.grid import Grid
from taskweb.workflows.template_examples import TemplateExamples

_LABEL_WIDTH = 8


def template_list(names: Mapping[str, Sequence[str]], width: int) -> Iterator[RenderableType]:
    """The tasks that have templates, and the names of these."""
    grid = Grid("task", ">templates", "?names")
    for task, own in names.items():
        grid.add_row(task, str(len(own)), " · ".join(own))
    yield grid.fitted(width)


def rendered_templates(shown: TemplateExamples) -> Iterator[RenderableType]:
    """Each template applied to the example: input, choices and output."""
    for template, prompt in shown.prompts:
        yield Text.assemble("\n", (template.name, "bold cyan"), (f"   {shown.task}", "dim"))
        if prompt is None:
            yield Text("makes no prompt of this row", style="dim")
            continue
        yield Text(prompt.example.input)
        if prompt.example.choices is not None:
            yield _labelled("choices", " · ".join(prompt.example.choices))
        yield _labelled("output", prompt.example.output or "")


def _labelled(label: str, body: str) -> Text:
    return Text.assemble((f"{label:<{_LABEL_WIDTH}} ", "dim"), body)
