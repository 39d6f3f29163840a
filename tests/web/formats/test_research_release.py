from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskweb.errors import InputError
from taskweb.tasks import catalogue
from taskweb.web import RunTable, score_runs
from taskweb.web.formats import import_runs
from taskweb.web.formats.research_release import import_published
from taskweb.web.records.run import Run

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROW = {
    "model": "m", "method": "finetune", "target": "mrpc", "source": "s", "epochs": 5, "learning_rate": 3e-5, "batch_size": 8,
    "seed": 1, "train_samples": 1000, "train_runtime_s": 12.5, "accuracy": 0.5, "f1": 0.25, "pearson": None,
}  # fmt: skip
HEADER = "model,method,target,epochs,learning_rate,batch_size,seed,score\n"


def write(folder: Path, *rows: dict[str, Any], baselines: str | None = "m,finetune,mrpc,5,3e-05,8,1,0.375\n") -> Path:
    parquet.write_table(pa.Table.from_pylist(list(rows)), folder / "runs.parquet")
    if baselines is not None:
        (folder / "recovered_baselines.csv").write_text(HEADER + baselines)
    return folder


def test_runs_and_baselines(tmp_path: Path) -> None:
    baseline, run = import_runs(write(tmp_path, ROW))
    assert (baseline.source, baseline.seed, baseline.metrics) == (None, 1, {"accuracy": 0.375, "f1": 0.375})
    assert baseline.extra == {"recovered": "each metric stands for the mean of accuracy, f1"}
    assert run.setup == baseline.setup
    assert (run.setup.name, run.setup.hyperparameters) == (
        "m/finetune",
        {"epochs": 5, "learning_rate": 3e-5, "batch_size": 8},
    )
    assert (run.source, run.target, run.seed, run.metrics) == ("s", "mrpc", 1, {"accuracy": 0.5, "f1": 0.25})
    assert (run.sizes, run.durations, run.extra) == ({"train_examples": 1000}, {"train": 12.5}, {})


def test_a_baseline_has_the_metrics_that_gains_are_computed_from(tmp_path: Path) -> None:
    baselines = "m,finetune,cb,5,3e-05,8,1,0.5\nm,finetune,own_task,5,3e-05,8,1,0.5\n"
    of_cb, of_own, _ = import_runs(write(tmp_path, ROW | {"target": "cb"}, baselines=baselines))
    assert (of_cb.metrics, of_own.metrics) == ({"accuracy": 0.5}, {"score": 0.5})
    assert (of_cb.extra, of_own.extra) == ({"recovered": "yes"}, {"recovered": "yes"})


def test_another_configuration_is_a_variant(tmp_path: Path) -> None:
    rows = [ROW, *(ROW | {"batch_size": 32, "seed": seed} for seed in (1, 2))]
    _, plain, *variants = import_runs(write(tmp_path, *rows))
    assert plain.setup.name == "m/finetune"
    assert [run.setup.name for run in variants] == ["m/finetune@e5-lr3e-05-b32"] * 2
    assert variants[0].setup.hyperparameters["batch_size"] == 32


def test_without_baselines_the_most_frequent_configuration_is_the_main_one(tmp_path: Path) -> None:
    rows = [ROW, *(ROW | {"batch_size": 32, "seed": seed} for seed in (1, 2))]
    runs = list(import_runs(write(tmp_path, *rows, baselines=None) / "runs.parquet"))
    assert [run.setup.name for run in runs] == ["m/finetune@e5-lr3e-05-b8", "m/finetune", "m/finetune"]
    with pytest.warns(UserWarning, match="equally frequent.*m/finetune on mrpc. Give the baselines"):
        runs = list(import_runs(write(tmp_path, *rows[:2], baselines=None)))
    assert len({run.setup.name for run in runs}) == 2


def test_a_run_without_any_metric_has_no_score(tmp_path: Path) -> None:
    _, run = import_runs(write(tmp_path, ROW | {"accuracy": None, "f1": None}))
    assert list(run.metrics) == ["accuracy", "f1"]
    assert all(math.isnan(value or 0) for value in run.metrics.values())
    assert math.isnan(run.score(("accuracy", "f1")))


def test_units_and_progress(tmp_path: Path) -> None:
    folder = write(tmp_path, ROW | {"accuracy": 50.0})
    with pytest.raises(InputError, match=r"row 1: accuracy is 50.*--unit accuracy=percent"):
        list(import_published(folder))
    calls: list[tuple[int, int]] = []
    _, run = import_published(folder, units={"accuracy": "percent"}, on_progress=lambda *at: calls.append(at))
    assert run.metrics["accuracy"] == 0.5
    assert calls == [(1, 1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"seed": None}, "is not the table of the published runs"), ({"accuracy": "x"}, "is not the table of the published runs"),
     ({"batch_size": None}, "is not the table of the published runs")],
)  # fmt: skip
def test_wrong_runs_are_reported(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(import_runs(write(tmp_path, ROW | change)))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, {name: value for name, value in ROW.items() if name != "epochs"})
    with pytest.raises(InputError, match="has no column 'epochs'"):
        list(import_runs(folder))


@pytest.mark.parametrize(
    ("baselines", "message"),
    [
        ("m,finetune,mrpc,5,3e-05,8,1,x\n", "row 1: a number is missing or is not a number"),
        ("m,finetune,mrpc,5,3e-05,8,1,0.5\nm,finetune,mrpc,5,3e-05,16,2,0.5\n", "two configurations for m/finetune on 'mrpc'"),
        ("m,finetune,mrpc,5,3e-05,8,1,50\n", "accuracy is 50"),
    ],
)
def test_wrong_baselines_are_reported(tmp_path: Path, baselines: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(import_runs(write(tmp_path, ROW, baselines=baselines)))


def table_of(runs: list[Run]) -> RunTable:
    tasks = catalogue()
    columns = [(run.setup.name, run.target, run.source, run.seed) for run in runs]
    names = [sorted({row[axis] for row in columns} - {None}) for axis in range(4)]
    at = [{name: i for i, name in enumerate(of_axis)} | {None: -1} for of_axis in names]
    codes = [np.array([at[axis][row[axis]] for row in columns], np.int32) for axis in range(4)]
    gain = np.array([run.score(tasks[run.target].transfer_metrics) for run in runs])
    score = np.array([run.score(tasks[run.target].metrics) for run in runs])
    return RunTable(*(tuple(of_axis) for of_axis in names[:3]), *codes, score, gain)  # type: ignore[arg-type]


def test_the_published_runs_give_the_published_scores(published_data: Path) -> None:
    csv = pytest.importorskip("pyarrow.csv")
    runs = list(import_runs(published_data))
    counts = Counter(run.setup.name for run in runs if run.source is not None)
    assert counts.total() == 24_880
    assert {name: count for name, count in counts.items() if "@" in name} == {
        "gpt2m/finetune@e5-lr3e-05-b8": 8,
        "t5l/finetune@e5-lr0.0001-b32": 168,
    }
    assert sum(run.source is None for run in runs) == 1176
    assert sum(run.source == "sst2" for run in runs) == 8
    assert sum(all(math.isnan(value or 0) for value in run.metrics.values()) for run in runs) == 3
    assert len({run.key for run in runs}) == len(runs)

    web = score_runs(table_of(runs), "published")
    rows = csv.read_csv(published_data / "published_scores.csv").to_pylist()
    assert len(rows) == 3087
    at = [{name: i for i, name in enumerate(names)} for names in (web.setups, web.targets, web.sources)]
    assert web.pc is not None
    assert web.pm is not None
    for row in rows:
        place = at[0][f"{row['model']}/{row['method']}"], at[1][row["target"]], at[2][row["source"]]
        assert web.pc[place] == pytest.approx(row["pc"], abs=1e-8)
        assert web.pm[place] == row["pm"]
