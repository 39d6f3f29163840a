"""`taskweb templates`: the wordings of tasks, shown on an example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskweb.cli import options
from taskweb.cli.console import output_console, print_json

if TYPE_CHECKING:
    from rich.text import Text

    from taskweb.tasks.templates import Prompt, Template

_LABEL = 8


def templates(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="A task of the catalogue. Default: list all.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Templates of your own: .toml, or promptsource's templates.yaml."),
    ] = None,
    row: Annotated[
        str | None,
        typer.Option("--row", metavar="FILE", help="Show them on the first row of this file (or hf:<id>)."),
    ] = None,
    output: options.TableOrJson = options.TableFormat.table,
) -> None:
    """Show the templates of a task, each rendered on an example; without a task, list the tasks.

    Example: taskweb templates rte
    """
    from taskweb.errors import InputError
    from taskweb.tasks.rows import rows_of
    from taskweb.tasks.templates import apply_templates, read_templates, templated_tasks, templates_of

    if task is None:
        if file is not None or row is not None:
            raise typer.BadParameter("Name the task that the templates are for.")
        _list(templated_tasks(), output)
        return
    ours = templates_of(task) if file is None or task in templated_tasks() else None
    chosen = ours if file is None else read_templates(file, task)
    assert chosen is not None
    example: Mapping[str, Any] | None = chosen.example or (ours.example if ours else None)
    origin = "the example"
    if row is not None:
        origin, example = row, next((columns for _, columns in rows_of(row)), None)
    if example is None:
        raise InputError(f"There is no row to show the templates of '{task}' on. Give a file with one: --row FILE.")
    shown = [
        (template, next(iter(prompts), None))
        for template, prompts in zip(
            chosen.templates, apply_templates(chosen.templates, [(1, example)], origin).values(), strict=True
        )
    ]
    if output is options.TableFormat.json:
        print_json({"task": task, "example": dict(example), "templates": [_entry(*pair) for pair in shown]})
        return
    console = output_console()
    for part in _rendered(task, shown):
        console.print(part)


def _list(tasks: Sequence[str], output: options.TableFormat) -> None:
    from taskweb.cli.tables.grid import Grid
    from taskweb.tasks.templates import templates_of

    names = {task: [template.name for template in templates_of(task).templates] for task in tasks}
    if output is options.TableFormat.json:
        print_json(names)
        return
    grid = Grid("task", ">templates", "?names")
    for task, own in names.items():
        grid.add_row(task, str(len(own)), " · ".join(own))
    console = output_console()
    console.print(grid.fitted(console.width))


def _entry(template: Template, prompt: Prompt | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": template.name, "template": template.input, "applies": prompt is not None}
    if prompt is not None:
        entry |= {"input": prompt.example.input, "choices": prompt.example.choices, "output": prompt.example.output}
    return entry


def _rendered(task: str, shown: Sequence[tuple[Template, Prompt | None]]) -> Iterator[Text]:
    from rich.text import Text

    for template, prompt in shown:
        yield Text.assemble("\n", (template.name, "bold cyan"), (f"   {task}", "dim"))
        if prompt is None:
            yield Text("gives nothing for this row", style="dim")
            continue
        yield Text(prompt.example.input)
        if prompt.example.choices is not None:
            yield _labelled("choices", " · ".join(prompt.example.choices))
        yield _labelled("output", prompt.example.output or "")


def _labelled(label: str, body: str) -> Text:
    from rich.text import Text

    return Text.assemble((f"{label:<{_LABEL}} ", "dim"), body)
