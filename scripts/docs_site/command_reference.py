"""The page of all commands, with every option and the examples of the help pages, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer.main

from taskweb.cli.main import app


def page() -> str:
    """The page, as Markdown."""
    root = typer.main.get_command(app)
    lines = ["# Commands", "", "Made from the commands themselves: `taskweb COMMAND --help` says the same.", ""]
    groups = [*dict.fromkeys(_panel(command) for command in root.commands.values())]
    sections: list[tuple[str, Any]] = []
    for group in groups:
        own = [(name, command) for name, command in root.commands.items() if _panel(command) == group]
        names = ", ".join(f"[{name}](#taskweb-{name})" for name, _ in own)
        lines.append(f"- {group}: {names}")
        sections += [section for name, command in own for section in commands(command, f"taskweb {name}")]
    for name, command in sections:
        lines += ["", *_section(name, command)]
    return "\n".join(lines) + "\n"


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command and every one below it, with their whole names."""
    yield name, command
    for part, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {part}")


def _panel(command: Any) -> str:
    panel = getattr(command, "rich_help_panel", None)
    return panel if isinstance(panel, str) else "Commands"


def _section(name: str, command: Any) -> Iterator[str]:
    yield f"## {name}" if name.count(" ") == 1 else f"### {name}"
    yield ""
    yield _plain(command.help or "")
    yield ""
    if examples := getattr(command, "examples", ()):
        yield from ("```bash", *examples, "```", "")
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option" and not parameter.hidden]
    if hasattr(command, "commands"):
        return
    yield from _table("argument", [(f"`{one.metavar or one.name.upper()}`", one) for one in arguments])
    for panel in dict.fromkeys(_panel(option) for option in options):
        title = "option" if panel == "Commands" else panel
        yield from _table(title, [(_option(one), one) for one in options if _panel(one) == panel])


def _table(title: str, rows: list[tuple[str, Any]]) -> Iterator[str]:
    if rows:
        yield from (f"| {title} | |", "|---|---|")
        yield from (f"| {name} | {_about(parameter)} |" for name, parameter in rows)
        yield ""


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    kind = option.type_descriptor.annotation
    if kind is bool:
        return names
    choices = [one.value for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
    value = option.metavar or "|".join(choices) or option.name.upper()
    return f"{names} `{value}`"


def _about(parameter: Any) -> str:
    text = _plain(getattr(parameter, "help", None) or "").replace("\n", " ").replace("|", "\\|")
    default = parameter.default
    if (
        parameter.param_type_name == "argument"
        or default is None
        or callable(default)
        or isinstance(default, (bool, tuple, list))
    ):
        return text
    return f"{text} Default: `{getattr(default, 'value', default)}`." if "efault" not in text else text


def _plain(text: str) -> str:
    """A help text as Markdown: nothing in it is taken for markup."""
    paragraphs = [re.sub(r"\s+", " ", part).strip() for part in text.split("\n\n")]
    return "\n\n".join(re.sub(r"([\\*_\[\]{}#])", r"\\\1", part).replace("<", "&lt;") for part in paragraphs)
