"""`taskweb report` from outside: one file, whole or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.cli.test_web_commands import TABLE


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "runs.csv").write_text(TABLE)
    return tmp_path / "runs.csv"


def test_a_small_web_whose_targets_are_no_sources(run, table: Path, tmp_path: Path) -> None:  # noqa: F811
    done = run("report", str(table), "-o", str(tmp_path / "report.html"))
    assert done.status == 0
    assert "Open it in a browser." in done.err
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    sections = re.findall(r'<section id="([\w-]+)"', page)
    assert sections == ["web", "transfers", "strong-transfers", "one-task", "analyses"]  # no benchmark is computed unasked
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "runs.csv"]


def test_results_of_a_file_are_shown(run, table: Path, tmp_path: Path) -> None:  # noqa: F811
    row = {"selector": "blend", "setup": "m/f", "ndcg": 70.0, "ndcg_interval": [60, 80], "n_targets": 3}
    row |= {"regret_at_5": 1.5, "regret_at_5_interval": [1, 2], "per_target": {"a": {"ndcg": 70.0, "regret_at_5": 1.5}}}
    (tmp_path / "results.json").write_text(json.dumps({"web": "runs.csv", "results": [row]}))
    to = tmp_path / "report.html"
    assert run("report", str(table), "-o", str(to), "--results", str(tmp_path / "results.json"), "--quiet").err == ""
    assert "blend orders sources best, with an NDCG of 70.0%" in to.read_text(encoding="utf-8")


def test_what_cannot_be_shown_is_one_line(run, table: Path, tmp_path: Path) -> None:  # noqa: F811
    for options, said in (
        (("--results", str(table)), "contains no results of a benchmark"),
        (("--results", str(table), "--benchmark"), "Give one of them"),
        (("--benchmark",), "A benchmark needs 3 targets"),
        (("--examples", str(tmp_path), "--results", str(table)), "Give one of them"),
        (("--examples", str(tmp_path)), "contains no examples of the web's tasks"),
    ):
        done = run("report", str(table), "-o", str(tmp_path / "report.html"), *options)
        assert (done.status, said in done.err, done.err.count("\n")) == (2, True, 1)
    assert not (tmp_path / "report.html").exists()
