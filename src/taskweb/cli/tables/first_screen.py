"""How the screens of the demo look: numbered steps with their commands, the example target, and what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import RenderableType

from taskweb.cli.tables.text import Text
from taskweb.tasks import ExampleSet

_INDENT, _WIDTH = "   ", 79


def step_heading(number: int, title: str, command: Iterable[str]) -> Text:
    """The title of a step, and below it its command, in lines."""
    text = Text.assemble("\n", (f"{number}  ", "bold cyan"), (title, "bold cyan"))
    for i, line in enumerate(command):
        text.append("\n" + _INDENT).append("  " if i else "$ ", "dim").append(line, "bold")
    return text


def step_outcome(line: str) -> Text:
    """What came of a step."""
    return Text(textwrap.fill(line, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT))


def target_lines(target: ExampleSet) -> Iterator[RenderableType]:
    """The first example of the target."""
    first = target.examples[0]
    for line in (*first.input.splitlines(), f"choices: {', '.join(first.choices or ())}"):
        yield Text(textwrap.fill(line, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT), style="italic")


def end_lines(report: Path | None) -> Iterator[Text]:
    """Where the report is, if there is one, and what to type next."""
    yield Text()
    if report is not None:
        yield Text.assemble(("The report: ", "dim"), (str(report), "bold"), ("   beside it: the files of all steps", "dim"))
    yield Text.assemble(("Next, rank sources for your own task: ", "dim"), ("taskweb rank my_task.jsonl", "bold"))
