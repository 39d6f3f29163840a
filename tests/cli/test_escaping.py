from __future__ import annotations

import ast
import io
import json
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import taskweb.cli
from taskweb.cli import console, main
from taskweb.cli.escaping import escaped, json_text
from taskweb.cli.tables.grid import Grid
from taskweb.cli.tables.text import Text
from taskweb.cli.terminal import Label, Terminal, progress_bar
from taskweb.errors import InputError

HOSTILE = "a\x1b[2J\x1b]0;t\x07b\r\x9bc\u202ed\u2066e\u200bf\x7fg"
SHOWN = r"a\x1b[2J\x1b]0;t\x07b\r\x9bc\u202ed\u2066e\u200bf\x7fg"
CLI = Path(taskweb.cli.__file__).parent


class TerminalStream(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> tuple[TerminalStream, TerminalStream]:
    """Standard output and error as a terminal."""
    out, err = TerminalStream(), TerminalStream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "150")
    return out, err


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    shown = escaped(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(c) for c in shown} & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert escaped(shown) == shown


@pytest.mark.parametrize("text", ["naïve – 東京 · ✓", "שלום עולם", "من\u200cخواهم", "👩\u200d💻"])
def test_languages_stay(text: str) -> None:
    assert escaped(text) == text


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_is_exact_and_safe(value: object) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert text == escaped(text, lines=True)


def test_every_way_to_a_terminal_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = terminal(monkeypatch)
    console.say(f"one\n{HOSTILE}")
    console.say_notes([HOSTILE], quiet=False)
    console.print_line(HOSTILE)
    console.print_csv(f"task\n{HOSTILE}\n")
    grid = Grid("name")
    grid.add_row(f"{HOSTILE}\nnext")
    grid.add_row(Text(HOSTILE))
    console.print_tables(lambda width: [grid.fitted(width), Text.assemble((HOSTILE, "bold")), f"[bold]{HOSTILE}[/x]"])
    assert err.getvalue() == f"one\\n{SHOWN}\nNote: {SHOWN}.\n"
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    lines = [SHOWN, "task", SHOWN, "name", f"{SHOWN}\\nnext", SHOWN, SHOWN, f"[bold]{SHOWN}[/x]"]
    assert [line.rstrip() for line in plain.splitlines()] == lines


def test_bars_show_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    _, err = terminal(monkeypatch)
    with progress_bar(Label(), Label("figures")) as bar:
        bar.add_task(f"[/x] {HOSTILE}", total=3, figures="[bold]1[/y]")
    shown = err.getvalue()
    assert f"[/x] {SHOWN}" in shown
    assert "[bold]1[/y]" in shown
    assert "\x1b[2J" not in shown


def test_errors_are_one_safe_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _, err = terminal(monkeypatch)

    def fails(**_settings: object) -> None:
        raise InputError(f"There is no file {HOSTILE}\n{HOSTILE}.")

    monkeypatch.setattr(main, "app", fails)
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 2
    line = err.getvalue()
    assert line == escaped(line, lines=True)
    assert line.count("\n") == 1
    assert r"\x1b[2J" in line


def names_of_rich(path: Path) -> set[str]:
    """Which of the names that print or make texts a file takes from rich."""
    imports = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports if (node.module or "").split(".")[0] == "rich" for alias in node.names}
    return names & {"Console", "Text", "text", "console", "print"}


def test_terminals_and_texts_of_rich_are_used_in_one_place_each() -> None:
    found = {(path.relative_to(CLI).as_posix(), name) for path in CLI.rglob("*.py") for name in names_of_rich(path)}
    assert found == {("terminal.py", "Text"), ("terminal.py", "Console"), ("tables/text.py", "text")}


def test_a_terminal_without_measure_has_a_fixed_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert Terminal().width == 80
