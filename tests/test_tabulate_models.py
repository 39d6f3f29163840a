"""The table of models is what is found by trying."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from scripts.tabulate_models import BEGIN, END, PAGE, Row, found, table, tabulated_rows, with_table
from tests.models import zoo


def test_the_table_has_a_row_for_each_architecture_that_is_tested() -> None:
    assert list(tabulated_rows(PAGE.read_text(encoding="utf-8"))) == list(zoo.ARCHITECTURES)


def test_notes_are_numbered_and_the_rest_of_the_page_stays() -> None:
    rows = [
        Row("a", "causal", {"finetune": "plain"}, "tree", ("it is odd", "it is old")),
        Row("b", "encoder", {"finetune": "peft"}, "head", ("it is old",)),
    ]
    page = with_table(f"# T\n{BEGIN}old\n{END}after\n", table(rows))
    assert "| a | causal | plain | tree | 1, 2 |\n| b | encoder | peft | head | 2 |\n\n1. It is odd.\n2. It is old.\n" in page
    assert page.startswith("# T\n")
    assert page.endswith(f"{END}after\n")
    assert with_table(page, table(rows)) == page
    assert tabulated_rows(page) == {"a": "| a | causal | plain | tree |", "b": "| b | encoder | peft | head |"}


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_each_row_is_what_is_found(name: str, tmp_path: Path) -> None:
    fresh = tabulated_rows(with_table(f"{BEGIN}{END}", table([found(name, tmp_path)])))
    assert fresh[name] == tabulated_rows(PAGE.read_text(encoding="utf-8"))[name]
