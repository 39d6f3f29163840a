"""The `taskweb` command: its subcommands, and how errors reach the person who typed it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from taskweb import __version__
from taskweb.cli.benchmark import benchmark
from taskweb.cli.demo import demo
from taskweb.cli.rank import rank
from taskweb.errors import TaskWebError

# Typer carries its own copy of click, or depends on the package, according to its version: the base class serves both.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="taskweb",
    help="Which source tasks to fine-tune on before, or together with, your target task. Start with: taskweb demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"taskweb {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


app.command(name="rank")(rank)
app.command(name="benchmark")(benchmark)
app.command(name="demo")(demo)


def main() -> None:
    """Run the command line. Errors a user can cause print one line and exit with status 2; bugs keep their traceback."""
    try:
        status = app(standalone_mode=False, prog_name="taskweb")
        sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except TaskWebError as fault:
        _fail(str(fault))
    except _ClickException as fault:
        context = getattr(fault, "ctx", None)
        where = f" See: {context.command_path} --help" if context is not None else ""
        if type(fault).__name__ == "NoArgsIsHelpError":
            _stop(2, str(fault))
        _fail(f"{fault.format_message().rstrip('.')}.{where}")  # type: ignore[attr-defined]
    except typer.Abort:
        _stop(130, "Stopped.")
    except KeyboardInterrupt:
        _stop(130, "Stopped.")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: say nothing at exit either
        sys.exit(141)


def _fail(message: str) -> None:
    one_line = " ".join(message.split())
    _stop(2, f"Error: {one_line}")


def _stop(status: int, message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
