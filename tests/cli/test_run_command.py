"""`taskweb run` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.experiments.planned import write_plan


def test_a_plan_from_dry_run_to_a_web(run, tmp_path: Path) -> None:  # noqa: F811
    plan = str(write_plan(tmp_path, seeds="[1]"))
    dry = json.loads(run("run", plan, "--dry-run", "--format", "json").out)
    assert (dry["total"], dry["left"], dry["finished"]) == (9, 9, 0)
    assert not (tmp_path / "web.db").exists()
    done = run("run", plan, "--format", "json")
    assert "0 of 9 runs are done" in done.err
    assert json.loads(done.out)["finished"] == 9
    status = run("run", plan, "--status")
    assert "9 runs" in status.out
    rows = json.loads(run("web", "scores", str(tmp_path / "web.db"), "--format", "json").out)
    assert len(rows) == 6
    assert run("run", plan, "--retry", "failed", "--quiet").err == ""


def test_a_dry_run_shows_what_a_plan_comes_to(run, tmp_path: Path) -> None:  # noqa: F811
    path = write_plan(tmp_path, more='[pairs]\nsources = ["apples", "birds"]')
    path.write_text(path.read_text().replace('file = "clouds.jsonl"', 'file = "clouds.jsonl"\nrole = "target"'))
    shown = run("run", str(path), "--dry-run").out
    row = next(line.split() for line in shown.splitlines() if line.startswith("apples"))
    assert row[:5] == ["apples", "classification", "16", "8", "12"]
    row = next(line.split() for line in shown.splitlines() if line.startswith("clouds"))
    assert row[:6] == ["clouds", "classification", "target", "only", "8", "12"]
    assert "4 (all): 2 sources, 3 targets" in shown
    facts = json.loads(run("run", str(path), "--dry-run", "--format", "json").out)
    assert facts["pairs"] == 4
    assert facts["tasks"]["clouds"] | {"from": ""} == {
        "kind": "classification",
        "role": "target",
        "from": "",
        "source": None,
        "target": 8,
        "evaluation": 12,
    }


def test_a_dry_run_without_the_model_still_shows_the_plan(run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "empty").mkdir()
    setups = '[setups."none/finetune"]\nmodel = "./empty"\ntraining = {batch_size = 4}\ntargets.birds = {batch_size = 8}\n'
    done = run("run", str(write_plan(tmp_path, setups=setups)), "--dry-run")
    assert done.status == 2
    assert "classification" in done.out
    assert "4 to 8" in done.out
    assert done.err.count("\n") == 1
    faulty = run("run", str(write_plan(tmp_path, setups=setups, more="sedes = 1")), "--dry-run")
    assert (faulty.status, faulty.out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/none.toml"], "There is no plan"),
        (["{plan}", "--executor", "rai"], "no executor named 'rai'"),
        (["{plan}", "--retry", "all"], "no kind of run to retry named 'all'"),
        (["{plan}", "--workers", "0"], "Invalid value for '--workers'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: list[str], message: str, run, tmp_path: Path) -> None:  # noqa: F811
    plan = write_plan(tmp_path)
    done = run("run", *(part.format(folder=tmp_path, plan=plan) for part in arguments))
    assert done.status == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not (tmp_path / "web.db").exists()
