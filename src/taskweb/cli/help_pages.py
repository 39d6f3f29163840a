"""Help pages that end with examples, and commands in groups that follow the work.

The docstring of a command ends with its examples, a command a line; what follows a `#` says what one shows:

Examples:
        taskweb rank my_task.jsonl --top 5
        taskweb rank rte --unseen  # as if rte were not measured
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextvars import ContextVar
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from taskweb.cli.console import StoppedError
from taskweb.cli.stopping import said_of_stopped

# The groups of `taskweb --help`, in this order.
CHOOSE = "Choose sources"
TRAIN = "Train and evaluate"
MEASURE = "Measure your own web"
SHARE = "See and share"
LEARN = "Learn"

BARE = ""
"""The value of an option that may stand without one, where it does."""
_HEADING = re.compile(r"\n+[ \t]*Examples:[ \t]*\n")
_CALLED: ContextVar[Any] = ContextVar("called", default=None)
_Function = TypeVar("_Function", bound=Callable[..., Any])


class _WithExamples:
    """Lists the examples of a help page last, so that they stand right above the prompt."""

    examples: tuple[str, ...]

    def __init__(self, *arguments: Any, help: str | None = None, **settings: Any) -> None:  # noqa: A002 - typer's name
        text, self.examples = examples_of(help or "")
        super().__init__(*arguments, help=text, **settings)  # type: ignore[call-arg]  # typer's

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page, then the examples."""
        super().format_help(ctx, formatter)  # type: ignore[misc]  # typer's
        if self.examples:
            typer.secho(" Examples:", dim=True)
        for example in self.examples:
            command, mark, remark = example.partition("  # ")
            typer.echo(f"   {typer.style(command, bold=True)}{typer.style(mark + remark, dim=True)}")


class HelpPage(_WithExamples, TyperCommand):
    """A command with its examples, as they are typed; a remark stands behind `#`.

    An option whose metavar is in brackets, as in `--explain [TASK]`, may stand without a value, which then is `BARE`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        optional = {name for option in self.params if _may_be_bare(option) for name in option.opts}
        return super().parse_args(ctx, _with_bare_values(args, optional))

    def invoke(self, ctx: Any) -> Any:
        """Carry out the command. Raises StoppedError where it is interrupted, with what that leaves."""
        before = _CALLED.set(ctx)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise StoppedError(said_of_stopped(ctx.command_path, ctx.params)) from None
        finally:
            _CALLED.reset(before)


class HelpPages(_WithExamples, TyperGroup):
    """Commands, with examples of their own."""


class CommandApp(typer.Typer):
    """A typer app whose help pages have examples."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=HelpPages, context_settings={"help_option_names": ["-h", "--help"]}, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[_Function], _Function]:
        """Add a command, as in typer."""
        return super().command(name, cls=HelpPage, **settings)


def _may_be_bare(option: Any) -> bool:
    return option.param_type_name == "option" and (option.metavar or "").startswith("[")


def _with_bare_values(args: list[str], optional: Collection[str]) -> list[str]:
    """The command line with a value for each of these options that has none."""
    end = args.index("--") if "--" in args else len(args)
    found: list[str] = []
    for place, word in enumerate(args):
        found.append(word)
        following = args[place + 1] if place + 1 < end else "-"
        if place < end and word in optional and following.startswith("-"):
            found.append(BARE)
    return found


def called() -> Any:
    """The context of the command that is carried out now, with its options as they were given; None where there is none."""
    return _CALLED.get()


def examples_of(page: str) -> tuple[str, tuple[str, ...]]:
    """A docstring without its examples, and the examples."""
    text, *rest = _HEADING.split(page, maxsplit=1)
    return text, tuple(line.strip() for line in "".join(rest).splitlines() if line.strip())
