"""`taskweb templates`: the templates of tasks, shown on an example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli.console import print_json, print_tables
from taskweb.cli.options import shared


def templates(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="A task of the catalogue. Default: list all.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Use your own templates: .toml, or promptsource's templates.yaml."),
    ] = None,
    row: Annotated[
        str | None,
        typer.Option("--row", metavar="FILE", help="Show them on the first row of this file (or hf:<id>)."),
    ] = None,
    output: shared.TableOrJson = shared.TableFormat.table,
) -> None:
    """Show the templates of a task, each applied to an example. Without a task, list all tasks.

    Example: taskweb templates rte
    """
    from taskweb.cli.tables.rendered_templates import rendered_templates, template_list
    from taskweb.workflows.template_examples import template_examples, template_names

    as_json = output is shared.TableFormat.json
    if task is None:
        if file is not None or row is not None:
            raise typer.BadParameter("Name the task that the templates are for.")
        names = template_names()
        print_json(names) if as_json else print_tables(lambda width: template_list(names, width))
        return
    shown = template_examples(task, file, row)
    print_json(shown.to_dict()) if as_json else print_tables(lambda _width: rendered_templates(shown))
