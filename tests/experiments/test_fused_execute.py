"""Plans whose runs share passes: the same web as one run after another, whatever happens on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from taskweb.errors import TaskWebError
from taskweb.experiments import InlineExecutor, ProcessExecutor, run_plan, state_of
from taskweb.experiments.checkpoint_cache import checkpoint_cache_of
from taskweb.experiments.fusing import longest_first, work_of
from taskweb.experiments.heartbeats import Heartbeat, PassFacts, running_workers
from taskweb.experiments.specs import FusedGroups, RunGroup, groups_of, runs_of
from taskweb.experiments.task_data import load_task_data
from taskweb.models.base import Question, Wanted
from taskweb.models.causal import CausalModel
from taskweb.models.fused.fused_model import FusedModel
from taskweb.models.fused.layers import NotFusableError
from taskweb.training.fused_training import FusedTraining
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from tests.experiments.planned import write_checkpoint, write_plan
from tests.experiments.test_engine import copied, kill_at_random_moments

TRAINING = 'training = {learning_rate = 0.003, batch_size = 4, epochs = 3, device = "cpu"}'


def plan_of(folder: Path, method: str = "lora", family: str = "gpt2", more: str = "", **options: str) -> Path:
    folder.mkdir(exist_ok=True)
    if not (folder / "model").exists():
        write_checkpoint(folder / "model", family)
    return write_plan(folder, setups=f'[setups."tiny/{method}"]\nmodel = "./model"\n{TRAINING}\n{more}', **options)


def runs_in(store: Path) -> dict[str, Run]:
    with RunStore.open(store, read_only=True) as opened:
        assert opened.check() == []
        return {run.key: run for run in opened.runs()}


def check_same(found: Mapping[str, Run], alone: Mapping[str, Run]) -> None:
    assert set(found) == set(alone)
    for key, run in alone.items():
        own = found[key]
        assert (own.status, own.metrics, own.sizes) == (run.status, run.metrics, run.sizes)
        assert [row["step"] for row in own.history] == [row["step"] for row in run.history]
        assert [row["loss"] for row in own.history] == pytest.approx([row["loss"] for row in run.history], rel=1e-3, abs=1e-4)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Run]]:
    """A plan whose runs were trained one after another, and its runs."""
    folder = tmp_path_factory.mktemp("alone")
    assert run_plan(plan_of(folder), InlineExecutor()).finished == 18
    return folder, runs_in(folder / "web.db")


@pytest.mark.parametrize("fuse", [2, 5])
def test_fused_runs_make_the_same_web(fuse: int, alone: tuple[Path, dict[str, Run]], tmp_path: Path) -> None:
    plan = copied(alone[0], tmp_path)
    plan.write_text(f"fuse = {fuse}\n" + plan.read_text())
    state = run_plan(plan, InlineExecutor())

    assert (state.finished, state.todo) == (18, ())
    found = runs_in(tmp_path / "web.db")
    check_same_but_for_path(found, alone[1])
    assert all("fused" in run.extra for run in found.values())
    assert not checkpoint_cache_of(state.plan).folder.exists()
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith("web.db")} <= {
        "web.db",
        "web.db-wal",
        "web.db-shm",
        "web.db.digest",
    }


def check_same_but_for_path(found: Mapping[str, Run], alone: Mapping[str, Run]) -> None:
    """The name of a model is part of a run's key; a copied plan names its folder by the whole path."""
    check_same({_place(run): run for run in found.values()}, {_place(run): run for run in alone.values()})


def _place(run: Run) -> str:
    return f"{run.source} {run.target} {run.seed}"


@pytest.mark.parametrize(("family", "method"), [("t5", "pfeiffer"), ("roberta", "lora"), ("bert", "bitfit")])
def test_other_families_and_methods_make_the_same_web(family: str, method: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, method, family, seeds="[1]")
    run_plan(plan, InlineExecutor())
    once = runs_in(tmp_path / "web.db")
    (tmp_path / "web.db").unlink()
    run_plan(plan, InlineExecutor(), fuse=4)

    check_same(runs_in(tmp_path / "web.db"), once)


def test_worker_processes_fuse_too(alone: tuple[Path, dict[str, Run]], tmp_path: Path) -> None:
    plan = copied(alone[0], tmp_path)
    run_plan(plan, ProcessExecutor(2), fuse=3)

    check_same_but_for_path(runs_in(tmp_path / "web.db"), alone[1])


def test_a_target_and_a_source_that_diverge_are_recorded_and_other_runs_go_on(tmp_path: Path) -> None:
    more = (
        '[setups."tiny/lora".targets.birds]\nlearning_rate = 1e30\n[setups."tiny/lora".sources.clouds]\nlearning_rate = 1e30\n'
    )
    state = run_plan(plan_of(tmp_path, more=more, seeds="[1]"), InlineExecutor(), fuse=4)

    found = runs_in(tmp_path / "web.db").values()
    diverged = {(run.source, run.target) for run in found if run.status == "diverged"}
    assert diverged == {(None, "birds"), ("apples", "birds"), ("clouds", "apples"), ("clouds", "birds")}
    assert state.finished == 5
    assert sum("the source was not trained: Training diverged" in (run.reason or "") for run in found) == 2
    assert not checkpoint_cache_of(state.plan).folder.exists()
    assert len(state_of(tmp_path / "plan.toml", retry_failed=True).todo) == 4


def test_finished_runs_are_evaluated_together_and_fail_one_by_one(alone: tuple[Path, dict[str, Run]], tmp_path: Path) -> None:
    plain, together = CausalModel.answers, []

    def answers(self: CausalModel, questions: Sequence[Question], wanted: Wanted, *, batch_size: int = 32) -> list[Any]:
        together.append(len({question.member for question in questions}))
        if any(question.member == 1 for question in questions):
            raise RuntimeError("an odd input")
        return plain(self, questions, wanted, batch_size=batch_size)

    with mock.patch.object(CausalModel, "answers", answers):
        state = run_plan(copied(alone[0], tmp_path), InlineExecutor(), fuse=4)

    assert max(together) == 4
    failed = [run for run in runs_in(tmp_path / "web.db").values() if run.status == "failed"]
    assert 0 < len(failed) == state.failed < 18
    assert {run.reason for run in failed} == {"RuntimeError: an odd input"}
    wanted = {_place(run): run.metrics for run in alone[1].values()}
    for run in runs_in(tmp_path / "web.db").values():
        assert run.status == "failed" or run.metrics == wanted[_place(run)]


def test_runs_that_cannot_share_passes_are_trained_one_after_another(
    alone: tuple[Path, dict[str, Run]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = copied(alone[0], tmp_path)
    with mock.patch("taskweb.experiments.fused_execute.verify", side_effect=NotFusableError("it is only a test")):
        run_plan(plan, InlineExecutor(), fuse=4)

    found = runs_in(tmp_path / "web.db")
    check_same_but_for_path(found, alone[1])
    assert not any("fused" in run.extra for run in found.values())
    assert [record.message for record in caplog.records] == [
        "The runs of tiny/lora are trained one after another: it is only a test."
    ]


def test_an_interrupted_training_goes_on_from_its_checkpoint(alone: tuple[Path, dict[str, Run]], tmp_path: Path) -> None:
    plan = copied(alone[0], tmp_path)
    plan.write_text(plan.read_text() + "[checkpoints]\nseconds = 0\n")
    real, rounds, resumed = FusedTraining.round, iter(range(10**6)), []
    folder = checkpoint_cache_of(state_of(plan).plan).folder

    def interrupted(training: FusedTraining) -> object:
        if next(rounds) == 16:
            raise KeyboardInterrupt
        return real(training)

    with mock.patch.object(FusedTraining, "round", interrupted), pytest.raises(KeyboardInterrupt):
        run_plan(plan, InlineExecutor(), fuse=4)
    left = sorted(file.suffix for file in folder.iterdir())
    assert left.count(".training") >= 3
    joined = FusedTraining.join

    def noting(training: FusedTraining, run: object) -> object:
        place = joined(training, run)  # type: ignore[arg-type]
        resumed.append(place.history.step)
        return place

    with mock.patch.object(FusedTraining, "join", noting):
        run_plan(plan, InlineExecutor(), fuse=4)
    assert sum(step > 0 for step in resumed) == left.count(".training")
    check_same_but_for_path(runs_in(tmp_path / "web.db"), alone[1])
    assert not folder.exists()


def test_a_training_stopped_while_fused_goes_on_alone(alone: tuple[Path, dict[str, Run]], tmp_path: Path) -> None:
    plan = copied(alone[0], tmp_path)
    plan.write_text(plan.read_text() + "[checkpoints]\nseconds = 0\n")
    real, rounds = FusedTraining.round, iter(range(10**6))

    def interrupted(training: FusedTraining) -> object:
        if next(rounds) == 4:
            raise KeyboardInterrupt
        return real(training)

    with mock.patch.object(FusedTraining, "round", interrupted), pytest.raises(KeyboardInterrupt):
        run_plan(plan, InlineExecutor(), fuse=4)
    run_plan(plan, InlineExecutor())
    check_same_but_for_path(runs_in(tmp_path / "web.db"), alone[1])


def test_a_spent_budget_lets_runs_under_way_end_and_starts_no_more(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, seeds="[1]", more="[budget]\nhours = 1e-9\n")
    state = run_plan(plan, InlineExecutor(), fuse=3)

    assert state.budget_is_spent
    assert 1 <= state.finished <= 3
    assert state.failed == 0


def test_a_killed_worker_is_replaced_and_its_runs_are_done_one_by_one(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, seeds="[1]")
    with mock.patch("taskweb.experiments.executors.process._execute", dies_when_fused):
        state = run_plan(plan, ProcessExecutor(1), fuse=4)

    assert (state.finished, state.failed) == (9, 0)
    assert not any("fused" in run.extra for run in runs_in(tmp_path / "web.db").values())


def dies_when_fused(work: object) -> int:
    """A worker's task that is killed in the middle of fused runs."""
    from taskweb.experiments.executors import process

    def die(_training: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert isinstance(process._opened, process.OpenJob)
    with mock.patch.object(FusedTraining, "round", die):
        return process._opened.execute(work)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.repeats)])
def test_killed_at_random_moments_it_ends_at_the_same_web(kills: int, tmp_path: Path) -> None:
    seeds = str(list(range(1, 4 + kills)))
    plan = plan_of(tmp_path / "disturbed", seeds=seeds)
    other = copied(tmp_path / "disturbed", tmp_path / "undisturbed")
    plan.write_text(plan.read_text() + "[checkpoints]\nseconds = 0\n")
    store = plan.with_name("web.db")
    killed = kill_at_random_moments(plan, store, kills, "--fuse", "4", second=())
    run_plan(other, InlineExecutor())

    assert 2 * killed >= kills
    check_same_but_for_path(runs_in(store), runs_in(other.with_name("web.db")))
    left = {path.name for path in store.parent.iterdir() if path.name.startswith((".", "web.db"))}
    assert left <= {"web.db", "web.db-wal", "web.db-shm", "web.db.digest"}


def test_work_is_fused_by_setup_in_parts(tmp_path: Path) -> None:
    plan = state_of(plan_of(tmp_path, seeds="[1, 2, 3, 4]")).plan
    groups = groups_of(runs_of(plan))

    assert work_of(groups, 1) == groups
    (together,) = work_of(groups, 8)
    assert isinstance(together, FusedGroups)
    assert (together.most, together.groups) == (8, tuple(groups))
    assert len(work_of(groups, 2)) == 1  # a single worker
    parts = work_of(groups, 2, workers=4)
    assert len(parts) > 1
    assert [group for part in parts if isinstance(part, FusedGroups) for group in part.groups] == groups


def test_full_fine_tuning_is_never_fused(tmp_path: Path) -> None:
    groups = groups_of(runs_of(state_of(plan_of(tmp_path, "finetune")).plan))

    assert work_of(groups, 4) == groups


def test_several_workers_take_the_longest_work_first(tmp_path: Path) -> None:
    more = '[setups."tiny/lora".targets.clouds]\nepochs = 50\n'
    plan = state_of(plan_of(tmp_path, more=more, seeds="[1]")).plan
    groups = groups_of(runs_of(plan))
    ordered = longest_first(groups, load_task_data(plan))

    assert ordered != groups
    assert all(isinstance(group, RunGroup) and "clouds" in group.targets for group in ordered[:3])


def test_status_tells_how_runs_share_passes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, seeds="[1]")
    run_plan(plan, InlineExecutor(), fuse=2)
    spec = runs_of(state_of(plan).plan)[0]
    with Heartbeat(tmp_path / "web.db") as heartbeat:
        heartbeat.report(spec)
        heartbeat.note(PassFacts(2, 0.25))
        (worker,) = running_workers(tmp_path / "web.db")
        state = state_of(plan)

    assert worker.passes == PassFacts(2, 0.25)
    assert [(run.target, run.seed) for run in worker.runs] == [(spec.target, spec.seed)]
    assert state.to_dict()["workers"][0]["padding"] == 0.25
    assert state.runs_per_hour == pytest.approx(3600 / (state.seconds_per_run or 0))


def test_a_wrong_number_of_trainings_at_once_is_an_error(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    text = plan.read_text()
    for wrong in ("0", '"many"', "1.5", "true"):
        plan.write_text(f"fuse = {wrong}\n{text}")
        with pytest.raises(TaskWebError, match="fuse must be"):
            state_of(plan)


def test_runs_that_failed_while_fused_are_repeated_on_request(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, seeds="[1]")
    real, updates = FusedModel.losses, iter(range(10**6))

    def failing(model: FusedModel, *parts: object) -> object:
        if next(updates) > 1:  # after the check of the model
            raise RuntimeError("no luck today")
        return real(model, *parts)  # type: ignore[arg-type]

    with mock.patch.object(FusedModel, "losses", failing):
        state = run_plan(plan, InlineExecutor(), fuse=3)
    assert (state.finished, state.failed) == (0, 9)
    assert all("no luck today" in (run.reason or "") for run in runs_in(tmp_path / "web.db").values())
    assert run_plan(plan, InlineExecutor(), fuse=3).finished == 0
    state = run_plan(plan, InlineExecutor(), retry_failed=True, fuse=3)
    assert (state.finished, state.failed, state.todo) == (9, 0, ())
