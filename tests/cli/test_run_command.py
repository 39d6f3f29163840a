"""`taskweb run` from outside."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from taskweb.tasks import catalogue
from taskweb.tasks.templates import columns_of, templates_of
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.conftest import REPOSITORY
from tests.experiments.planned import write_plan


def test_a_plan_from_dry_run_to_a_web(run, tmp_path: Path) -> None:  # noqa: F811
    plan = str(write_plan(tmp_path, seeds="[1]"))
    dry = json.loads(run("run", plan, "--dry-run", "--format", "json").out)
    assert (dry["total"], dry["left"], dry["finished"]) == (9, 9, 0)
    assert not (tmp_path / "web.db").exists()
    begun = run("run", plan, "--status", "--executor", "process")
    assert "Done:  0 of 9 runs (0%)" in begun.out
    assert begun.err == f"Next: taskweb run {plan} --executor process  # start it\n"
    done = run("run", plan, "--format", "json")
    assert "0 of 9 runs are done" in done.err
    assert json.loads(done.out)["finished"] == 9
    status = run("run", plan, "--status")
    assert "Done:  all 9 runs, none failed" in status.out
    assert max(map(len, status.out.splitlines())) <= 80
    rows = json.loads(run("web", "scores", str(tmp_path / "web.db"), "--format", "json").out)
    assert len(rows) == 6
    again = run("run", plan, "--retry", "failed")
    assert "3 tasks · 1 setup · 1 seed · 9 runs" in again.out
    assert f"Next: taskweb report {tmp_path / 'web.db'} -o {tmp_path / 'web.html'}\n" in again.err
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
        "left_out": {"empty": 0, "unlabelled": 0, "repeated": 0},
    }


def test_chosen_pairs_from_a_dry_run_to_a_larger_budget(run, tmp_path: Path) -> None:  # noqa: F811
    chosen = '[pairs]\nmode = "chosen"\n[budget]\n'
    plan = str(write_plan(tmp_path, more=f"{chosen}runs = 5"))
    dry = json.loads(run("run", plan, "--dry-run", "--format", "json").out)
    assert dry["budget_buys"] == {"pairs": 3, "runs": 5, "hours": None}
    assert "about 5 runs, with 3 pairs that have none yet" in " ".join(run("run", plan, "--dry-run").out.split())
    done = run("run", plan)
    assert re.search(r"Round 1: \d runs of pairs, \d of them new, \d baselines?, \d sources? to train; how long", done.err)
    assert "No further pair is chosen: the budget of 5 runs is spent. 3 of 6 pairs were run" in done.err
    write_plan(tmp_path, more=f"{chosen}hours = 1e-9")
    status = " ".join(run("run", plan, "--status").out.split())  # whatever the width
    assert "Done: 5 runs, with 3 of 6 pairs, none failed Left: nothing within the budget" in status
    write_plan(tmp_path, more='[pairs]\nmode = "chosen"')
    failed = run("run", plan, "--dry-run")
    assert failed.status == 2
    assert 'mode = "chosen" needs [budget] with hours or runs' in failed.err


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


PAPER = REPOSITORY / "plans" / "taskweb_paper.toml"


def test_the_paper_s_plan_is_shown_without_a_network(run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    datasets = pytest.importorskip("datasets")

    def fail(*_a: object, **_k: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    done = run("run", str(PAPER), "--dry-run")
    assert done.status == 2
    assert "no route to host" in done.err
    first, *errors = done.err.splitlines()
    assert first == f"Error: The plan {PAPER} cannot be run:"
    assert all(error.startswith(f"  ({number}) [") for number, error in enumerate(errors, 1))
    assert "441 (all): 22 sources, 21 targets" in done.out
    assert "25,872" in done.out
    assert [line.split()[-2:] for line in done.out.splitlines() if "/" in line and line.endswith("3,528")] == [
        ["168", "3,528"]
    ] * 7
    row = next(line.split() for line in done.out.splitlines() if line.startswith("squad_v2"))
    assert row[1:5] == ["span", "qa", "source", "only"]


def test_the_paper_s_plan_comes_to_its_runs_on_rows_in_the_columns_of_the_hub(
    run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With made-up rows in place of the data sets, and tiny models in place of the real ones."""
    datasets = pytest.importorskip("datasets")
    templates = {(hub.id, hub.config): templates_of(name) for name, hub in ((n, t.hub) for n, t in catalogue().items()) if hub}

    def load_dataset(path: str, name: str | None, *, split: str, **_more: object) -> object:
        known = templates[path, name]
        row = dict(known.example or {})
        read = columns_of(known.templates[0])
        text = next(column for column, value in row.items() if column in read and isinstance(value, str) and " " in value)
        return datasets.Dataset.from_list([{**row, text: f"{split} {number}: {row[text]}"} for number in range(30)])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    content = re.sub(r'revision = ".*"\n', "", PAPER.read_text(encoding="utf-8"))
    for model, tiny in (
        ('google/t5[^"]*', "t5"),
        ("openai-community/gpt2-medium", "gpt2"),
        ("FacebookAI/roberta-base", "roberta"),
    ):
        content = re.sub(f'model = "{model}"', f'model = "tiny:{tiny}"', content)
    path = tmp_path / "plan.toml"
    path.write_text(content.replace("seeds = [", "seeds = [10] # "))
    facts = json.loads(run("run", str(path), "--dry-run", "--format", "json").out)
    assert (facts["total"], facts["left"], facts["pairs"]) == (7 * 21 * 22, 7 * 21 * 22, 441)
    assert len(facts["tasks"]) == 22
    for name, task in facts["tasks"].items():
        wanted = (30, None, None) if name == "squad_v2" else (30, 30, 30)
        assert (task["source"], task["target"], task["evaluation"]) == wanted
        assert task["kind"] == catalogue()[name].kind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/none.toml"], "There is no plan"),
        (["{plan}", "--executor", "rai"], "no executor named 'rai'"),
        (["{plan}", "--artifacts", "s3://mine"], "--artifacts is only for --executor ray"),
        (["{plan}", "--slurm", "time=1:00:00"], "--slurm is only for --executor slurm"),
        (["{plan}", "--executor", "slurm", "--slurm", "array=1"], "array is set by taskweb"),
        (["{plan}", "--worker", "web.db.slurm"], "--worker is for jobs that --executor slurm submits"),
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


def test_several_errors_of_a_plan_stand_in_a_line_each(run, tmp_path: Path) -> None:  # noqa: F811
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'sedes = [1]\n[tasks]\na = {file = "a.csv", output = "label"}\nb = {file = "a.csv"}\n'
        '[setups."tiny/lora"]\nmodel = "tiny:t5"\n[pairs]\nsources = ["a"]\n'
    )
    (tmp_path / "a.csv").write_text("text,answer\none,x\ntwo,y\n")
    begin, *errors = run("run", str(plan)).err.splitlines()
    assert begin == f"Error: The plan {plan} cannot be run:"
    assert [error[:6] for error in errors] == ["  (1) ", "  (2) "]
    assert errors[1].endswith("Columns found: text, answer. Name the right one with the key output.")
    plan.write_text(plan.read_text().replace("sedes", "seeds"))
    (only,) = run("run", str(plan)).err.splitlines()
    assert only.startswith(f"Error: The plan {plan} cannot be run: [tasks.a]: ")


def test_progress_in_one_line() -> None:
    from taskweb.cli.progress.plan_progress import progress_line
    from taskweb.experiments.heartbeats import RunningRun
    from taskweb.experiments.run_progress import PlanProgress

    at = RunningRun("m/finetune", None, "rte", 1, 2.0)
    begun = PlanProgress("my", 1000, 100, 0, 0, 900, (), 0.0, None)
    assert progress_line(begun) == "my: 100 of 1,000 runs are done, 900 left."
    half = PlanProgress("my", 1000, 100, 500, 3, 400, (at, at), 1800.0, 1440.0)
    assert progress_line(half) == (
        "my: 600 of 1,000 runs are done, 2 running, 3 failed, 400 left, 1,000 runs/h, about 24.0 min left."
    )
