"""`taskweb templates`: the templates of tasks, shown on an example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli import completion
from taskweb.cli.console import print_json, print_tables
from taskweb.cli.options import shared
from taskweb.cli.options.option_groups import spread
from taskweb.cli.options.reading_options import READING, PromptOptions


@spread
def templates(
    *,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]", autocompletion=completion.catalogued, help="A task of the catalogue. Default: list all."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Use your own templates: .toml, or promptsource's templates.yaml."),
    ] = None,
    row: Annotated[
        str | None,
        typer.Option("--row", metavar="FILE", help="Show them on the first row of this file (or hf:<id>)."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            rich_help_panel=READING,
            help="Show each prompt exactly as this model reads it, with special tokens. Reads no weights.",
        ),
    ] = None,
    reading: PromptOptions,
    output: shared.TableOrJson = shared.TableFormat.table,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", rich_help_panel=shared.OUTPUT, help="With --model: show token ids too.")
    ] = False,
) -> None:
    """Show the templates of a task, each applied to an example. Without a task, list all tasks.

    Examples:
        taskweb templates rte
        taskweb templates rte --model my_model  # as the model reads them
    """
    from taskweb.cli.tables.rendered_templates import rendered_templates, template_list, templates_as_read
    from taskweb.workflows.template_examples import template_examples, template_names

    as_json = output is shared.TableFormat.json
    if model is None and (reading != PromptOptions() or verbose):
        raise typer.BadParameter("Name the model that reads the prompts with --model.")
    if task is None:
        if file is not None or row is not None or model is not None:
            raise typer.BadParameter("Name the task that the templates are for.")
        names = template_names()
        print_json(names) if as_json else print_tables(lambda width: template_list(names, width))
        return
    if model is not None:
        from taskweb.workflows.prompt_reading import prompts_as_read

        found = prompts_as_read(task, model, reading.settings(), file=file, row=row)
        print_json(found.to_dict()) if as_json else print_tables(lambda _width: templates_as_read(found, ids=verbose))
        return
    shown = template_examples(task, file, row)
    print_json(shown.to_dict()) if as_json else print_tables(lambda _width: rendered_templates(shown))
