"""`taskweb pair-scores` from outside."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.workflows.test_pair_scoring import TASKS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "tasks"
    place.mkdir()
    for own in TASKS:
        rows = [{"input": e.input, "output": e.output, "choices": e.choices} for e in own.examples]
        (place / f"{own.name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def test_its_table_ranks_sources(run, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    table, target = tmp_path / "pairs.csv", folder / "a.jsonl"
    done = run(
        "pair-scores", str(target), "--sources", str(folder), "--model", "tiny:t5", "--method", "finetune", "--device", "cpu",
        "--kind", "hidden-states", "--kind", "loss-change", "--steps", "3", "--to", str(table),
    )  # fmt: skip
    assert done.status == 0, done.err
    assert f"Wrote {table}: 2 of hidden-states, 2 of loss-change." in done.err
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["target"], row["source"], row["selector"]) for row in rows] == [
        ("a", "b", "hidden-states"), ("a", "c", "hidden-states"), ("a", "b", "loss-change"), ("a", "c", "loss-change"),
    ]  # fmt: skip
    others = tmp_path / "others"
    others.mkdir()
    for name in ("b", "c"):
        (folder / f"{name}.jsonl").rename(others / f"{name}.jsonl")
    ranked = run(
        "rank", str(target), "--web", "none", "--sources", str(others), "--selector", "llm",
        "--pair-scores", f"{table}:loss-change", "--format", "json",
    )  # fmt: skip
    assert ranked.status == 0, ranked.err
    best = max(rows[2:], key=lambda row: float(row["score"]))
    assert json.loads(ranked.out)["sources"][0]["task"] == best["source"]


def test_what_is_missing_or_there_already_is_said(run, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    done = run("pair-scores", str(folder), "--sources", str(folder))
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: --model and --to must be given")
    there = tmp_path / "there.csv"
    there.write_text("mine")
    asked = ("pair-scores", str(folder), "--sources", str(folder), "--model", "tiny:t5")
    assert "exists already" in run(*asked, "--to", str(there)).err
    assert there.read_text() == "mine"
    assert "Did you mean 'logme'" in run(*asked, "--kind", "logm", "--to", str(tmp_path / "new.csv")).err
    assert "There is no target missing.jsonl" in run("pair-scores", "missing.jsonl", *asked[2:], "--to", "new.csv").err


def test_without_torch_it_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    code = "import sys\nsys.modules['torch'] = None\nfrom taskweb.cli.main import main\nmain()"
    asked = ["pair-scores", str(folder), "--sources", str(folder), "--model", "m", "--to", str(tmp_path / "new.csv")]
    done = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install torch (or all of the extra 'train')" in done.stderr
