"""The outcomes of runs that fail, diverge, run out of memory or kill their workers; time budgets; progress."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch

from benchmarks.evaluation import made_up_checkpoints
from taskweb.experiments import InlineExecutor, ProcessExecutor, Reports, run_plan, state_of
from taskweb.experiments.executors.process import _stop
from taskweb.experiments.run_progress import PlanProgress
from taskweb.experiments.specs import RunGroup
from taskweb.training import DivergedError, TrainingHistory, evaluate, fit
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from tests.experiments.planned import SETTINGS, write_plan, write_tasks
from tests.training.recorders import CallRecorder


def stored_runs(folder: Path) -> list[Run]:
    with RunStore.open(folder / "web.db") as store:
        return list(store.runs())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("the moon is in the wrong place"), "failed"),
        (DivergedError(TrainingHistory(), float("nan"), 1.0), "diverged"),
    ],
    ids=["failed", "diverged"],
)
def test_runs_without_a_score_are_repeated_on_request(
    error: Exception, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(tmp_path, seeds="[1]")

    def fail(model: object, task: object, *args: object, **options: object) -> object:
        if task.name == "birds":  # type: ignore[attr-defined]
            raise error
        return evaluate(model, task, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("taskweb.experiments.execute.evaluate", fail)
    state = run_plan(plan, InlineExecutor())
    assert (state.finished, state.failed + state.diverged, state.todo) == (6, 3, ())
    assert {run.status for run in stored_runs(tmp_path) if run.target == "birds"} == {status}
    assert run_plan(plan, InlineExecutor()).finished == 6  # not requested
    assert run_plan(plan, InlineExecutor(), retry_failed=True).finished == 6  # they fail again
    monkeypatch.undo()
    assert len(state_of(plan, retry_failed=True).todo) == 3
    state = run_plan(plan, InlineExecutor(), retry_failed=True)
    assert (state.finished, state.failed, state.diverged) == (9, 0, 0)
    assert len(stored_runs(tmp_path)) == 9


def small_memory(most: int, function: Callable[..., object]) -> Callable[..., object]:
    """Fails like a GPU with memory for `most` examples."""

    def limited(self: object, batch: list[object], *args: object, **options: object) -> object:
        if len(batch) > most:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 2 GiB.")
        return function(self, batch, *args, **options)

    return limited


def test_runs_that_ran_out_of_memory_record_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskweb.models.seq2seq import Seq2SeqModel
    from taskweb.models.text_answers import groups

    def few(lengths: list[int], rows: list[int], most_rows: int) -> object:
        if most_rows > 8:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried")
        return groups(lengths, rows, most_rows)

    monkeypatch.setattr(Seq2SeqModel, "loss", small_memory(4, Seq2SeqModel.loss))
    monkeypatch.setattr("taskweb.models.text_answers.groups", few)
    state = run_plan(write_plan(tmp_path, seeds="[1]"), InlineExecutor())
    assert (state.finished, state.failed) == (9, 0)
    for run in stored_runs(tmp_path):
        assert run.extra["halved_batches"] == 1  # 8 to 4
        assert run.extra["halved_in_evaluation"] == 2  # 32 to 16 to 8
        assert run.extra.get("halved_in_source") == (None if run.source is None else 1)


def test_runs_record_graphs_on_a_gpu_and_nothing_of_them_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = tmp_path / "cpu", tmp_path / "gpu"
    for place in places:
        place.mkdir()
        run_plan(write_plan(place, seeds="[1]"), InlineExecutor())
        monkeypatch.setattr("taskweb.training.loop.recorder_for", lambda _: CallRecorder())
        monkeypatch.setattr("taskweb.training.updates.FEWEST_UPDATES", 1)
    without, graphed = ({(run.source, run.target): run for run in stored_runs(place)} for place in places)
    assert len(graphed) == len(without) == 9
    for pair, run in graphed.items():
        assert int(run.extra["graphs"] or 0) >= 1
        assert 0 <= float(run.extra["padding"] or 0) < 1
        assert dict(run.metrics) == pytest.approx(dict(without[pair].metrics))
        assert not {"graphs", "no_graphs", "padding"} & set(without[pair].extra)


def test_too_little_memory_for_one_example_fails_the_run_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskweb.models.seq2seq import Seq2SeqModel

    monkeypatch.setattr(Seq2SeqModel, "score_choices", small_memory(0, Seq2SeqModel.score_choices))
    assert run_plan(write_plan(tmp_path, seeds="[1]"), InlineExecutor()).failed == 9
    assert all("One example at a time is too much" in (run.reason or "") for run in stored_runs(tmp_path))


def test_source_training_is_counted_once(tmp_path: Path) -> None:
    run_plan(write_plan(tmp_path, seeds="[1]"), InlineExecutor())
    sources = [run.source for run in stored_runs(tmp_path) if "source_training" in run.durations]
    assert sorted(filter(None, sources)) == ["apples", "birds", "clouds"]


@pytest.mark.parametrize("executor", [InlineExecutor(), ProcessExecutor(2)], ids=["inline", "process"])
def test_a_spent_time_budget_starts_no_run_and_can_be_raised(executor: object, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, seeds="[1]", more="[budget]\nhours = 1e-9")
    state = run_plan(plan, executor)  # type: ignore[arg-type]
    assert state.budget_is_spent
    assert 1 <= state.finished <= 2  # runs that had begun when it was spent
    assert len(state.todo) == 9 - state.finished
    assert run_plan(plan, InlineExecutor()).finished == state.finished
    plan.write_text(plan.read_text().replace("1e-9", "1"))
    after = run_plan(plan, InlineExecutor())
    assert (after.finished, after.budget_is_spent) == (9, False)


def patient(group: object) -> int:
    """A worker's task whose runs do not end before the progress has shown one."""
    from taskweb.experiments import execute
    from taskweb.experiments.executors import process

    assert isinstance(process._opened, process.OpenJob)
    place, deadline = process._opened.plan.store.with_name("shown"), time.monotonic() + 120

    def evaluate_when_shown(*args: object, **options: object) -> object:
        while not place.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return evaluate(*args, **options)  # type: ignore[arg-type]

    execute.evaluate = evaluate_when_shown
    return process._opened.execute(group)  # type: ignore[arg-type]


def test_progress_is_reported_from_the_first_run_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[PlanProgress] = []

    def on_progress(progress: PlanProgress) -> None:
        seen.append(progress)
        if progress.running:
            (tmp_path / "shown").touch()

    monkeypatch.setattr("taskweb.experiments.executors.process._execute", patient)
    run_plan(write_plan(tmp_path), ProcessExecutor(2), reports=Reports(on_progress))
    assert (seen[0].known, seen[0].done, seen[0].left, seen[0].runs_per_hour) == (0, 0, 18, None)
    assert (seen[-1].done, seen[-1].left, seen[-1].failed, seen[-1].running) == (18, 0, 0, ())
    assert [moment.done for moment in seen] == sorted(moment.done for moment in seen)
    assert max(len(moment.running) for moment in seen) >= 1
    assert all(moment.done + moment.left == 18 for moment in seen)
    assert seen[-1].runs_per_hour == pytest.approx(3600 * 18 / seen[-1].seconds)


def deadly(group: object) -> int:
    """A worker's task that is killed whenever it evaluates birds."""
    from taskweb.experiments import execute
    from taskweb.experiments.executors import process

    def evaluate_or_die(model: object, task: object, *args: object, **options: object) -> object:
        if task.name == "birds":  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGKILL)
        return evaluate(model, task, *args, **options)  # type: ignore[arg-type]

    execute.evaluate = evaluate_or_die
    assert isinstance(process._opened, process.OpenJob)
    return process._opened.execute(group)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_that_kills_its_workers_is_recorded_and_other_runs_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = write_plan(
        tmp_path, seeds="[1]", more='[pairs]\nmode = "listed"\nlisted = [["apples", "birds"], ["apples", "clouds"]]'
    )
    monkeypatch.setattr("taskweb.experiments.executors.process._execute", deadly)
    monkeypatch.setattr("taskweb.experiments.executors.process._MAX_DEATHS", 2)
    state = run_plan(plan, ProcessExecutor(1), reports=Reports(lambda progress: None))
    assert (state.finished, state.failed, state.todo) == (2, 2, ())
    lost = [run for run in stored_runs(tmp_path) if run.status == "failed"]
    assert {(run.source, run.target) for run in lost} == {(None, "birds"), ("apples", "birds")}
    assert "died 2 times" in (lost[0].reason or "")
    assert not (tmp_path / "web.db.running").exists()


def deadly_or_deaf(group: object) -> int:
    """A worker's task that is killed in baselines while another worker, which does not end when asked, executes a source."""
    from taskweb.experiments import execute
    from taskweb.experiments.executors import process

    assert isinstance(process._opened, process.OpenJob)
    assert isinstance(group, RunGroup)
    place = process._opened.plan.store.with_name("deaf")

    def die_or_wait(*args: object, **options: object) -> object:
        if group.source is None:
            while not place.exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        if not place.exists():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            place.touch()
            time.sleep(600)
        return fit(*args, **options)  # type: ignore[arg-type]

    execute.fit = die_or_wait
    return process._opened.execute(group)


@pytest.mark.slow
@pytest.mark.repeats
def test_only_runs_whose_workers_died_by_themselves_are_at_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = '[pairs]\nmode = "listed"\nlisted = [["apples", "birds"]]'
    plan = write_plan(tmp_path, seeds="[1]", more=listed)
    monkeypatch.setattr("taskweb.experiments.executors.process._execute", deadly_or_deaf)
    monkeypatch.setattr("taskweb.experiments.executors.process._MAX_DEATHS", 1)
    monkeypatch.setattr("taskweb.experiments.executors.process._TIMEOUT", 0.1)
    run_plan(plan, ProcessExecutor(2))
    assert {(run.source, run.status) for run in stored_runs(tmp_path)} == {(None, "failed"), ("apples", "finished")}


def test_a_worker_that_is_dying_is_not_one_that_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may need a while to end a process, which counts as alive until then."""
    monkeypatch.setattr("taskweb.experiments.executors.process._TIMEOUT", 0.0)
    closed, open_ends = os.pipe(), os.pipe()
    os.close(closed[1])
    dying, deaf = (mock.Mock(pid=number, sentinel=ends[0]) for number, ends in ((1, closed), (2, open_ends)))
    assert _stop(mock.Mock(), [dying, deaf]) == [2]
    assert (dying.kill.called, deaf.kill.called) == (True, True)
    for descriptor in (closed[0], *open_ends):
        os.close(descriptor)


def test_training_is_what_runs_use() -> None:
    """The names that these tests patch exist."""
    from taskweb.experiments import execute

    assert execute.fit is fit
    assert execute.evaluate is evaluate


def test_records_count_inputs_whose_last_token_reaches_into_an_answer(tmp_path: Path) -> None:
    write_tasks(tmp_path)
    made_up_checkpoints.write_checkpoint("llama", tmp_path / "model")
    rows = [{key: row[key] for key in ("input", "output", "choices")} for row in made_up_checkpoints.rows_of("spaces", 40)]
    (tmp_path / "birds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for fuse in (1, 2):
        setup = f'[setups."tiny/lora"]\nmodel = "./model"\nmethod = "lora"\ntraining = {SETTINGS}\n'
        plan = write_plan(tmp_path, seeds="[1]", setups=setup, more=f"fuse = {fuse}", store=f"web{fuse}.db")
        assert run_plan(plan, InlineExecutor()).finished == 9
        with RunStore.open(tmp_path / f"web{fuse}.db") as store:
            found = {(run.source, run.target): dict(run.sizes) for run in store.runs()}
        for (_, target), sizes in found.items():
            keys = {key for key in sizes if key.endswith("_unaligned")}
            assert keys == ({"train_inputs_unaligned", "evaluation_inputs_unaligned"} if target == "birds" else set())
            assert all(0 < sizes[key] < 12 for key in keys)
