"""The terminal as rich draws on it: no text of others is obeyed, neither by rich (markup, emoji) nor by the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, ProgressColumn, Task
from rich.segment import Segment
from rich.text import Text

from taskweb.cli.escaping import escaped

_PLAIN_WIDTH = 80  # for pipes and files, where there is no terminal to measure


class Terminal(Console):
    """A console that writes unsafe characters as escapes. Tables and labels write them so before, to fit the width."""

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else _PLAIN_WIDTH
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **settings: Any) -> Text:
        """A plain text, made safe before rich leaves characters out."""
        return super().render_str(escaped(text, lines=True), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, made safe."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escaped(segment.text, lines=True), segment.style)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar on stderr that vanishes when it is done."""
    return Progress(*columns, console=Terminal(stderr=True), transient=True)


class Label(ProgressColumn):
    """A text beside a bar, shown as it is. field: `description`, or one of the fields of the bar's task."""

    def __init__(self, field: str = "description") -> None:
        super().__init__()
        self.field = field

    def render(self, task: Task) -> Text:
        """The text of the task now."""
        return Text(escaped(str(task.fields.get(self.field, task.description))))
