from __future__ import annotations

import csv
from pathlib import Path

import pytest

from taskweb.errors import InputError
from taskweb.tasks import Columns, Sampling
from taskweb.tasks.task_tables import load_task_table

ROWS = [{"task": name, "text": f"{name} {i}", "label": "ab"[i % 2]} for i in range(10) for name in ("rivers", "joy")]


def table(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_each_task_has_its_rows_without_the_column_that_names_it(tmp_path: Path) -> None:
    rivers, joy = load_task_table(table(tmp_path / "all.csv", ROWS), "task", sampling=Sampling(None))
    assert (rivers.name, joy.name) == ("rivers", "joy")
    assert [example.input for example in joy.examples] == [f"joy {i}" for i in range(10)]
    assert joy.examples[1].output == "b"
    assert joy.examples[3].row == 9  # the header is row 1
    assert "task" not in joy.reading


def test_a_sample_of_each_task_is_drawn_with_a_seed(tmp_path: Path) -> None:
    path = table(tmp_path / "all.csv", ROWS)
    one, other = (load_task_table(path, "task", sampling=Sampling(4, seed=3)) for _ in range(2))
    assert [item.digest for item in one] == [item.digest for item in other]
    assert {len(item) for item in one} == {4}
    assert {item.total for item in one} == {10}
    assert [e.input for e in one[0].examples] != [f"rivers {i}" for i in range(4)]
    first = load_task_table(path, "task", sampling=Sampling(2))[0]
    assert [example.input for example in first.examples] == ["rivers 0", "rivers 1"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a"}], "row 2 has no column 'task' to name its task. It has text."),
        ([{"task": "", "text": "a"}], "row 2: the column 'task' must name a task"),
        ([{"task": "joy", "text": ""}], "Task 'joy': .*no usable examples"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_task_table(table(tmp_path / "all.csv", rows), "task", columns=Columns(("text",)))
