"""Tables of Markdown: what a page shows, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import InputError
from taskweb.web.formats import Declared, detect_kind, import_runs
from taskweb.web.formats.markdown_tables import markdown_table

CARD = """\
| size | 60M |
| --- |
not a table: one cell of dashes

```
| a | b |
|---|---|
| 1 | 2 |
```

| Model | [rte](https://x.y/a_(b) "Title") | `cola` | n\\_shots |
|:-:|--:|:---|-|
base | 60.0 | 50 | 0
| [me/base-mnli](https://hf.co/me) | **66.0** | ***45.5*** | \\* |
| __a\\|b__ | *1* | **x** / **y** | |
after the table
| no | row |
"""


def read(folder: Path, text: str, number: int | None = None) -> Any:
    path = folder / "card.md"
    path.write_text(text)
    return markdown_table(path, number, "card.md")


def test_cells_are_read_as_they_are_shown(tmp_path: Path) -> None:
    columns, rows = read(tmp_path, CARD)
    assert columns == ("Model", "rte", "cola", "n_shots")
    assert rows == (
        ("base", "60.0", "50", "0"),
        ("me/base-mnli", "66.0", "45.5", "*"),
        ("a|b", "1", "**x** / **y**", ""),
    )


@pytest.mark.parametrize("text", ["| a |\n|---|\n| 1 |\n", "\ufeffa|\n-|\n1|", "> x\n\n a | \r\n :-: | \r\n 1 | \r\n"])
def test_a_table_may_have_one_column_and_bars_at_one_end(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == (("a",), (("1",),))


WRONG = {
    "md, line 4 has 3 cells, and the table 2 columns. Write a bar inside a cell as \\|.": "|a|b|\n|-|-|\n|1|2|\n|1|2|3|\n",
    "line 3 has 1 cell, and the table 2 columns": "|a|b|\n|-|-|\n|1|\n",
    "line 3 has 0 cells, and the table 2 columns": "|a|b|\n|-|-|\n|\n",
    "contains no table": "a,b\n1,2\n",
    "contains no table: names between bars": "~~~\n|a|b|\n|-|-|\n|1|2|\n",
    "2 tables. Choose one with --table N: 1 (a, b), 2 (c, d, e, ...)": "|a|b|\n|-|-|\n|1|2|\n\n|c|d|e|f|\n|-|-|-|-|\n",
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_no_table_is_one_line(tmp_path: Path, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, WRONG[message])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_several_is_chosen_by_its_number(tmp_path: Path) -> None:
    two = "|a|b|\n|-|-|\n|1|2|\n\n|c|d|\n|-|-|\n|3|4|\n"
    assert [read(tmp_path, two, number)[0] for number in (1, 2)] == [("a", "b"), ("c", "d")]
    for number in (0, 3, -1):
        with pytest.raises(InputError, match="Choose one with --table N"):
            read(tmp_path, two, number)


@pytest.mark.parametrize(
    "cell", ["[" * 50_000, "[a](" * 20_000, "*" * 50_000, "[a](" + "(" * 50_000, "\\" * 50_000, "`*" * 20_000]
)
def test_hostile_cells_are_read_in_time(tmp_path: Path, cell: str) -> None:
    columns, rows = read(tmp_path, f"|a|b|\n|-|-|\n|{cell} |1|\n")
    assert (columns, len(rows)) == (("a", "b"), 1)


def test_runs_are_those_of_the_same_table_in_csv(tmp_path: Path) -> None:
    (tmp_path / "m.md").write_text("# R\n\n| t | a | c |\n|---|---|--:|\n| a | 50 | **61** |\n| b | 30.5 | - |\n")
    (tmp_path / "m.csv").write_text("t,a,c\na,50,61\nb,30.5,-\n")
    how = Declared(setup="m/p", rows="sources", metric="accuracy", diagonal="baseline", not_measured=("-",))
    markdown, csv = (
        list(import_runs(tmp_path / name, kind="matrix", declared=how, units={"accuracy": "percent"}))
        for name in ("m.md", "m.csv")
    )
    assert markdown == csv
    assert len(csv) == 3
    lacking = Declared(setup="m/p", rows="sources", metric="accuracy", diagonal="baseline")
    with pytest.raises(InputError, match=r"row 2, column 'c': the cell is '-', not a number"):
        list(import_runs(tmp_path / "m.md", kind="matrix", declared=lacking, units={"accuracy": "percent"}))


def test_a_table_is_named_only_where_there_can_be_several(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("t,a,c\n")
    with pytest.raises(InputError, match=r"is one table\. Leave out --table, which is for files of Markdown"):
        import_runs(tmp_path / "m.csv", kind="wide", declared=Declared(table=2))
    (tmp_path / "m.md").write_text("|a|b|\n|-|-|\n|1|2|\n")
    said = r"m\.md is Markdown, of which tables are read\. Say what is in it: --kind wide or --kind matrix\."
    with pytest.raises(InputError, match=said):
        detect_kind(tmp_path / "m.md")
    with pytest.raises(InputError, match=said):
        import_runs(tmp_path / "m.md", kind="tidy")
