"""Steps of a walk through taskweb: each is a command, carried out as it is shown, and a line that says what came of it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.cli.commands.evaluate import evaluate
from taskweb.cli.commands.mix import mix
from taskweb.cli.commands.rank import rank
from taskweb.cli.commands.report import report
from taskweb.cli.commands.run import run
from taskweb.cli.commands.train import train
from taskweb.cli.commands.web import app as web
from taskweb.cli.console import StoppedError
from taskweb.cli.help_pages import CommandApp

_WIDTH = 76
_TO_FILE = " > "
_PARTS = re.compile(r" (?=--|-o |> )")


@dataclass(frozen=True, slots=True)
class Step:
    """A command as it is typed, what it is for, and how its JSON (None where it prints none) becomes a line."""

    title: str
    command: str
    outcome: Callable[[Any], str]

    def lines(self) -> Iterator[str]:
        """The command in lines that fit a terminal and can be pasted; an option and its value stay together."""
        line, *parts = _PARTS.split(self.command)
        for part in parts:
            if len(line) + 1 + len(part) > _WIDTH - 2:
                yield f"{line} \\"
                line = f"    {part}"
            else:
                line = f"{line} {part}"
        yield line


def commands() -> CommandApp:
    """The commands that steps may use."""
    app = CommandApp(name="taskweb")
    for command in (run, rank, mix, train, evaluate, report):
        app.command(name=command.__name__)(command)
    app.add_typer(web, name="web")
    return app


def carried_out(step: Step, further: Sequence[str] = ()) -> str:
    """Carry a step out in the current folder, and say what came of it. further: options that are not shown.

    Raises what the command raises, KeyboardInterrupt where it was interrupted.
    """
    typed, _, file = step.command.partition(_TO_FILE)
    words = [*shlex.split(typed)[1:], *further]
    if words[0] != "web":  # its commands say nothing besides their result
        words.append("--quiet")
    prints_json = words[0] != "report"
    if prints_json and "--format" not in words:
        words += ["--format", "json"]
    printed = io.StringIO()
    try:
        with _spinner(), contextlib.redirect_stdout(printed):
            commands()(words, prog_name="taskweb", standalone_mode=False)
    except StoppedError:  # its advice how to go on is not for a walk
        raise KeyboardInterrupt from None
    if file:
        Path(file).write_text(printed.getvalue(), encoding="utf-8")
    return step.outcome(json.loads(printed.getvalue()) if prints_json else None)


@contextlib.contextmanager
def _spinner() -> Iterator[None]:
    """Show on a terminal that something is going on."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.status import Status

    from taskweb.cli.terminal import Terminal

    with Status("", console=Terminal(stderr=True)):
        yield
