"""The Ray executor on a real local cluster of several nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskweb.errors import ParameterError, TaskWebError
from taskweb.experiments import InlineExecutor, RayExecutor, run_plan
from taskweb.experiments.executors.base import OpenJob
from taskweb.experiments.executors.ray import WorkerPool
from taskweb.experiments.heartbeats import running_runs
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from tests.experiments.planned import write_plan
from tests.experiments.test_engine import copied, outcomes

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster(ray_folder: str) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield started
    ray.shutdown()
    started.shutdown()


def test_the_same_bits_after_a_node_dies(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "inline", tmp_path / "ray"
    one.mkdir()
    write_plan(one, seeds="[1, 2, 3, 4, 5, 6]")
    copied(one, other)
    (one / "plan.toml").write_text((other / "plan.toml").read_text())
    run_plan(one / "plan.toml", InlineExecutor())
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    assert ray.is_initialized() is False

    def fail() -> None:
        deadline = time.monotonic() + 120
        while len(running_runs(other / "web.db")) < 2 and time.monotonic() < deadline:  # until the node executes a run too
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)

    lost: list[Exception] = []
    stored: list[tuple[str, str | None, str, int]] = []
    resubmit, save = WorkerPool._resubmit, OpenJob.save

    def counted(self: WorkerPool, stream: Any, error: Exception) -> None:
        lost.append(error)
        resubmit(self, stream, error)

    def noted(self: OpenJob, run: Run, store: RunStore) -> None:
        stored.append((run.setup.name, run.source, run.target, run.seed))
        save(self, run, store)

    monkeypatch.setattr(WorkerPool, "_resubmit", counted)
    monkeypatch.setattr(OpenJob, "save", noted)
    killer = threading.Thread(target=fail)
    killer.start()
    state = run_plan(other / "plan.toml", RayExecutor(cluster.address))
    killer.join()
    assert (state.finished, state.failed, state.todo) == (6 * 9, 0, ())
    assert len(lost) == 1  # the group that the node was executing
    assert len(stored) == len(set(stored)) == 6 * 9  # no run was measured twice
    assert not (other / "web.db.sources").exists()
    assert not (other / "web.db.running").exists()
    assert outcomes(other / "web.db") == outcomes(one / "web.db")


def test_a_cluster_that_does_not_exist_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TaskWebError, match="No Ray cluster could be reached"):
        run_plan(write_plan(tmp_path), RayExecutor("127.0.0.1:1"))
    with pytest.raises(ParameterError, match="GPUs"):
        RayExecutor(gpus=-1)
