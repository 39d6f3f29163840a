"""The Ray executor on a real local cluster of several nodes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import ParameterError, TaskWebError
from taskweb.experiments import InlineExecutor, RayExecutor, run_plan
from taskweb.experiments.executors.base import OpenJob
from taskweb.experiments.executors.ray import WorkerPool
from taskweb.experiments.fused_execute import Event
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from tests.experiments.planned import write_plan
from tests.experiments.test_engine import copied, outcomes

ray = pytest.importorskip("ray")
pytestmark = [
    *(pytest.mark.slow, pytest.mark.ray),
    pytest.mark.filterwarnings("ignore", "error::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster(ray_folder: str) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture
def own_cluster(ray_folder: str) -> Iterator[Any]:
    """A cluster whose head does no run."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """All runs that are stored, in order."""
    found: list[Run] = []
    save = OpenJob.save

    def noted(self: OpenJob, run: Run, store: RunStore) -> None:
        save(self, run, store)
        found.append(run)

    monkeypatch.setattr(OpenJob, "save", noted)
    return found


@contextmanager
def unseen(_cache: object) -> Iterator[str]:
    """The name of a file that no worker sees: nodes without a common folder."""
    yield "no such file"


def keys(runs: list[Run]) -> list[str]:
    return [run.key for run in runs]


def waiting_on_one_node(place: Path) -> Callable[..., Iterator[Event]]:
    """What workers do, but the first one waits in its second run until its node is gone; `place` says which node that is."""

    def events(*given: Any) -> Iterator[Event]:
        from taskweb.experiments.executors.ray import _events

        for number, event in enumerate(_events(*given)):
            yield event
            if number == 2:
                own = place.with_name(uuid.uuid4().hex)
                own.write_text(ray.get_runtime_context().get_node_id())
                with suppress(FileExistsError):
                    place.hardlink_to(own)
                    time.sleep(600)

    return events


def test_the_same_bits_after_a_node_dies(
    own_cluster: Any, saved: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "inline", tmp_path / "ray"
    one.mkdir()
    write_plan(one, seeds="[1, 2]")
    copied(one, other)
    (one / "plan.toml").write_text((other / "plan.toml").read_text())
    run_plan(one / "plan.toml", InlineExecutor())
    saved.clear()
    nodes = {node.node_id: node for node in (own_cluster.add_node(num_cpus=1) for _ in range(2))}
    own_cluster.wait_for_nodes()
    assert ray.is_initialized() is False
    place, lost = tmp_path / "waits", list[Exception]()
    monkeypatch.setattr("taskweb.experiments.executors.ray._events", waiting_on_one_node(place))
    handle, resubmit = WorkerPool._handle_event, WorkerPool._resubmit

    def remove_when_it_waits(self: WorkerPool, generator: Any) -> Iterator[int]:
        yield from handle(self, generator)
        if len(nodes) == 2 and place.exists():
            own_cluster.remove_node(nodes.pop(place.read_text()), allow_graceful=False)

    def counted(self: WorkerPool, stream: Any, error: Exception) -> None:
        lost.append(error)
        resubmit(self, stream, error)

    monkeypatch.setattr(WorkerPool, "_handle_event", remove_when_it_waits)
    monkeypatch.setattr(WorkerPool, "_resubmit", counted)
    state = run_plan(other / "plan.toml", RayExecutor(own_cluster.address))
    assert (state.finished, state.failed, state.todo) == (18, 0, ())
    assert (len(nodes), len(lost)) == (1, 1)  # the group that the node was executing
    assert len(keys(saved)) == len(set(keys(saved))) == 18  # no run was measured twice
    assert not (other / "web.db.sources").exists()
    assert not (other / "web.db.running").exists()
    assert outcomes(other / "web.db") == outcomes(one / "web.db")


@pytest.mark.repeats
def test_three_nodes_one_dies_one_joins_and_no_source_is_trained_twice(
    own_cluster: Any, saved: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes without a common folder: weights reach the node that joins as artifacts."""
    plan = write_plan(tmp_path, seeds="[1, 2]")
    nodes = [own_cluster.add_node(num_cpus=1) for _ in range(2)]
    own_cluster.wait_for_nodes()

    monkeypatch.setattr("taskweb.experiments.executors.ray._probe_file", unseen)
    save = OpenJob.save

    def kill_after_first_transfer(self: OpenJob, run: Run, store: RunStore) -> None:
        save(self, run, store)
        if run.source is not None and nodes:  # the other transfer of this source is under way or next
            for node in nodes:
                own_cluster.remove_node(node, allow_graceful=False)
            nodes.clear()
            own_cluster.add_node(num_cpus=1)

    monkeypatch.setattr(OpenJob, "save", kill_after_first_transfer)
    state = run_plan(plan, RayExecutor(own_cluster.address, artifacts=str(tmp_path / "weights")))
    assert (state.finished, state.failed, state.todo) == (18, 0, ())
    assert nodes == []
    assert len(keys(saved)) == len(set(keys(saved))) == 18
    trained = [(run.source, run.seed) for run in saved if "source_training" in run.durations]
    assert len(trained) == len(set(trained))
    assert list((tmp_path / "weights" / "plan").iterdir()) == []


@pytest.mark.parametrize("sees_folder", [True, False])
def test_weights_stay_while_outcomes_may_be_lost(
    own_cluster: Any, saved: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sees_folder: bool
) -> None:
    """A worker that is done with a source is lost before all its outcomes have come."""
    own_cluster.add_node(num_cpus=1)
    own_cluster.wait_for_nodes()
    plan, artifacts = write_plan(tmp_path, seeds="[1]"), tmp_path / "weights"
    if not sees_folder:
        monkeypatch.setattr("taskweb.experiments.executors.ray._probe_file", unseen)
    handle, lost = WorkerPool._handle_event, []

    def lose_after_first_transfer(self: WorkerPool, generator: Any) -> Iterator[int]:
        yield from handle(self, generator)
        if not lost and saved and saved[-1].source is not None:
            ray.wait([generator.completed()])  # the worker has finished the group
            stream = self.streams[generator]
            self._close(generator)
            lost.append(stream)
            self._resubmit(stream, ray.exceptions.WorkerCrashedError())

    monkeypatch.setattr(WorkerPool, "_handle_event", lose_after_first_transfer)
    state = run_plan(plan, RayExecutor(own_cluster.address, artifacts=None if sees_folder else str(artifacts)))
    assert (state.finished, state.failed, len(lost), len(saved)) == (9, 0, 1, 9)
    assert sum("source_training" in run.durations for run in saved) == 3
    assert not (tmp_path / "web.db.sources").exists()
    assert sees_folder or list((artifacts / "plan").iterdir()) == []


@pytest.mark.repeats
def test_the_head_dies_and_the_same_plan_goes_on_with_a_new_cluster(
    ray_folder: str, saved: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setattr("taskweb.experiments.executors.ray_head.PATIENCE", 0.3)
    monkeypatch.setattr("taskweb.experiments.executors.ray_head._SECONDS_BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr("taskweb.experiments.executors.ray._SECONDS_BETWEEN_LOOKS", 0.1)
    plan = write_plan(tmp_path, seeds="[1, 2, 3, 4, 5, 6]")
    first = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        first.add_node(num_cpus=1)
    first.wait_for_nodes()
    save, dead = OpenJob.save, []

    def kill_after_third(self: OpenJob, run: Run, store: RunStore) -> None:
        save(self, run, store)
        if len(saved) == 3 and not dead:  # not by `remove_node`, which would only end this process's use of the cluster
            first.head_node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
            dead.append(not first.head_node.any_processes_alive())
            time.sleep(0.5)  # longer than the patience: the next look ends it, however far ahead the workers are

    with monkeypatch.context() as patch:
        patch.setattr(OpenJob, "save", kill_after_third)
        try:
            with pytest.raises(TaskWebError, match=r"The head of the Ray cluster at .* is gone") as lost:
                run_plan(plan, RayExecutor(first.address))
            assert "\n" not in str(lost.value)
        finally:
            first.shutdown()
    assert dead == [True]
    assert len(saved) == 3
    second = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        state = run_plan(plan, RayExecutor(second.address))
    finally:
        ray.shutdown()
        second.shutdown()
    assert (state.finished, state.failed, state.todo) == (54, 0, ())
    assert len(keys(saved)) == len(set(keys(saved))) == 54


@pytest.mark.repeats
def test_ray_ends_in_this_process_and_the_plan_goes_to_no_other_cluster(
    own_cluster: Any, cluster: Any, saved: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the death of the head, for Ray: `ray.get` would connect to the latest cluster of this machine."""
    own_cluster.add_node(num_cpus=1)
    own_cluster.wait_for_nodes()
    plan = write_plan(tmp_path, seeds="[1]")
    save = OpenJob.save

    def disconnect_after_second(self: OpenJob, run: Run, store: RunStore) -> None:
        save(self, run, store)
        if len(saved) == 2:
            ray.shutdown()

    with monkeypatch.context() as patch:
        patch.setattr(OpenJob, "save", disconnect_after_second)
        with pytest.raises(TaskWebError, match=r"The head of the Ray cluster at .* is gone"):
            run_plan(plan, RayExecutor(own_cluster.address))
    assert not ray.is_initialized()
    assert len(saved) == 2
    assert run_plan(plan, RayExecutor(own_cluster.address)).finished == 9
    assert len(keys(saved)) == len(set(keys(saved))) == 9


@pytest.mark.repeats
def test_paths_of_a_plan_are_relative_to_where_the_command_runs(
    own_cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of a cluster start where the cluster was started."""
    own_cluster.add_node(num_cpus=1)
    own_cluster.wait_for_nodes()
    write_plan(tmp_path, seeds="[1]")
    monkeypatch.chdir(tmp_path)
    state = run_plan(Path("plan.toml"), RayExecutor(own_cluster.address))
    assert (state.finished, state.failed) == (9, 0)


def waiting_for_another(folder: Path) -> Callable[..., Iterator[Event]]:
    """What workers do, but none ends a group before two were at work at once. How many there are is added to `counts`."""
    folder.mkdir()
    counts = folder.with_name("counts")

    def events(*given: Any) -> Iterator[Event]:
        from taskweb.experiments.executors.ray import _events

        own, deadline = folder / uuid.uuid4().hex, time.monotonic() + 600
        own.touch()
        with counts.open("a") as file:
            file.write(f"{len(list(folder.iterdir()))} ")
        while max(map(int, counts.read_text().split())) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        yield from _events(*given)
        own.unlink()

    return events


@pytest.mark.repeats
def test_runs_share_a_gpu_and_fused_groups_are_one_task(
    own_cluster: Any, saved: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cluster.add_node(num_cpus=3, num_gpus=1)
    own_cluster.wait_for_nodes()
    training = '{learning_rate = 0.01, batch_size = 8, steps = 20, device = "cpu"}'
    setups = f'[setups."tiny/lora"]\nmodel = "./model"\ntraining = {training}\n'
    plan = write_plan(tmp_path, seeds="[1, 2]", setups=setups)
    submitted, submit = [], WorkerPool._submit

    def counted(self: WorkerPool, work: Any) -> None:
        submitted.append(work)
        submit(self, work)

    monkeypatch.setattr(WorkerPool, "_submit", counted)
    with monkeypatch.context() as patch:
        patch.setattr("taskweb.experiments.executors.ray._events", waiting_for_another(tmp_path / "at_work"))
        assert run_plan(plan, RayExecutor(own_cluster.address, gpus=0.5), fuse=1).finished == 18
    assert max(map(int, (tmp_path / "counts").read_text().split())) == 2  # of three that the CPUs would allow
    assert len(submitted) == 8  # for each seed the baselines, and a group per source
    (tmp_path / "web.db").unlink()
    write_plan(tmp_path, seeds="[1]", setups=setups)
    submitted.clear()
    assert run_plan(plan, RayExecutor(own_cluster.address, gpus=0.5), fuse=4).finished == 9
    assert len(submitted) == 1
    assert {run.extra.get("fused") for run in saved[-9:]} == {4}


def test_a_cluster_that_does_not_exist_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TaskWebError, match="No Ray cluster could be reached"):
        run_plan(write_plan(tmp_path), RayExecutor("127.0.0.1:1"))
    with pytest.raises(ParameterError, match="GPUs"):
        RayExecutor(gpus=-1)
