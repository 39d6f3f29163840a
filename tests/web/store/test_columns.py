from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.errors import WebError
from taskweb.tasks import catalogue
from taskweb.web import TransferWeb, score_runs
from taskweb.web.opening import open_web
from taskweb.web.published import published_web
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.records.run_table import NO_SOURCE
from taskweb.web.store import RunStore

SETUPS = (SetupRecord("m/f"), SetupRecord("m/f", hyperparameters={"lr": 1}), SetupRecord("n/f"))


def scored(folder: Path, runs: Iterable[Run], name: str = "runs.db") -> TransferWeb:
    path = folder / name
    path.unlink(missing_ok=True)
    with RunStore.open(path, create=True) as store:
        store.add_many(runs)
    return open_web(path)


def run(source: str | None, seed: int | None, accuracy: float | None, target: str = "t", **changes: object) -> Run:
    return dataclasses.replace(Run(SETUPS[0], target, source, seed, {"accuracy": accuracy}), **changes)


values = st.sampled_from([0.25, 0.5, 0.75, math.nan, None])


@settings(max_examples=60, deadline=None)
@given(
    cells=st.dictionaries(
        st.tuples(
            st.sampled_from(["mrpc", "cb", "unknown"]),
            st.sampled_from([None, "a", "b"]),
            st.integers(0, 2),
            st.sampled_from([0, 2]),
        ),
        st.tuples(
            st.dictionaries(st.sampled_from(["accuracy", "f1", "pearson"]), values, max_size=3),
            st.sampled_from(["finished", "finished", "failed", "diverged"]),
        ),
        min_size=1,
    )
)
def test_scores_of_runs_are_the_means_of_their_metrics(tmp_path_factory: pytest.TempPathFactory, cells: dict) -> None:
    runs = [
        Run(SETUPS[setup], target, source, seed, metrics, status, "reason" if status == "failed" else None)
        for (target, source, seed, setup), (metrics, status) in cells.items()
    ]
    folder = tmp_path_factory.mktemp("columns")
    with RunStore.open(folder / "runs.db", create=True) as store:
        store.add_many(runs)
        if all(one.source is None for one in runs):
            return
        table = store.run_table()

    def has(value: float | None) -> bool:
        return value is not None and not math.isnan(value)

    found = {
        (table.setups[a], table.targets[b], None if c == NO_SOURCE else table.sources[c], d): (x, y)
        for a, b, c, d, x, y in zip(
            table.setup, table.target, table.source, np.unique([one.seed for one in runs])[table.seed], table.score,
            table.gain_score, strict=True,
        )
    }  # fmt: skip
    assert len(found) == len(runs)
    for one in runs:
        alike = [r for r in runs if (r.setup.name, r.target) == (one.setup.name, one.target) and r.status == "finished"]
        measured = sorted({name for r in alike for name, value in r.metrics.items() if has(value)})
        task = catalogue().get(one.target)
        chosen = [name for name in measured if task and name in task.metrics] or measured
        gained = [name for name in chosen if task and name in task.transfer_metrics] or chosen
        expected = [one.score(tuple(which)) for which in (chosen, gained)]
        assert found[one.setup.name, one.target, one.source, one.seed] == pytest.approx(expected, nan_ok=True)


def test_unfinished_runs_count_among_the_seeds(tmp_path: Path) -> None:
    web = scored(tmp_path, [
        run(None, 1, 0.5), run(None, 2, 0.5), run(None, 3, 0.5),
        run("a", 1, 0.6), run("a", 2, 0.9, status="diverged"), run("a", 3, 0.9, status="failed", reason="stopped"),
    ])  # fmt: skip
    assert web.pc[0, 0] == pytest.approx([0.2])
    assert web.pm[0, 0] == pytest.approx([1 / 3])
    assert web.n_seeds[0, 0].tolist() == [1]


def test_unknown_seeds_are_compared_with_the_mean_baseline(tmp_path: Path) -> None:
    baselines = [run(None, None, 0.4, replicate=0), run(None, None, 0.6, replicate=1)]
    web = scored(tmp_path, [*baselines, run("a", None, 0.6), run("a", None, 0.4, replicate=1), run("b", 0, 0.55)])
    assert web.pc[0, 0] == pytest.approx([0.0, 0.1])
    assert "3 runs have no baseline of their own seed" in web.notes[0]


def test_hours_are_those_of_all_stages(tmp_path: Path) -> None:
    web = scored(tmp_path, [
        run("a", 1, 0.6, durations={"train": 3600.0, "eval": 1800.0}), run("b", 1, 0.5, durations={"train": 1800.0}),
        run("a", 1, 0.5, target="u"),
    ])  # fmt: skip
    assert web.hours.tolist() == [[2.0, 0.0]]


def test_runs_that_differ_in_hyperparameters_only_are_refused(tmp_path: Path) -> None:
    conflicting = [run("a", 1, 0.6), run("a", 1, 0.7, setup=SETUPS[1]), run("b", 1, 0.5)]
    with pytest.raises(WebError, match=r"2 conflicting runs.*m/f, target t, source a, seed 1. They differ") as caught:
        scored(tmp_path, conflicting)
    assert "\n" not in str(caught.value)
    with RunStore.open(tmp_path / "runs.db") as store:
        assert "2 runs of m/f, target t, source a, seed 1 differ" in store.check()[0]
        store.remove([conflicting[1].key])
    assert open_web(tmp_path / "runs.db").score.shape == (1, 1, 2)


def test_a_store_is_recognised_by_its_content(tmp_path: Path) -> None:
    runs = [run(None, 1, 0.5), run("a", 1, 0.6)]
    for name in ("runs", "runs.csv", "runs.parquet", "runs.anything"):
        web = scored(tmp_path, runs, name)
        assert web.pc[0, 0, 0] == pytest.approx(0.2)
        assert web.name == str(tmp_path / name)
    stores = {path.name for path in tmp_path.iterdir() if path.suffix != ".digest"}
    assert stores == {"runs", "runs.anything", "runs.csv", "runs.parquet"}


def test_the_published_runs_give_the_published_web_in_little_time(published_data: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    csv = pytest.importorskip("pyarrow.csv")
    baselines = csv.read_csv(published_data / "recovered_baselines.csv").to_pylist()
    settings_of = {
        (row["model"], row["method"], row["target"]): (row["epochs"], row["learning_rate"], row["batch_size"])
        for row in baselines
    }
    names = ("accuracy", "f1", "pearson", "spearmanr")

    def runs() -> Iterable[Run]:
        for row in parquet.read_table(published_data / "runs.parquet").to_pylist():
            settings = (row["epochs"], row["learning_rate"], row["batch_size"])
            if settings_of.get((row["model"], row["method"], row["target"])) == settings and row["source"] in catalogue():
                setup = SetupRecord(f"{row['model']}/{row['method']}", hyperparameters={"settings": str(settings)})
                metrics = {name: row[name] for name in names if row[name] is not None}
                yield Run(
                    setup, row["target"], row["source"], row["seed"], metrics, durations={"train": row["train_runtime_s"]}
                )
        for row in baselines:
            metrics = dict.fromkeys(catalogue()[row["target"]].transfer_metrics, row["score"])
            yield Run(SetupRecord(f"{row['model']}/{row['method']}"), row["target"], None, row["seed"], metrics)

    with RunStore.open(tmp_path / "published.db", create=True) as store:
        assert store.add_many(runs()) == 24_696 + 1_176
        start = time.process_time()
        web = score_runs(store.run_table(), "stored")
        assert time.process_time() - start < 5
    published = published_web().restrict(setups=web.setups, targets=web.targets, sources=web.sources)
    for quantity in ("t", "pc", "pm", "score", "score_se", "reliability", "hours"):
        np.testing.assert_allclose(getattr(web, quantity), getattr(published, quantity), atol=1e-6, err_msg=quantity)
