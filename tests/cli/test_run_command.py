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
