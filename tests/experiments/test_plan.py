from __future__ import annotations

from pathlib import Path

import pytest

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.experiments import check_plan, read_plan, state_of
from taskweb.experiments.data import load_task_data
from taskweb.experiments.specs import groups_of, runs_of
from tests.conftest import REPOSITORY
from tests.experiments.planned import TASKS, write_plan


def test_a_plan_is_read_and_resolved(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path))
    assert tuple(plan.tasks) == TASKS
    assert plan.seeds == (1, 2)
    assert (plan.examples.source, plan.examples.target, plan.examples.evaluation) == (16, 8, 12)
    specs = runs_of(plan)
    assert len(specs) == 18
    assert [group.source for group in groups_of(specs)][:4] == [None, "apples", "birds", "clouds"]
    state = state_of(tmp_path / "plan.toml")
    assert (state.total, len(state.todo), state.seconds_per_run) == (18, 18, None)
    assert not (tmp_path / "web.db").exists()


def test_settings_of_sources_and_of_single_targets(tmp_path: Path) -> None:
    setups = (
        '[setups."tiny/bitfit"]\nmodel = "./model"\ntraining = {learning_rate = 0.1, epochs = 2}\n'
        'source_training = {epochs = 5}\n[setups."tiny/bitfit".targets.birds]\nlearning_rate = 0.3\n'
    )
    setup = read_plan(write_plan(tmp_path, setups=setups)).setups[0]
    assert setup.method == "bitfit"
    assert (setup.source_training.epochs, setup.source_training.learning_rate) == (5, 0.1)
    assert (setup.settings_for("birds").learning_rate, setup.settings_for("birds").epochs) == (0.3, 2)
    assert setup.settings_for("apples").learning_rate == 0.1


def test_a_setup_may_have_seeds_of_its_own(tmp_path: Path) -> None:
    one = '[setups."tiny/finetune"]\nmodel = "./model"\n'
    both = one + '[setups."tiny/bitfit"]\nmodel = "./model"\n'
    alike = read_plan(write_plan(tmp_path, setups=both))
    assert [setup.seeds for setup in alike.setups] == [(1, 2), (1, 2)]
    plan = read_plan(write_plan(tmp_path, setups=both + "seeds = [2, 7]\n"))
    assert plan.all_seeds == (1, 2, 7)
    specs = runs_of(plan)
    assert {(s.setup.name, s.seed) for s in specs} == {
        (f"tiny/{m}", s) for m, s in [("finetune", 1), ("finetune", 2), ("bitfit", 2), ("bitfit", 7)]
    }
    assert len(specs) == 4 * 9
    data = load_task_data(plan)
    keys = {spec.record(data, 1).key for spec in specs}
    assert len(keys & {spec.record(data, 1).key for spec in runs_of(alike)}) == 3 * 9  # the same runs keep their keys
    with pytest.raises(ParameterError, match=r'\[setups."tiny/bitfit"\] seeds must be a list of different whole numbers'):
        read_plan(write_plan(tmp_path, setups=both + "seeds = []\n"))


def test_the_keys_of_runs_stay() -> None:
    """Stores that people have must still be known to their plans."""
    plan = read_plan(REPOSITORY / "plans" / "synthetic.toml")
    data = load_task_data(plan)
    first, last = runs_of(plan)[0], runs_of(plan)[-1]
    assert first.record(data, plan.threads).key == "d4f2083daa3e1210dbbca1cd309c17c15e21599b"
    assert last.record(data, plan.threads).key == "ec461ced569c73e939f9389f097665561301484f"


@pytest.mark.parametrize(
    ("pairs", "transfers"),
    [
        ('mode = "rows"\ntargets = ["birds"]', 2),
        ('mode = "listed"\nlisted = [["apples", "birds"], ["birds", "clouds"]]', 2),
        ('mode = "sampled"\nshare = 0.5\nseed = 1', 3),
        ('sources = ["apples"]', 2),
    ],
)
def test_pairs_can_be_chosen(pairs: str, transfers: int, tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path, seeds="[1]", more=f"[pairs]\n{pairs}"))
    specs = runs_of(plan)
    assert sum(spec.source is not None for spec in specs) == transfers
    targets = {spec.target for spec in specs if spec.source is not None}
    assert {spec.target for spec in specs if spec.source is None} == targets
    assert runs_of(plan) == specs


def test_a_budget_stops_after_so_many_runs(tmp_path: Path) -> None:
    assert len(runs_of(read_plan(write_plan(tmp_path, more="[budget]\nruns = 5")))) == 5


def test_no_text_is_on_both_sides(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    lines = (tmp_path / "apples.jsonl").read_text().splitlines()
    (tmp_path / "apples.jsonl").write_text("\n".join(lines * 3) + "\n")
    for data in load_task_data(read_plan(plan)).values():
        training, evaluation = ({example.input for example in part} for part in (data.source, data.evaluation))
        assert not training & evaluation
        assert len(evaluation) == 12
        assert set(data.target) <= set(data.source)


def test_all_faults_of_a_plan_are_told_at_once(tmp_path: Path) -> None:
    plan = write_plan(
        tmp_path,
        more='sedes = [1]\n[pairs]\nmode = "al"\nsources = ["appels"]',
        setups='[setups."tiny/finetun"]\nmodel = "./none"\ntraining = {epochs = -1, learning_rates = 0.1}\n',
        seeds="[1, 1]",
    )
    with pytest.raises(ParameterError) as caught:
        check_plan(plan)
    said = str(caught.value)
    for fault in (
        "no key in plan named 'sedes'. Did you mean 'seeds'",
        "no adaptation method named 'finetun'",
        "no key in [setups.\"tiny/finetun\"] training named 'learning_rates'",
        "epochs must be 1 or more (got -1)",
        "there is no model in",
        "seeds must be a list of different whole numbers",
        "no mode named 'al'",
        "no task named 'appels'. Did you mean 'apples'",
    ):
        assert fault in said, fault
    assert "(8)" in said
    assert "\n" not in said


def test_all_tasks_that_cannot_be_used_are_told_at_once(tmp_path: Path) -> None:
    plan = write_plan(tmp_path)
    (tmp_path / "apples.jsonl").write_text('{"input": "a", "output": "maybe", "choices": ["yes", "no"]}\n')
    (tmp_path / "birds.jsonl").write_text('{"input": "a"}\n{"input": "b"}\n')
    (tmp_path / "clouds.jsonl").write_text("not json\n")
    with pytest.raises(ParameterError) as caught:
        state_of(plan)
    for fault in ("the label 'maybe' of 'a' is not among its choices", "has no label", "line 1 is not valid JSON"):
        assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [("seeds = [", "is not valid TOML"), ("", "it names no tasks"), ('tasks = 3\nsetups = "x"', r"\[tasks\] must be a table")],
)
def test_files_that_are_no_plans(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(content)
    with pytest.raises(TaskWebError, match=message):
        read_plan(path)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no plan"):
        read_plan(tmp_path / "none.toml")
