"""Every command's page has examples that the command line understands; those that cost little are carried out."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from taskweb.cli import main as cli
from taskweb.cli.help_pages import CHOOSE, LEARN, MEASURE, SHARE, TRAIN, examples_of

_LEAST = 2
ROOT = typer.main.get_command(cli.app)


def _pages(command: Any, path: tuple[str, ...] = ("taskweb",)) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _pages(inner, (*path, name))


PAGES = dict(_pages(ROOT))
EXAMPLES = sorted({example for page in PAGES.values() for example in page.examples})
# Each takes well under a second.
RUN = ("rank", "web import", "web show", "web scores", "web check", "web vacuum", "web export", "templates rte")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_two_examples_of_its_own(path: str) -> None:
    examples = PAGES[path].examples
    assert len(examples) >= _LEAST, f"{path}: end its docstring with 'Examples:' and two commands"
    assert all(example.startswith(f"{path} ") or example == path for example in examples)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_command_line_understands_every_example(example: str) -> None:
    command, words = ROOT, shlex.split(example, comments=True)[1:]
    context = command.make_context("taskweb", list(words), resilient_parsing=False)
    while hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.startswith(tuple(f"taskweb {command}" for command in RUN))])
def test_examples_run_in_a_folder_with_these_files(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "my_task" in example:
        request.getfixturevalue("encoder")
    if "--model" in example:
        pytest.skip("needs a model")
    monkeypatch.chdir(tmp_path)
    _write_files(tmp_path)
    assert _status(example, monkeypatch) == 0


def _write_files(folder: Path) -> None:
    rows = [{"input": f"Is {i} even?", "choices": ["yes", "no"], "output": "no" if i % 2 else "yes"} for i in range(8)]
    (folder / "my_task.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = [f"{source},b,m/finetune,0,accuracy,{score}\n" for source, score in (("none", 50), ("a", 60))]
    (folder / "my_runs.csv").write_text("source,target,setup,seed,metric,score\n" + "".join(scores))
    with pytest.MonkeyPatch.context() as patch:
        assert _status("taskweb web import my_runs.csv --to my_web.db --unit accuracy=percent --quiet", patch) == 0
        assert _status("taskweb web export my_web.db --to runs.jsonl --quiet", patch) == 0
    (folder / "runs.jsonl").rename(folder / "my_runs.jsonl")


def _status(line: str, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(sys, "argv", shlex.split(line, comments=True))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_examples_are_taken_from_the_end_of_a_docstring() -> None:
    assert examples_of("What.\n\nMore.\n\nExamples:\n    taskweb x\n    taskweb y  # why\n") == (
        "What.\n\nMore.",
        ("taskweb x", "taskweb y  # why"),
    )
    assert examples_of("What.") == ("What.", ())


def test_every_command_stands_in_a_group_of_the_help() -> None:
    groups = {name: command.rich_help_panel for name, command in ROOT.commands.items()}
    assert set(groups.values()) <= {CHOOSE, TRAIN, MEASURE, SHARE, LEARN}
    assert (groups["rank"], groups["train"], groups["web"], groups["demo"]) == (CHOOSE, TRAIN, MEASURE, LEARN)


def test_the_first_screen_is_short_and_names_commands_that_exist(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _status("taskweb", monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 8
    assert max(map(len, lines)) <= 80
    named = [line.split()[1] for line in lines[1:] if line.strip().startswith("taskweb ")]
    assert len(named) == 3
    assert set(named) <= {*ROOT.commands, "--help"}
