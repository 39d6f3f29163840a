"""The command to type next, with what was given to the one before."""

from __future__ import annotations

import shlex

import pytest
import typer

from taskweb.cli import help_pages
from taskweb.cli.main import app
from taskweb.cli.next_commands import carried_over

ROOT = typer.main.get_command(app)


@pytest.mark.parametrize(
    ("line", "carried"),
    [
        ("rank t.jsonl", ""),
        ("rank t.jsonl --web 'my web.db' --setup m/f --unseen", "--web 'my web.db' --setup m/f --unseen"),
        ("rank t.jsonl --exclude a --exclude b", "--exclude a --exclude b"),
        ("rank t.jsonl --name=-x --top 3 --explain --format json", "--name=-x"),
        ("rank t.jsonl --selector taskshop --lambda 0.5 --seed 4", "--selector taskshop"),  # mix has no --lambda
    ],
)
def test_options_that_the_next_command_has_are_carried_over(line: str, carried: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *words = shlex.split(line)
    parent = ROOT.make_context("taskweb", [name])
    context = ROOT.commands[name].make_context(name, words, parent=parent)
    monkeypatch.setattr(help_pages, "_CALLED", help_pages.ContextVar("called", default=context))
    assert shlex.join(carried_over("mix", but=("--seed",))) == carried


def test_without_a_command_nothing_is_carried_over() -> None:
    assert carried_over("mix") == ()
