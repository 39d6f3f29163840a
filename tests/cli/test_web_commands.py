"""`taskweb web` from outside."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.test_commands import run  # noqa: F401 - a fixture

TABLE = """source,target,setup,seed,metric,score
none,a,m/f,1,accuracy,0.5
none,a,m/f,2,accuracy,0.5
b,a,m/f,1,accuracy,0.6
b,a,m/f,2,accuracy,0.7
c,a,m/f,1,accuracy,0.4
"""


@pytest.fixture
def store(run, tmp_path: Path) -> Path:  # noqa: F811
    (tmp_path / "runs.csv").write_text(TABLE)
    done = run("web", "import", str(tmp_path / "runs.csv"), "--to", str(tmp_path / "web.db"))
    assert done.status == 0
    assert "Read 5 runs (tidy): 5 are new" in done.err
    return tmp_path / "web.db"


def test_the_life_of_a_web(run, store: Path, tmp_path: Path) -> None:  # noqa: F811
    again = run("web", "import", str(tmp_path / "runs.csv"), "--to", str(store))
    assert "0 are new" in again.err
    assert "5 in total, 2 of them baselines" in run("web", "show", str(store)).out
    assert "no problems" in run("web", "check", str(store)).err
    assert "bytes" in run("web", "vacuum", str(store)).err
    assert "0 runs added, 5 were already in it" in run("web", "merge", str(tmp_path / "all.db"), str(store), str(store)).err
    assert "Wrote 5 runs" in run("web", "export", str(store), "--to", str(tmp_path / "out.jsonl")).err
    ranking = json.loads(run("rank", "a", "--web", str(store), "--format", "json").out)
    assert [source["task"] for source in ranking["sources"]] == ["b", "c"]


def test_an_import_names_runs_that_the_store_knows_with_other_scores(run, store: Path, tmp_path: Path) -> None:  # noqa: F811
    before = run("web", "scores", str(store), "--format", "csv").out
    first = next(line for line in TABLE.splitlines()[1:] if not line.startswith("none"))
    (tmp_path / "corrected.csv").write_text(TABLE.replace(first, f"{first.rpartition(',')[0]},0.125"))
    done = run("web", "import", str(tmp_path / "corrected.csv"), "--to", str(store))
    assert "Read 5 runs (tidy): 0 are new in" in done.err
    assert "4 were already in it, 1 disagree and were not changed." in done.err
    assert "0.125 there" in done.err
    assert run("web", "scores", str(store), "--format", "csv").out == before


def test_a_damaged_store_is_one_line_and_what_is_whole_is_saved(run, store: Path, tmp_path: Path) -> None:  # noqa: F811
    connection = sqlite3.connect(store)
    connection.execute("UPDATE scores SET value = 0.61 WHERE value = 0.6")
    connection.commit()
    connection.close()
    for command in (
        ["rank", "a", "--web"],
        ["web", "show"],
        ["web", "scores"],
        ["web", "export", "--to", str(tmp_path / "o.jsonl")],
    ):
        done = run(*command, str(store))
        assert done.status == 2
        assert done.err.count("\n") == 1
        assert "does not match its checksum" in done.err
    checked = run("web", "check", str(store), "--repair", str(tmp_path / "new.db"))
    assert checked.status == 1
    assert checked.out.count("does not match its checksum") == 1
    assert f"Saved 4 of 5 runs to {tmp_path / 'new.db'}" in checked.err
    assert "4 runs, no problems" in run("web", "check", str(tmp_path / "new.db")).err
    assert "exists already" in run("web", "check", str(store), "--repair", str(tmp_path / "new.db")).err


def test_scores_as_json_keep_their_contract(run, store: Path) -> None:  # noqa: F811
    rows = json.loads(run("web", "scores", str(store), "--format", "json").out)
    assert {"setup", "source", "target", "pc", "pm", "t"} <= set(rows[0])
    gain = next(row for row in rows if row["source"] == "b")
    assert gain["pc"] == pytest.approx(0.3)
    assert gain["pm"] == 1.0
    assert gain["t"] == pytest.approx(0.5 * 0.3 + 0.05)
    assert next(row for row in rows if row["source"] == "c")["score_se"] is None
    assert len(list(csv.DictReader(io.StringIO(run("web", "scores", str(store), "--format", "csv").out)))) == 2
    assert "+30.0%" in run("web", "scores", str(store)).out


def test_scores_of_the_published_web(run) -> None:  # noqa: F811
    rows = json.loads(run("web", "scores", "published", "--format", "json").out)
    assert len(rows) == 3087
    assert all(isinstance(row["pc"], float) for row in rows)


def test_analyses_as_json_and_as_tables(run) -> None:  # noqa: F811
    done = run("web", "analyze", "published", "--analysis", "commutativity", "--setup", "t5l/finetune", "--format", "json")
    assert json.loads(done.out)["analyses"]["commutativity"]
    assert "commute" in run("web", "analyze", "published", "--analysis", "commutativity").out


IMPORT = ["web", "import", "{folder}/runs.csv", "--to", "{folder}/n.db"]
BAD = {
    "no store": (["web", "check", "{folder}/none.db"], "none.db"),
    "not a store": (["web", "check", "{folder}/runs.csv"], "runs.csv"),
    "no such kind": ([*IMPORT, "--kind", "tydi"], "Did you mean 'tidy'"),
    "two metrics of all targets": (
        [*IMPORT, "--kind", "wide", "--metric", "accuracy", "--metric", "f1"],
        "--metric names two metrics of all targets, 'accuracy' and 'f1'",
    ),
    "a unit without a metric": (
        [*IMPORT, "--unit", "percent"],
        "METRIC=",
    ),
    "no such unit": (
        [*IMPORT, "--unit", "accuracy=promille"],
        "promille",
    ),
    "no such analysis": (["web", "analyze", "published", "--analysis", "comutativity"], "Did you mean 'commutativity'"),
    "no such setup": (["web", "scores", "published", "--setup", "t5l/finetun"], "Did you mean 't5l/finetune'"),
    "no such target": (["web", "scores", "published", "--target", "rtee"], "Did you mean 'rte'"),
    "no such export": (["web", "export", "{folder}/web.db", "--to", "{folder}/out.xlsx"], "xlsx"),
    "a folder of nothing": (["web", "show", "{folder}/empty"], "is a folder without runs"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(case: str, run, store: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "empty").mkdir()
    arguments, message = BAD[case]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = run(*(part.format(folder=tmp_path) for part in arguments))
    assert done.status == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
