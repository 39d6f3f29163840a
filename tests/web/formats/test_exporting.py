"""Every exporter: the full record comes back, and a file appears completely or not at all."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskweb.errors import InputError, MissingDependencyError, NameNotFoundError, ParameterError
from taskweb.web.formats import EXPORTERS, export_runs, import_runs, tidy_parquet
from taskweb.web.opening import open_web
from taskweb.web.records import streams
from taskweb.web.records.run import Run, SetupRecord
from tests.web.made_up_runs import exactly, simple_run, whole_records

NAMES = ("runs.csv", "runs.tsv", "runs.parquet", "runs.jsonl", "runs")
TABLES = ("runs.csv", "runs.tsv", "runs.parquet", "runs")


def needs(name: str) -> None:
    if name in ("runs.parquet", "runs"):
        pytest.importorskip("pyarrow")


def without_twins(runs: list[Run]) -> list[Run]:
    """A tidy table contains a run once: two with one key are the same run."""
    return list({run.key: run for run in runs}.values())


@pytest.mark.parametrize("name", NAMES)
@given(runs=st.lists(whole_records(), min_size=1, max_size=4).map(without_twins))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_run_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, name: str, runs: list[Run]) -> None:
    needs(name)
    path = tmp_path_factory.mktemp("out") / name
    assert export_runs(runs, path) == len(runs)
    assert sorted(map(exactly, import_runs(path))) == sorted(map(exactly, runs))


@pytest.mark.parametrize("name", NAMES)
def test_runs_come_back_in_order(tmp_path: Path, name: str) -> None:
    needs(name)
    runs = [simple_run(seed=seed, metrics={"accuracy": seed / 50, "f1": math.nan}) for seed in range(50)]
    export_runs(iter(runs), tmp_path / name)
    assert [run.seed for run in import_runs(tmp_path / name)] == list(range(50))


@pytest.mark.parametrize("name", ["runs.csv", "runs.tsv"])
def test_no_text_is_run_by_a_spreadsheet_and_no_number_is_changed(tmp_path: Path, name: str) -> None:
    calls = '=HYPERLINK("http://x")'
    run = simple_run(source=calls, target="+1+cmd", metrics={"@SUM(1)": -0.5}, reason="\t=1", extra={"-note": "'=1", "n": "=2"})
    export_runs([run], tmp_path / name)
    with (tmp_path / name).open(newline="") as file:
        header, row = csv.reader(file, delimiter="\t" if name.endswith("tsv") else ",")
    assert not [cell for cell in (*header, *row) if cell[:1] in set("=+-@\t\r") and cell != "-0.5"]
    cells = dict(zip(header, row, strict=True))
    assert (cells["source"], cells["score"], cells["'-note"]) == (f"'{calls}", "-0.5", "''=1")
    assert list(map(exactly, import_runs(tmp_path / name))) == [exactly(run)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_when_it_fails(tmp_path: Path, name: str) -> None:
    needs(name)

    def failing() -> Iterator[Run]:
        yield simple_run()
        raise ZeroDivisionError

    if name != "runs":
        (tmp_path / name).write_text("before")
    with pytest.raises(ZeroDivisionError):
        export_runs(failing(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ([name] if name != "runs" else [])
    if name != "runs":
        assert (tmp_path / name).read_text() == "before"


@pytest.mark.parametrize("name", NAMES)
def test_a_late_failure_leaves_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(name)
    monkeypatch.setattr(streams, "_FIRST_RUNS", 2)

    def failing() -> Iterator[Run]:
        yield from (simple_run(seed=seed) for seed in range(10))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        export_runs(failing(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", TABLES)
def test_texts_of_further_columns_have_columns_of_their_own(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(name)
    monkeypatch.setattr(streams, "_FIRST_RUNS", 1)
    runs = [simple_run(extra={"lab": "north", "gpus": 2}), simple_run(seed=2, extra={"late": "x", "lab": ""})]
    export_runs(runs, tmp_path / name)
    if name == "runs.csv":
        header, first, second = (tmp_path / name).read_text().splitlines()
        assert header.split(",")[-1] == "lab"
        assert first.endswith('"{""gpus"":2}",north')
        assert second.endswith('"{""late"":""x"",""lab"":""""}",')
    assert list(map(exactly, import_runs(tmp_path / name))) == list(map(exactly, runs))


@pytest.mark.parametrize("name", TABLES)
def test_a_source_called_none_is_refused(tmp_path: Path, name: str) -> None:
    needs(name)
    with pytest.raises(ParameterError, match=r"'None'.*Rename"):
        export_runs([simple_run(source="None")], tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", TABLES)
def test_a_metric_without_a_name_is_refused(tmp_path: Path, name: str) -> None:
    needs(name)
    with pytest.raises(ParameterError, match="metric without a name"):
        export_runs([simple_run(metrics={"": 0.5})], tmp_path / name)


@pytest.mark.parametrize("name", TABLES)
def test_half_a_surrogate_pair_is_refused(tmp_path: Path, name: str) -> None:
    needs(name)
    with pytest.raises(ParameterError, match="Unicode"):
        export_runs([simple_run(target="\ud800")], tmp_path / name)


def test_json_lines_can_contain_half_a_surrogate_pair(tmp_path: Path) -> None:
    export_runs([simple_run(target="\ud800é")], tmp_path / "runs.jsonl")
    assert [run.target for run in import_runs(tmp_path / "runs.jsonl")] == ["\ud800é"]


def test_numbers_too_large_for_parquet_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(ParameterError, match="64 bits"):
        export_runs([simple_run(seed=2**64)], tmp_path / "runs.parquet")


def test_json_lines_are_strict(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    run = simple_run(metrics={"accuracy": math.nan, "f1": None}, durations={"train": math.inf})
    export_runs([run], tmp_path / "runs.jsonl")
    fields = json.loads((tmp_path / "runs.jsonl").read_text(), parse_constant=refuse)
    assert fields["metrics"] == {"accuracy": {"float": "NaN"}, "f1": None}
    assert fields["setup"] == {"name": "m/f", "model": "m", "revision": None, "method": "f", "hyperparameters": {}}


def test_a_table_is_a_web(tmp_path: Path) -> None:
    runs = [simple_run(source=source, seed=seed, metrics={"accuracy": score}) for source, seed, score in
            ((None, 1, 0.5), (None, 2, 0.4), ("s", 1, 0.6), ("s", 2, math.nan))]  # fmt: skip
    export_runs(runs, tmp_path / "runs.csv")
    web = open_web(tmp_path / "runs.csv")
    assert web.pc[0, 0, 0] == pytest.approx(0.2)
    assert web.pm[0, 0, 0] == pytest.approx(0.5)


def test_permissions_of_files_follow_the_umask(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    export_runs([simple_run()], tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").stat().st_mode == plain.stat().st_mode


def test_an_unwritable_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"away.runs\.csv cannot be written: No such file"):
        export_runs([simple_run()], tmp_path / "away" / "runs.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        export_runs([simple_run()], tmp_path / "folder.csv")


def test_unknown_kinds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in '\.xlsx'.*csv, parquet, jsonl, dataset"):
        export_runs([], tmp_path / "runs.xlsx")
    with pytest.raises(NameNotFoundError, match="Did you mean 'parquet'"):
        export_runs([], tmp_path / "runs", kind="parket")
    assert not list(tmp_path.iterdir())


def test_a_given_kind_overrides_the_ending(tmp_path: Path) -> None:
    export_runs([simple_run()], tmp_path / "runs.txt", kind="jsonl")
    assert [run.seed for run in import_runs(tmp_path / "runs.txt")] == [1]


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    for name in ("runs.parquet", "runs"):
        with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
            export_runs([simple_run()], tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_batches_of_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(tidy_parquet, "_RUNS_PER_BATCH", 10)
    runs = [simple_run(seed=seed, setup=SetupRecord("m/f", hyperparameters={"rate": 0.1})) for seed in range(25)]
    export_runs(runs, tmp_path / "runs.parquet")
    assert parquet.ParquetFile(tmp_path / "runs.parquet").num_row_groups == 3
    assert list(map(exactly, import_runs(tmp_path / "runs.parquet"))) == list(map(exactly, runs))


def test_every_exporter_is_tried_here() -> None:
    assert {{"tsv": "csv", "": "dataset"}.get(Path(name).suffix[1:], Path(name).suffix[1:]) for name in NAMES} == set(EXPORTERS)
