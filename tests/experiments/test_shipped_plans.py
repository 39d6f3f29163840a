"""The plans that come with taskweb: each can be read, and has the tasks and setups that it should."""

from __future__ import annotations

import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from taskweb.experiments.examples import examples_of_file
from taskweb.experiments.plan_file import plan_and_errors, read_plan
from taskweb.experiments.specs import pairs_of, runs_of
from taskweb.experiments.task_data import task_data_and_errors
from taskweb.tasks import catalogue
from taskweb.web.formats.recovered_baselines import BASELINES_FILE, read_baselines
from taskweb.web.published import published_web
from tests.conftest import REPOSITORY, SHARED
from tests.experiments.test_plan_tasks import labelled, write_rows

PLANS = REPOSITORY / "plans"
PAPER = PLANS / "taskweb_paper.toml"


def test_all_shipped_plans_are_tested_here() -> None:
    assert {path.name for path in PLANS.glob("*.toml")} >= {"taskweb_paper.toml", "synthetic.toml", "local_tasks.toml"}


@pytest.mark.parametrize("name", ["taskweb_paper", "synthetic"])
def test_a_plan_is_read_and_its_methods_are_there(name: str) -> None:
    _, errors = plan_and_errors(PLANS / f"{name}.toml", methods=True)
    assert not errors


def test_the_synthetic_plan_has_eight_tasks_three_families_and_three_seeds() -> None:
    plan = read_plan(PLANS / "synthetic.toml")
    data, errors = task_data_and_errors(plan)
    assert not errors
    assert {(len(own.source), len(own.target), len(own.evaluation)) for own in data.values()} == {(500, 32, 250)}
    assert len(runs_of(plan)) == 3 * 3 * (8 + 8 * 7)


def test_the_paper_s_plan_is_that_of_the_published_web() -> None:
    plan, web = read_plan(PAPER), published_web()
    assert {setup.name for setup in plan.setups} == set(web.setups)
    assert set(plan.sources) == set(web.sources)
    assert set(plan.targets) == set(web.targets)
    assert "squad_v2" not in plan.targets
    assert all(task.hub == (catalogue()[name].hub.reference) for name, task in plan.tasks.items())  # type: ignore[union-attr]
    specs = runs_of(plan)
    assert sum(spec.source is not None for spec in specs) == 24_696
    assert sum(spec.source is None for spec in specs) == 1_176
    for setup in plan.setups:  # a source is trained with what it is trained with as a target
        assert all(setup.source_settings_for(task) == setup.settings_for(task) for task in plan.tasks)


def test_the_paper_s_plan_contains_the_released_runs(published_data: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    plan = read_plan(PAPER)
    planned = {
        (spec.setup.name, spec.source, spec.target, spec.seed, own.epochs, own.learning_rate, own.batch_size)
        for spec in runs_of(plan)
        for own in [spec.setup.settings_for(spec.target)]
    }
    rows = parquet.read_table(published_data / "runs.parquet").to_pylist()
    hyperparameters = ("epochs", "learning_rate", "batch_size")
    released = {
        (f"{row['model']}/{row['method']}", row["source"], row["target"], row["seed"], *(row[key] for key in hyperparameters))
        for row in rows
    }
    baselines = {
        ("/".join(own.place[:2]), None, own.place[2], own.seed, *own.configuration)
        for own in read_baselines(published_data / BASELINES_FILE)
    }
    assert planned - released == baselines
    assert len(released - planned) == 184  # extra configurations, which the published web leaves out
    most = {row["target"]: row["train_samples"] for row in rows}
    assert max(most.values()) == plan.examples.target == plan.examples.source


def test_the_paper_s_plan_is_what_the_script_writes(published_data: Path) -> None:
    found = spec_from_file_location("build_paper_plan", REPOSITORY / "scripts" / "build_paper_plan.py")
    assert found is not None
    assert found.loader is not None
    script = module_from_spec(found)
    found.loader.exec_module(script)
    assert script.plan_text(published_data) == PAPER.read_text(encoding="utf-8")


def local_plan(folder: Path) -> Path:
    return Path(shutil.copy(PLANS / "local_tasks.toml", folder / "plan.toml"))


def test_the_plan_over_task_files_is_read_with_any_files_of_these_names(tmp_path: Path) -> None:
    path = local_plan(tmp_path)
    _, errors = plan_and_errors(path)
    assert len(errors) == 1
    assert "tasks does not exist" in errors[0]
    (tmp_path / "tasks").mkdir()
    names = set(catalogue()) - {"imdb", "quartz", "stsb", "anli_r1", "anli_r2", "story_cloze"}
    for name in names:
        write_rows(tmp_path / "tasks" / f"{name}.jsonl.gz", labelled([f"{name} {i}" for i in range(20)]))
    plan, errors = plan_and_errors(path, methods=True)
    assert not errors
    assert set(plan.tasks) == names
    assert len(pairs_of(plan)) == 18 * 18  # squad_v2 is a source only
    assert len(runs_of(plan)) == 2 * 3 * (18 * 18 + 18)


def test_the_plan_over_task_files_keeps_prompts_of_one_text_together(tmp_path: Path) -> None:
    files = SHARED / "data" / "tasks"
    if not files.is_dir():
        pytest.skip(f"the task files are not at {files} (set TASKWEB_SHARED)")
    (tmp_path / "tasks").symlink_to(files)
    plan = read_plan(local_plan(tmp_path))
    data, errors = task_data_and_errors(plan)
    assert not errors
    assert {name: len(own.source) for name, own in data.items() if len(own.source) < 1000} == {
        "cb": 125,
        "copa": 200,
        "wsc": 263,
    }
    for name in ("hellaswag", "rotten_tomatoes", "snli"):  # two prompts of each text
        planned = plan.tasks[name]
        assert planned.file is not None
        items = examples_of_file(planned, planned.file)
        assert 2 * len({item.group for item in items}) == len(items) == 4000
        groups = {item.example.input: item.group for item in items}
        held_out = {groups[example.input] for example in data[name].evaluation}
        assert len(held_out) == len(data[name].evaluation) == 500
        assert not held_out & {groups[example.input] for example in data[name].source}
