"""The `taskweb` command: its subcommands, and how errors reach the person who typed it."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from taskweb.cli.commands.benchmark import benchmark
from taskweb.cli.commands.demo import demo
from taskweb.cli.commands.encoder import app as encoder
from taskweb.cli.commands.evaluate import evaluate
from taskweb.cli.commands.mix import mix
from taskweb.cli.commands.pair_scores import pair_scores
from taskweb.cli.commands.plot import app as plot
from taskweb.cli.commands.rank import rank
from taskweb.cli.commands.refine import refine
from taskweb.cli.commands.report import report
from taskweb.cli.commands.run import run
from taskweb.cli.commands.study import app as study
from taskweb.cli.commands.suggest import suggest
from taskweb.cli.commands.templates import templates
from taskweb.cli.commands.train import train
from taskweb.cli.commands.ui import ui
from taskweb.cli.commands.web import app as web
from taskweb.cli.commands.web_sharing import pull, push
from taskweb.cli.console import StoppedError, say
from taskweb.cli.help_pages import CHOOSE, LEARN, MEASURE, SHARE, TRAIN, CommandApp
from taskweb.errors import CombinedError, TaskWebError, did_you_mean
from taskweb.version import __version__

# Depending on its version, typer contains a copy of click or depends on it: this base class is right for both.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]
_NO_CHOICE = re.compile(r"'([^']*)' is not one of ('.*')$")
_INTERRUPTED = 130
_FIRST_SCREEN = """\
taskweb says which tasks to fine-tune on before, or together with, your own.

  taskweb demo --quick         a first ranking, in a second or two
  taskweb rank my_task.jsonl   rank sources for your own examples, one per line:
                               {"input": "Is this a question?"}
  taskweb --help               all commands"""
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_CANNOT_REACH = (errno.ENAMETOOLONG, errno.EACCES)

app = CommandApp(
    name="taskweb",
    help="Find source tasks to fine-tune on before, or together with, your target task."
    "\n\nExamples:\ntaskweb demo --quick\ntaskweb rank my_task.jsonl --top 5",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"taskweb {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(_FIRST_SCREEN)


_COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    CHOOSE: {"rank": rank, "refine": refine, "suggest": suggest, "pair-scores": pair_scores},
    TRAIN: {"mix": mix, "train": train, "evaluate": evaluate, "templates": templates},
    MEASURE: {"run": run, "benchmark": benchmark},
    SHARE: {"report": report, "ui": ui},
    LEARN: {"demo": demo},
}
for _panel, _commands in _COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(name=_name, rich_help_panel=_panel)(_command)
for _name, _command in (("push", push), ("pull", pull)):
    web.command(name=_name)(_command)
app.add_typer(encoder, name="encoder", rich_help_panel=CHOOSE)
app.add_typer(web, name="web", rich_help_panel=MEASURE)
app.add_typer(plot, name="plot", rich_help_panel=SHARE)
app.add_typer(study, name="study", rich_help_panel=LEARN)


def main() -> None:
    """Run the command line. Errors that a user can cause print one line and exit with status 2; bugs print a traceback."""
    _open_closed_streams()
    try:
        status = app(standalone_mode=False, prog_name="taskweb")
        sys.stdout.flush()
    except CombinedError as error:
        _fail(*error.lines())
    except TaskWebError as error:
        _fail(str(error))
    except _ClickException as error:
        context = getattr(error, "ctx", None)
        where = f" See: {context.command_path} --help" if context is not None else ""
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error}\n")  # a help text, which is ours
            sys.exit(2)
        message = error.format_message().rstrip(".").replace("Value error, ", "")  # type: ignore[attr-defined]
        _fail(f"{message}{'' if message.endswith('?') else '.'}{_meant(message)}{where}")
    except StoppedError as stop:
        _stop(_INTERRUPTED, str(stop))
    except (typer.Abort, KeyboardInterrupt):
        _stop(_INTERRUPTED, "Stopped.")
    except BrokenPipeError:
        _forget_output()  # the reader closed the pipe: nothing to print
        sys.exit(141)
    except OSError as error:
        if error.errno in _CANNOT_REACH and isinstance(error.filename, str):
            from taskweb.tasks.paths import unreadable

            _fail(str(unreadable(Path(error.filename), error)))
        if error.errno not in _CANNOT_WRITE:
            raise
        _forget_output()
        _fail(f"The output cannot be written: {error.strerror or error}.")
    if status == _INTERRUPTED:
        _stop(_INTERRUPTED, "Stopped.")
    sys.exit(status if isinstance(status, int) else 0)


def _meant(message: str) -> str:
    """The closest choice, where a message lists the choices of an option."""
    found = _NO_CHOICE.search(message)
    return "" if found is None else did_you_mean(found[1], re.findall("'([^']*)'", found[2]))


def _open_closed_streams() -> None:
    """Open closed standard streams to nowhere, and replace characters that an encoding does not have."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open until the process ends
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _forget_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(first: str, *more: str) -> None:
    say(f"Error: {' '.join(first.split())}")
    for line in more:
        say(f"  {' '.join(line.split())}")
    sys.exit(2)


def _stop(status: int, message: str) -> None:
    if message:
        say(message)
    sys.exit(status)


if __name__ == "__main__":
    main()
