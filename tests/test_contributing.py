"""The page for contributors says what is true of the code."""

from __future__ import annotations

import re

from scripts.draw_layers import current_drawing, reduced, with_drawing
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_drawing_of_the_layers_is_that_of_the_table() -> None:
    assert with_drawing(PAGE, current_drawing()) == PAGE, "run: python scripts/draw_layers.py"


def test_arrows_that_follow_from_others_are_left_out() -> None:
    assert reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_the_files_that_it_names_exist() -> None:
    named = {name for name in re.findall(r"`([\w/.]+/[\w.]+\.(?:py|toml|md))`", PAGE) if "<" not in name}
    assert len(named) > 10
    missing = [n for n in named if not (REPOSITORY / n).exists() and not (REPOSITORY / "src" / "taskweb" / n).exists()]
    assert missing == []


def test_the_examples_stand_in_the_files_that_they_are_from() -> None:
    """Every line of an example's code, docstrings and comments apart, is a line of some file of the package."""
    lines = {
        line.strip() for path in (REPOSITORY / "src").rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()
    }
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 3
    assert [line for block in blocks for line in block.splitlines() if line.strip() and line.strip() not in lines] == []
