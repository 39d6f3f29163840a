"""Matrices in NumPy's format: the same runs as from CSV, or one line that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskweb.errors import InputError
from taskweb.web.formats import Declared, detect_kind, import_runs
from taskweb.web.records.run import Run

SCORES = np.array([[50.0, 61.0, 70.0], [30.5, np.nan, 71.0]])


def read(path: Path, **declared: Any) -> list[Run]:
    settings = {"setup": "m/p", "rows": "sources", "metric": "accuracy", "missing": ("nan",)} | declared
    units = {"accuracy": "percent"}
    return list(import_runs(path, declared=Declared(**settings), units=units, on_warning=lambda _: None))


def saved(
    folder: Path, array: Any = SCORES, rows: str = "a\nb\n", columns: str = '["a", "c", "d"]'
) -> tuple[Path, tuple[str, ...]]:
    np.save(folder / "m.npy", array)
    (folder / "rows.txt").write_text(rows)
    (folder / "columns.json").write_text(columns)
    return folder / "m.npy", (str(folder / "rows.txt"), str(folder / "columns.json"))


@pytest.mark.parametrize("order", ["C", "F"])
def test_runs_are_those_of_the_same_matrix_in_csv(tmp_path: Path, order: str) -> None:
    path, names = saved(tmp_path, np.array(SCORES, order=order))
    assert detect_kind(path) == "matrix"
    (tmp_path / "m.csv").write_text("t,a,c,d\na,50,61,70\nb,30.5,nan,71\n")
    expected = list(
        import_runs(
            tmp_path / "m.csv",
            kind="matrix",
            declared=Declared(setup="m/p", rows="sources", metric="accuracy", missing=("nan",), diagonal="baseline"),
            units={"accuracy": "percent"},
        )
    )
    assert read(path, names=names, diagonal="baseline") == expected
    assert expected[0].source is None


def test_rows_and_columns_may_share_their_names(tmp_path: Path) -> None:
    path, names = saved(tmp_path, np.array([[60, 65], [70, 75]]))
    runs = read(path, names=names[:1], no_baseline=True, diagonal="none", missing=())
    assert [(run.source, run.target, run.metrics["accuracy"]) for run in runs] == [("a", "b", 0.65), ("b", "a", 0.7)]


def test_what_is_not_declared_is_asked_for(tmp_path: Path) -> None:
    path, names = saved(tmp_path)
    with pytest.raises(InputError, match=r"guessed\. Add --names FILE: .*; --setup MODEL.*; --rows .*; --metric NAME"):
        list(import_runs(path))
    with pytest.raises(InputError, match="Add --diagonal baseline, runs or none"):
        read(path, names=names)
    with pytest.raises(InputError, match=r"the cell is 'nan', not a number\. If it means no run, say --not-measured 'nan'"):
        read(path, names=names, diagonal="baseline", missing=())
    (tmp_path / "m.csv").write_text("t,a\na,50\n")
    with pytest.raises(InputError, match="Leave out --names"):
        list(import_runs(tmp_path / "m.csv", kind="matrix", declared=Declared(setup="m/p", names=names)))


@pytest.mark.parametrize(
    ("array", "rows", "message"),
    [
        (np.zeros((2, 3, 4)), "a\nb\n", r"has the shape 2 x 3 x 4\. A matrix has rows and columns"),
        (np.zeros((0, 3)), "", r"has the shape 0 x 3"),
        (np.array(3.0), "a\n", r"has the shape one number"),
        (np.full((2, 3), "x"), "a\nb\n", r"contains <U1, not numbers"),
        (np.zeros((2, 3), complex), "a\nb\n", r"contains complex128, not numbers"),
        (np.full((2, 3), None), "a\nb\n", r"is not a matrix of numbers in NumPy's format: Array can't be memory-mapped"),
        (np.zeros((3, 3)), "a\nb\n", r"has 3 rows, and .*rows\.txt has 2 names"),
        (np.zeros((2, 2)), "a\nb\n", r"has 2 columns, and .*columns\.json has 3 names"),
        (np.zeros((2, 3)), "a\n\nb\n", r"rows\.txt: name 2 is empty"),
        (np.zeros((2, 3)), "[1, 2]", r"must be a list of texts"),
        (np.zeros((2, 3)), "a\na\n", r"has two rows named 'a'"),
    ],
)
def test_other_arrays_and_names_are_refused_in_one_line(tmp_path: Path, array: Any, rows: str, message: str) -> None:
    path, names = saved(tmp_path, array, rows)
    with pytest.raises(InputError, match=message) as caught:
        read(path, names=names, diagonal="none", no_baseline=True)
    assert "\n" not in str(caught.value)


def test_a_column_occurs_once(tmp_path: Path) -> None:
    path, names = saved(tmp_path, columns=json.dumps(["a", "c", "a"]))
    with pytest.raises(InputError, match="contains 'a' twice"):
        read(path, names=names)


def test_a_cut_file_is_one_line(tmp_path: Path) -> None:
    path, names = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="is not a matrix of numbers"):
        read(path, names=names)
