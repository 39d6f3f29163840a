"""Where things are printed: results on stdout, everything else on stderr. Unsafe characters are shown as escapes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from taskweb.cli.escaping import escaped, json_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from taskweb.cli.terminal import Terminal


class StoppedError(Exception):
    """An interrupt that lost nothing; the message says in one line how to continue."""


def output_console() -> Terminal:
    """The console for results."""
    from taskweb.cli.terminal import Terminal

    return Terminal()


def print_json(value: object) -> None:
    """A value as JSON on stdout; escaped where the stream cannot print every character, or should not."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    sys.stdout.write(json_text(value, ascii_only=encoding != "utf8") + "\n")


def print_csv(text: str) -> None:
    """A table as CSV on stdout: exact for files and other programs, safe on a terminal."""
    sys.stdout.write(escaped(text, lines=True) if sys.stdout.isatty() else text)


def print_line(text: str) -> None:
    """A result of one line on stdout."""
    sys.stdout.write(escaped(text) + "\n")


def print_tables(tables: Callable[[int], Iterable[RenderableType]]) -> None:
    """Tables on stdout. tables: makes them for a width in characters."""
    console = output_console()
    for part in tables(console.width):
        console.print(part)


def say_notes(notes: Iterable[str], *, quiet: bool) -> None:
    """What a person should know about a result, each from a new line on stderr."""
    for note in dict.fromkeys(notes):
        say_text(f"Note: {note.rstrip('.')}.", quiet=quiet, indent=len("Note: "))


def say_text(text: str, *, quiet: bool = False, indent: int = 0) -> None:
    """Sentences on stderr, in lines of the terminal's width, 80 cells where there is none; no word is broken.

    indent: of all lines but the first, in cells.
    """
    if quiet:
        return
    from rich.cells import cell_len

    width = text_width()
    lines: list[str] = []
    for word in escaped(text).split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{' ' * indent if lines else ''}{word}")
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def text_width() -> int:
    """Cells of a line on stderr."""
    from taskweb.cli.terminal import Terminal

    return Terminal(stderr=True).width


def say(message: str, *, quiet: bool = False) -> None:
    """One line on stderr."""
    if not quiet:
        sys.stderr.write(escaped(message) + "\n")


def consent_of(*, yes: bool, quiet: bool) -> Callable[[str], bool]:
    """Show what something costs; on a terminal, ask whether to continue."""

    def consent(cost: str) -> bool:
        asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
        say(cost, quiet=quiet and not asks)
        if not asks:
            return True
        sys.stderr.write("Continue? [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    return consent
