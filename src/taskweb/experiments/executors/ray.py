"""A Ray cluster: workers on any number of machines, which send their outcomes to the one that keeps the store."""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import MissingDependencyError, ParameterError, TaskWebError
from taskweb.experiments.cache import SourceCheckpoints
from taskweb.experiments.execute import Workbench
from taskweb.experiments.executors.base import Job
from taskweb.experiments.specs import RunGroup
from taskweb.web.run import Run
from taskweb.web.store import RunStore

_RETRIES = 3
_PATIENCE = 5.0  # seconds
_benches: dict[str, Workbench] = {}


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """address: of a running cluster, `auto` for the one on this machine; None starts a local one for the time of the run.

    gpus: GPUs per group of runs, a fraction where several share one. A node that dies loses only the runs it was at, which are
    done again elsewhere. Plan and data travel to the workers; models named by a folder must be there on every node.
    """

    address: str | None = None
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus < 0:
            raise ParameterError(f"The number of GPUs must be 0 or more. Got {self.gpus} instead.")

    def run(self, job: Job, groups: Sequence[RunGroup]) -> Iterator[int]:
        """See Executor. Outcomes are stored one by one as they arrive."""
        ray = _ray()
        opened = job.open()
        started = not ray.is_initialized()
        if started:
            _connect(ray, self.address)
        try:
            name = uuid.uuid4().hex
            bench = ray.put(
                Workbench(opened.bench.data, SourceCheckpoints(Path(name)), opened.bench.threads, opened.bench.texts)
            )
            work = ray.remote(num_cpus=opened.plan.threads, num_gpus=self.gpus, max_retries=_RETRIES)(_outcomes)
            with RunStore.open(opened.plan.store, create=True) as store:
                streams = {work.options(num_returns="streaming").remote(name, bench, group): group for group in groups}
                yield from _stored(ray, streams, store, job.replace_failed)
        finally:
            if started:
                ray.shutdown()


def _stored(ray: Any, streams: dict[Any, RunGroup], store: RunStore, replace_failed: bool) -> Iterator[int]:
    """Keep each outcome when it arrives; yields how many of a group were kept when the group is done."""
    done = dict.fromkeys(streams, 0)
    while streams:
        ready, _ = ray.wait(list(streams), num_returns=1)
        for stream in ready:
            try:
                run = ray.get(next(stream))
            except StopIteration:
                del streams[stream]
                yield done[stream]
                continue
            except ray.exceptions.RayError as fault:
                group = streams[stream]
                raise TaskWebError(
                    f"The runs of {group.setup.name} after {group.source or 'no source'} with seed {group.seed} were lost "
                    f"{_RETRIES + 1} times: {str(fault).splitlines()[0]}. What was done is kept; run the plan again."
                ) from None
            store.add_many([run], replace_failed=replace_failed)
            done[stream] += 1


def _outcomes(name: str, bench: Workbench, group: RunGroup) -> Iterator[Run]:
    """Do the runs of a group on a worker, and hand out each outcome. Models stay loaded between the groups of a worker."""
    if name not in _benches:
        _benches.clear()
        folder = Path(tempfile.gettempdir()) / f"taskweb-{name}-{os.getpid()}"
        _benches[name] = Workbench(bench.data, SourceCheckpoints(folder), bench.threads, bench.texts)
    yield from _benches[name].outcomes(group, lambda _spec: None)


def _connect(ray: Any, address: str | None) -> None:
    """Join a cluster, or start one. An address where nobody listens is told at once: Ray itself tries for minutes."""
    try:
        if address is not None and address != "auto":
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
        options = {"include_dashboard": False} if address is None else {}
        ray.init(address=address, log_to_driver=False, configure_logging=False, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as fault:
        where = f"at {address}" if address else "on this machine"
        raise TaskWebError(f"No Ray cluster could be reached {where}: {str(fault).splitlines()[0]}.") from None


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingDependencyError("ray", "ray", "The Ray executor") from None
    return ray
