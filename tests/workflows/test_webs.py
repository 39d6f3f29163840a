from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import InputError, TaskWebError
from taskweb.web.formats import import_runs
from taskweb.web.opening import open_web
from taskweb.web.published import published_web
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.store import RunStore, digest_file
from taskweb.workflows.webs import describe_web, export_web, import_web, merge_webs, score_rows

SETUP = SetupRecord("m/finetune", hyperparameters={"epochs": 3})


def made_up_runs(seeds: int = 3) -> list[Run]:
    runs = [Run(SETUP, target, None, seed, {"accuracy": 0.5 + 0.01 * seed}) for target in "ab" for seed in range(seeds)]
    runs += [Run(SETUP, "a", "b", seed, {"accuracy": 0.6 + 0.02 * seed}) for seed in range(seeds)]
    runs += [Run(SETUP, "b", "c", seed, {"accuracy": 0.4}) for seed in range(seeds)]
    return [
        *runs,
        Run(SETUP, "a", "c", 0, status="failed", reason="out of memory"),
        Run(SETUP, "a", "b", 0, {"accuracy": 0.9}, replicate=1),
    ]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    with RunStore.open(path, create=True) as opened:
        opened.add_many(made_up_runs())
    return path


@pytest.mark.parametrize("name", ["runs.csv", "runs.parquet", "runs.jsonl", "runs.json", "folder"])
def test_what_is_exported_is_the_same_web_and_can_be_imported_again(name: str, store: Path, tmp_path: Path) -> None:
    if name in ("runs.parquet", "folder"):
        pytest.importorskip("pyarrow")
    target = tmp_path / name
    assert export_web(str(store), target, kind="dataset" if name == "folder" else None) == (len(made_up_runs()), "runs")
    one, other = open_web(store), open_web(target)
    assert (one.setups, one.targets, set(one.sources)) == (other.setups, other.targets, set(other.sources))
    other = other.restrict(sources=one.sources)
    for figure in ("t", "pc", "pm", "score", "n_seeds", "pc_se", "sign_p"):
        assert np.allclose(getattr(one, figure), getattr(other, figure), equal_nan=True)
    again = tmp_path / "again.db"
    report = import_web(target, again)
    assert (report.read, report.added) == (len(made_up_runs()), len(made_up_runs()))
    with RunStore.open(store) as first, RunStore.open(again) as second:
        assert {run.key: run for run in first.runs()} == {run.key: run for run in second.runs()}
    assert import_web(target, again).added == 0


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "runs.jsonl"
    broken.write_text("{}\n")
    (tmp_path / "empty.csv").write_text("source,target,setup,seed,metric,score\n")
    for source in (broken, tmp_path / "empty.csv", tmp_path / "none.csv"):
        with pytest.raises(InputError):
            import_web(source, tmp_path / "new.db")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.csv", "runs.jsonl"]


def test_units_are_declared_and_never_guessed(tmp_path: Path) -> None:
    table = tmp_path / "percent.csv"
    table.write_text("source,target,setup,seed,metric,score\nnone,t,m/f,1,accuracy,50\ns,t,m/f,1,accuracy,60\n")
    with pytest.raises(InputError, match="accuracy=percent"):
        import_web(table, tmp_path / "new.db")
    import_web(table, tmp_path / "new.db", units={"accuracy": "percent"})
    assert open_web(tmp_path / "new.db").score[0, 0, 0] == pytest.approx(0.6)


def test_merging_changes_nothing_that_is_there_and_reports_conflicts(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with RunStore.open(other, create=True) as opened:
        opened.add_many([*made_up_runs(4), Run(SETUP, "b", "c", 9, {"accuracy": 0.7})])
    [(path, report)] = merge_webs(store, [other])
    assert (path, report.already_there, report.conflicts) == (str(other), len(made_up_runs()), ())
    assert report.added == 5
    with pytest.raises(InputError, match="into itself"):
        merge_webs(store, [store])


def test_a_merge_that_cannot_be_done_changes_nothing(store: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("source,target\n")
    for wrong in (tmp_path / "missing.db", tmp_path / "table.csv"):
        with pytest.raises(InputError, match=wrong.name):
            merge_webs(tmp_path / "new.db", [store, wrong])
        assert not list(tmp_path.glob("new.db*"))


def test_merging_and_exporting_say_the_notes_of_a_store(store: Path, tmp_path: Path) -> None:
    digest_file(store).unlink()
    notes: list[str] = []
    export_web(str(store), tmp_path / "runs.csv", on_note=notes.append)
    merge_webs(tmp_path / "new.db", [store], on_note=notes.append)
    assert ["has no digest file" in note for note in notes] == [True, True]


def test_the_embedded_summary_and_the_imported_runs_say_the_same(published_data: Path, tmp_path: Path) -> None:
    store = tmp_path / "published.db"
    import_web(published_data / "runs.parquet", store, baselines=published_data / "recovered_baselines.csv")
    embedded, runs = published_web(), open_web(store)
    runs = runs.restrict(setups=embedded.setups, targets=embedded.targets, sources=embedded.sources)
    for figure in ("t", "pc", "pm", "score", "score_se", "n_seeds", "pc_se", "sign_p", "baseline", "reliability"):
        one, other = getattr(embedded, figure), getattr(runs, figure)
        if figure == "baseline":  # those of cb are of accuracy alone
            one, other = (np.delete(array, embedded.targets.index("cb"), axis=1) for array in (one, other))
        if figure == "reliability":  # the runs hold one more source for it, sst2
            one, other = one.copy(), other.copy()
            one[embedded.setup_index("roberta/finetune"), embedded.target_index("rte")] = np.nan
            other[embedded.setup_index("roberta/finetune"), embedded.target_index("rte")] = np.nan
        assert np.array_equal(np.isnan(one), np.isnan(other)), figure
        assert np.allclose(one, other, atol=6e-7, equal_nan=True), figure


def test_the_authors_summary_is_a_web(published_data: Path) -> None:
    web, embedded = open_web(published_data / "taskweb.p"), published_web()
    assert set(web.setups) == set(embedded.setups)
    web = web.restrict(setups=embedded.setups, targets=embedded.targets, sources=embedded.sources)
    assert np.allclose(web.pc, embedded.pc, atol=6e-7, equal_nan=True)
    with pytest.raises(TaskWebError, match="summary"):
        import_runs(published_data / "taskweb.p")


def test_score_rows_hold_null_for_what_is_missing(store: Path) -> None:
    rows = score_rows(open_web(store))
    failed = next(row for row in rows if (row["source"], row["target"]) == ("c", "a"))
    assert failed["score"] is None
    assert failed["pm"] == 0.0
    assert json.dumps(rows, allow_nan=False)
    assert [row["source"] for row in score_rows(open_web(store), target="a", source="b")] == ["b"]
    assert {row["setup"] for row in score_rows(published_web(), "all", target="rte")} == {"all"}


def test_the_published_scores_can_be_exported(tmp_path: Path) -> None:
    assert export_web("published", tmp_path / "scores.csv") == (3087, "pairs")
    with (tmp_path / "scores.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3087
    with pytest.raises(InputError, match="is a summary without runs"):
        export_web("published", tmp_path / "scores.parquet")


def test_descriptions_tell_summary_from_runs(store: Path) -> None:
    assert describe_web("published").to_dict()["runs"] is None
    runs = describe_web(str(store)).to_dict()["runs"]
    assert (runs["total"], runs["baselines"], runs["failed"]) == (len(made_up_runs()), 6, 1)
