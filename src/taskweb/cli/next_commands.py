"""The line that says what to type next, with the files and options of the command that was typed."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from enum import Enum
from typing import Any

from taskweb.cli.console import say
from taskweb.cli.help_pages import called

_OF_THE_SCREEN = ("--format", "--quiet", "--verbose", "--show-reading", "--explain", "--top")


def say_next(
    *words: str, but: Collection[str] = (), only: Collection[str] | None = None, remark: str = "", quiet: bool = False
) -> None:
    """A line on stderr with a command to type next: these words, then the options that were given and that it has, too.

    words: the command and its arguments, as of `taskweb`. but: names of options that are not carried over. only: names of those
    that are, where not all. remark: what stands behind the command.
    """
    line = shlex.join(["taskweb", *words, *carried_over(words[0], (*words, *but), only)])
    say(f"Next: {line}{f'  # {remark}' if remark else ''}", quiet=quiet)


def carried_over(command: str, but: Collection[str] = (), only: Collection[str] | None = None) -> tuple[str, ...]:
    """The options that were given to the command now carried out and that another one has, too, as they are typed."""
    context = called()
    if context is None:
        return ()
    left = {*_OF_THE_SCREEN, *but}
    known = {name for option in context.find_root().command.commands[command].params for name in option.opts}
    found: list[str] = []
    for option in context.command.params:
        name = option.opts[0]
        given = context.get_parameter_source(option.name)
        if option.param_type_name != "option" or given is None or given.name != "COMMANDLINE":
            continue
        if name in known - left and (only is None or name in only):
            found += _typed(name, context.params[option.name])
    return tuple(found)


def _typed(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield from (name,) if value else ()
        return
    for one in value if isinstance(value, list | tuple) else (value,):
        text = str(one.value if isinstance(one, Enum) else one)
        yield from (f"{name}={text}",) if text.startswith("-") else (name, text)
