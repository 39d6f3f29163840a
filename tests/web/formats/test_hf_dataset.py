from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest

from taskweb.errors import InputError, ParameterError
from taskweb.web.formats import export_runs, hf_dataset, import_runs
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.records.tidy_rows import RECORD_COLUMNS, TIDY_COLUMNS
from tests.web.made_up_runs import exactly, simple_run

pytest.importorskip("pyarrow")


def made_up(count: int) -> list[Run]:
    setup = SetupRecord("m/f", hyperparameters={"rate": 0.1})
    return [
        simple_run(setup=setup, seed=seed, metrics={"accuracy": seed / count, "f1": math.nan}, extra={"lab": f"l{seed}"})
        for seed in range(count)
    ]


def test_the_library_opens_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other libraries
        datasets = pytest.importorskip("datasets")
        export_runs(made_up(5), tmp_path / "runs")
        found = datasets.load_dataset(str(tmp_path / "runs"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    rows = found["train"]
    assert rows.column_names == [*TIDY_COLUMNS, *RECORD_COLUMNS, "lab"]
    assert rows.num_rows == 10
    assert rows[2] | {"hyperparameters": None} == dict.fromkeys(RECORD_COLUMNS) | {
        "source": "s", "target": "t", "setup": "m/f", "seed": 1, "metric": "accuracy", "score": 0.2, "replicate": 0,
        "status": "finished", "model": "m", "method": "f", "lab": "l1",
    }  # fmt: skip
    assert math.isnan(rows[3]["score"])


def test_a_run_is_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf_dataset, "RUNS_PER_FILE", 3)
    runs = made_up(7)
    assert export_runs(iter(runs), tmp_path / "runs") == 7
    names = sorted(path.name for path in (tmp_path / "runs" / "data").iterdir())
    assert names == ["runs-00000.parquet", "runs-00001.parquet", "runs-00002.parquet"]
    assert list(map(exactly, import_runs(tmp_path / "runs"))) == list(map(exactly, runs))


def test_the_card_explains_every_column(tmp_path: Path) -> None:
    export_runs(
        [*made_up(3), simple_run(seed=9, status="failed", reason="out of memory", extra={"a|b`c": "x"})], tmp_path / "runs"
    )
    card = (tmp_path / "runs" / "README.md").read_text()
    for column in (*TIDY_COLUMNS, *RECORD_COLUMNS, "lab"):
        assert f"| `{column}` |" in card
    assert "| `a/b'c` | string |" in card
    assert "4 fine-tuning runs (1 failed, 3 finished)" in card
    assert card.index("## Licence") < card.index("## Citation")


def test_a_folder_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").touch()
    with pytest.raises(InputError, match="exists already"):
        export_runs(made_up(1), tmp_path / "runs")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    export_runs(made_up(1), tmp_path / "runs")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["README.md", "data"]


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no runs"):
        export_runs([], tmp_path / "runs")
    assert not list(tmp_path.iterdir())
