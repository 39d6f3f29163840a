"""A group of options is one parameter of a command, and its options stand on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from taskweb.cli.options.option_groups import spread


@dataclass(frozen=True)
class Colours:
    """Two options, one of them repeatable."""

    bright: Annotated[list[str] | None, typer.Option("--bright", help="Repeatable.")] = None
    depth: Annotated[int, typer.Option("--depth", metavar="N", min=1)] = 3


def paint(
    wall: Annotated[str, typer.Argument(metavar="WALL")],
    *,
    coats: Annotated[int, typer.Option("--coats")] = 2,
    colours: Colours,
    quiet: bool = False,
) -> None:
    """Paint a wall."""
    typer.echo(f"{wall} {coats} {colours} {quiet}")


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(spread(paint))
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_options_of_a_group_are_gathered(run) -> None:
    done = run("north", "--bright", "red", "--quiet", "--bright", "blue", "--depth", "4")
    assert done.output.strip() == f"north 2 {Colours(['red', 'blue'], 4)} True"


def test_what_is_not_given_has_the_default_of_the_group(run) -> None:
    assert run("north", "--coats", "1").output.strip() == f"north 1 {Colours()} False"


def test_the_options_are_checked_and_stand_in_the_place_of_the_group(run) -> None:
    assert run("north", "--depth", "0").exit_code == 2
    assert run("north", "--colours", "red").exit_code == 2
    text = run("--help").output
    assert "Paint a wall." in text
    places = [text.index(option) for option in ("--coats", "--bright", "--depth", "--quiet")]
    assert places == sorted(places)
