from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskweb.errors import InputError, MissingDependencyError
from taskweb.web.formats import export_csv, export_parquet, import_runs
from taskweb.web.formats.tidy_runs import import_tidy
from taskweb.web.records.run import Run
from tests.web.made_up_runs import exactly, simple_run

HEADER = "source,target,setup,seed,metric,score\n"
ON_BYTES = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def runs_of(folder: Path, text: str, name: str = "runs.csv", **options: object) -> list[Run]:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return list(import_runs(path, **options))  # type: ignore[arg-type]


def test_rows_of_a_run_need_not_be_adjacent(tmp_path: Path) -> None:
    text = "s,t,m/f,1,accuracy,0.5\nnone,t,m/f,1,accuracy,0.4\ns,t,m/f,1,f1,0.25\nnone,t,m/f,1,f1,nan\ns,t,m/f,2,f1,\n"
    runs = runs_of(tmp_path, HEADER + text)
    assert [(run.source, run.seed) for run in runs] == [("s", 1), (None, 1), ("s", 2)]
    assert runs[0].metrics == {"accuracy": 0.5, "f1": 0.25}
    assert runs[1].metrics["accuracy"] == 0.4
    assert math.isnan(runs[1].metrics["f1"] or 0)
    assert runs[2].metrics == {"f1": None}


def test_only_runs_with_rows_apart_are_in_memory(tmp_path: Path) -> None:
    """A run is yielded before the rows of the next ones are read, unless its own rows are apart."""
    text = "".join(f"s{i},t,m/f,1,{metric},0.5\n" for i in range(5) for metric in ("accuracy", "f1"))
    (tmp_path / "runs.csv").write_text(HEADER + text + "s0,t,m/f,1,exact_match,0.5\n")
    assert [run.source for run in import_tidy(tmp_path / "runs.csv")] == ["s1", "s2", "s3", "s4", "s0"]


@pytest.mark.parametrize("order", ["runs", "metrics"])
def test_runs_without_a_seed_are_numbered(tmp_path: Path, order: str) -> None:
    rows = [("accuracy", 0.1), ("f1", 0.2), ("accuracy", 0.3), ("f1", 0.4)]
    rows = sorted(rows) if order == "metrics" else rows
    text = "source,target,setup,metric,score\n" + "".join(f"s,t,m/f,{metric},{score}\n" for metric, score in rows)
    runs = runs_of(tmp_path, text)
    assert [(run.seed, run.replicate, run.metrics) for run in runs] == [
        (None, 0, {"accuracy": 0.1, "f1": 0.2}),
        (None, 1, {"accuracy": 0.3, "f1": 0.4}),
    ]


def test_some_runs_without_a_seed(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, HEADER + "s,t,m/f,,f1,0.1\ns,t,m/f,3.0,f1,0.2\ns,t,m/f,,f1,0.3\n")
    assert [(run.seed, run.replicate) for run in runs] == [(None, 0), (3, 0), (None, 1)]


def test_a_given_replicate_is_used(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "source,target,setup,metric,score,replicate\ns,t,m/f,f1,0.1,7\ns,t,m/f,f1,0.2,3\n")
    assert [(run.seed, run.replicate) for run in runs] == [(None, 7), (None, 3)]


def test_further_columns_are_stored(tmp_path: Path) -> None:
    header = "source,target,setup,seed,metric,score,lab,note,\n"
    text = "s,t,m/f,1,accuracy,0.5,north,,x\ns,t,m/f,1,f1,0.5,south,seen,x\n"
    (run,) = runs_of(tmp_path, header + text)
    assert run.extra == {"lab": "north", "lab (f1)": "south", "note (f1)": "seen", "column 9": "x"}


def test_columns_of_the_record_are_read_in_any_order(tmp_path: Path) -> None:
    header = "status,reason,hyperparameters,source,target,setup,seed,metric,score\n"
    runs = runs_of(tmp_path, header + 'failed,out of memory,"{""rate"":0.1}",s,t,m/f@slow,1,,\n')
    assert [(run.status, run.reason, run.metrics) for run in runs] == [("failed", "out of memory", {})]
    assert (runs[0].setup.hyperparameters, runs[0].setup.method) == ({"rate": 0.1}, "f")


def test_white_space_and_case_of_what_people_write(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, "\ufeff" + HEADER + " s , t,m/f, 1,f1, 0.5\r\nNone,t,m/f,1,f1,N/A\r\n\r\n")
    assert [(run.source, run.target, run.seed) for run in runs] == [("s", "t", 1), (None, "t", 1)]
    assert math.isnan(runs[1].metrics["f1"] or 0)


def test_tabs(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, (HEADER + "a,t,m/f,1,f1,0.5\n").replace(",", "\t"), "runs.tsv")
    assert run.source == "a"


def test_typed_cells_of_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    columns = {
        "source": ["s", None], "target": ["t", "t"], "setup": ["m/f", "m/f"], "seed": [1.0, math.nan],
        "metric": ["f1", "f1"], "score": [1, 0], "gpus": [8, None], "tags": [["a"], None],
    }  # fmt: skip
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "runs.parquet")
    first, second = import_runs(tmp_path / "runs.parquet")
    assert (first.source, first.seed, first.metrics, first.extra) == ("s", 1, {"f1": 1.0}, {"gpus": 8, "tags": "['a']"})
    assert (second.source, second.seed, second.replicate, second.extra) == (None, None, 0, {})


def test_numbers_that_are_nan_do_not_differ(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    columns = {"source": ["s"] * 2, "target": ["t"] * 2, "setup": ["m/f"] * 2, "metric": ["accuracy", "f1"], "score": [0.5] * 2}
    pyarrow.parquet.write_table(pa.table(columns | {"seed": [1, 1], "load": [math.nan] * 2}), tmp_path / "runs.parquet")
    (run,) = import_runs(tmp_path / "runs.parquet")
    assert list(run.extra) == ["load"]


def test_parquet_with_cells_that_are_not_names(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    columns = {"source": [["s"]], "target": ["t"], "setup": ["m/f"], "metric": ["f1"], "score": [0.5]}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "runs.parquet")
    with pytest.raises(InputError, match=r"runs\.parquet is not a tidy table"):
        list(import_runs(tmp_path / "runs.parquet"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s,t,m/f,1,f1,high", "row 1: the score 'high' is not a number"),
        ("s,t,m/f,x,f1,0.5", "row 1: the seed 'x' is not a whole number"),
        ("s,t,m/f,1.5,f1,0.5", "row 1: the seed '1.5' is not a whole number"),
        ("s,t,m/f,1,f1,0.5\ns,,m/f,1,f1,0.5", "row 2: the column 'target' is empty"),
        (",t,m/f,1,f1,0.5", "row 1: the column 'source' is empty. Baselines have the source 'none'"),
        ("s,t,m/f,1,,0.5", "row 1: there is a score of 0.5, but no metric"),
        (
            "s,t,m/f,1,f1,0.5\nr,t,m/f,1,f1,0.5\ns,t,m/f,1,f1,0.5",
            "row 3: source s, target t, setup m/f, seed 1, metric f1 occurs",
        ),
        ("s,t,m/f,1,f1", "row 1 has 5 cells where the header names 6 columns"),
        ("s,t,m/f,1,f1,0.5,x", "row 1 has 7 cells"),
        ('s,t,m/f,1,f1,"0.5', "is not a CSV file"),
        ("", "contains no rows"),
    ],
)
def test_errors_are_reported(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as fault:
        runs_of(tmp_path, HEADER + text)
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,target,setup,seed,metric\n", "has no column 'score'"),
        ("source,target,setup,seed,metric,score,seed\n", "two columns named 'seed'"),
        (HEADER.strip() + ",status\ns,t,m/f,1,f1,0.5,ok\n", "must be one of finished, failed, diverged"),
        (HEADER.strip() + ",status\ns,t,m/f,1,f1,0.5,failed\n", "gives no reason"),
        (HEADER.strip() + ",sizes\ns,t,m/f,1,f1,0.5,12\n", "row 1 has a field 'sizes' that is not an object"),
        (HEADER.strip() + ",sizes\ns,t,m/f,1,f1,0.5,{\n", "row 1 has a field 'sizes' that is not valid JSON"),
        (
            HEADER.strip() + ",commit\ns,t,m/f,1,f1,0.5,a\ns,t,m/f,1,accuracy,0.5,b\n",
            "row 2: the column 'commit' differs from row 1",
        ),
        ("", "is empty"),
    ],
)
def test_wrong_columns_are_reported(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as fault:
        runs_of(tmp_path, text, kind="tidy")
    assert message in str(fault.value)


def test_errors_use_the_given_name(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(HEADER + "s,t,m/f,1,f1,x")
    with pytest.raises(InputError, match=r"^my upload, row 1: the score"):
        list(import_runs(tmp_path / "runs.csv", name="my upload"))


def test_progress_ends_with_all_rows(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    runs_of(
        tmp_path, HEADER + "".join(f"s,t,m/f,{i},f1,0.5\n" for i in range(20_000)), on_progress=lambda *at: calls.append(at)
    )
    assert calls == [(10_000, 0), (20_000, 0), (10_000, 20_000), (20_000, 20_000), (20_000, 20_000)]


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        list(import_tidy(tmp_path / "runs.parquet"))


CELLS = st.sampled_from(["s", "none", "", "0.5", "1", "nan", '"', "{}", "1e999", "-1", "\x00", "é"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@given(content=st.binary(max_size=200))
@ON_BYTES
def test_any_bytes_are_runs_or_an_input_error(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError):
        list(import_tidy(path))


@given(rows=st.lists(st.lists(CELLS, min_size=5, max_size=8), min_size=1, max_size=4))
@ON_BYTES
def test_any_cells_are_runs_or_an_input_error(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / "any.csv"
    path.write_text(HEADER + "".join(",".join(row) + "\n" for row in rows))
    try:
        found = list(import_tidy(path))
    except InputError as fault:
        assert "\n" not in str(fault)
    else:
        assert 0 < len(found) <= len(rows)


@given(place=st.integers(0, 3000), byte=st.integers(0, 255))
@ON_BYTES
def test_a_broken_parquet_file_is_runs_or_an_input_error(tmp_path: Path, place: int, byte: int) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "broken.parquet"
    export_parquet([simple_run(seed=seed) for seed in range(3)], path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    try:
        list(import_tidy(path))
    except InputError as fault:
        assert "broken.parquet" in str(fault)


def test_names_in_an_exported_table_are_unchanged(tmp_path: Path) -> None:
    run = simple_run(target=" t ", metrics={" a,b": 2.0}, commit='"x"')
    export_csv([run], tmp_path / "runs.csv")
    assert list(map(exactly, import_tidy(tmp_path / "runs.csv"))) == [exactly(run)]
