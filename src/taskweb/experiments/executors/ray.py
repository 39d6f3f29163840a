"""A Ray cluster: workers on any number of machines, which send their outcomes to the one that keeps the store."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import uuid
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from taskweb.errors import MissingDependencyError, ParameterError, TaskWebError
from taskweb.experiments.checkpoint_cache import Checkpoints
from taskweb.experiments.execute import Workbench
from taskweb.experiments.executors.base import Job, OpenJob
from taskweb.experiments.heartbeats import RunningMarker
from taskweb.experiments.specs import RunGroup, RunSpec, outcome
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore

_MOST_LOSSES = 3
_PATIENCE = 5.0  # seconds
_FOLDER = "taskweb-run-"
_benches: dict[str, Workbench] = {}


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """address: of a running cluster, `auto` for the one on this machine; None starts a local one for the time of the run.

    gpus: GPUs per group of runs, a fraction where several share one. A node that dies loses only the runs it was at, which are
    done again elsewhere. Plan and data travel to the workers; models named by a folder must be there on every node. Weights are
    kept beside the store where workers can see it, else in the temporary folder of their machine.
    """

    address: str | None = None
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus < 0:
            raise ParameterError(f"The number of GPUs must be 0 or more. Got {self.gpus} instead.")

    def run(self, job: Job, groups: Sequence[RunGroup]) -> Generator[int, None, None]:
        """See Executor. Outcomes are stored one by one as they arrive."""
        ray = _ray()
        opened = job.open()
        started = not ray.is_initialized()
        if started:
            _connect(ray, self.address)
        try:
            with RunStore.open(opened.plan.store, create=True) as store, _sign(opened.bench.checkpoints) as name:
                crew = _Crew(ray, opened, store, name, self.gpus)
                with closing(crew.work(groups)) as work:
                    yield from work
        finally:
            if started:
                ray.shutdown()


class _Crew:
    """The groups that are with a cluster, each a stream of events, and what came of them."""

    def __init__(self, ray: Any, opened: OpenJob, store: RunStore, name: str, gpus: float) -> None:
        self.ray, self.opened, self.store, self.name = ray, opened, store, name
        bench = opened.bench
        self.bench = ray.put(Workbench(bench.data, bench.checkpoints, bench.threads, bench.texts))
        self.task = ray.remote(num_cpus=opened.plan.threads, num_gpus=gpus, max_retries=0)(_events)
        self.streams: dict[Any, _Stream] = {}
        self.numbers = count()
        self.losses: Counter[tuple[str, str | None, int, str | None]] = Counter()

    def work(self, groups: Sequence[RunGroup]) -> Generator[int, None, None]:
        """Have all groups done, those of lost workers again; yields 1 for each run that was stored."""
        for group in groups:
            self._submit(group)
        try:
            while self.streams:
                ready, _ = self.ray.wait(list(self.streams), num_returns=1)
                for generator in ready:
                    yield from self._next_of(generator)
        finally:
            for generator in list(self.streams):
                self._forget(generator, cancel=True)

    def _submit(self, group: RunGroup) -> None:
        left = self.opened.left_of(group, self.store)
        if left is not None:
            generator = self.task.options(num_returns="streaming").remote(self.name, self.bench, left)
            self.streams[generator] = _Stream(left, RunningMarker(self.opened.plan.store, f"-{next(self.numbers)}"))

    def _next_of(self, generator: Any) -> Iterator[int]:
        stream = self.streams[generator]
        try:
            event = self.ray.get(next(generator))
        except StopIteration:
            self._forget(generator)
            return
        except self.ray.exceptions.RayError as fault:
            self._forget(generator)
            self._again(stream, fault)
            return
        if isinstance(event, Run):
            self.opened.keep(event, self.store)
            yield 1
        elif self.opened.budget.is_spent(self.store):
            self._forget(generator, cancel=True)
        else:
            stream.running = event
            stream.marker.tell(event)

    def _again(self, stream: _Stream, fault: Exception) -> None:
        """Have the runs of a lost worker done by another; a run at which workers keep dying is recorded as failed."""
        reason = " ".join(str(fault).split())[:200]
        if isinstance(fault, self.ray.exceptions.RayTaskError):
            raise TaskWebError(f"A worker of the cluster cannot go on: {reason}") from None
        at, group = stream.running or stream.group, stream.group
        self.losses[_named(at)] += 1
        if self.losses[_named(at)] >= _MOST_LOSSES:
            if stream.running is None:
                raise TaskWebError(
                    f"The runs of {group.setup.name} after {group.source or 'no source'} with seed {group.seed} were lost "
                    f"{_MOST_LOSSES} times before one began: {reason} What was done is kept; run the plan again."
                )
            record = stream.running.record(self.opened.bench.data, self.opened.bench.threads)
            died = f"the worker that was at it died {_MOST_LOSSES} times; is there enough memory?"
            self.opened.keep(outcome(record, status="failed", reason=died), self.store)
            targets = tuple(target for target in group.targets if target != stream.running.target)
            if not targets:
                return
            group = replace(group, targets=targets)
        self._submit(group)

    def _forget(self, generator: Any, *, cancel: bool = False) -> None:
        self.streams.pop(generator).marker.__exit__(None, None, None)
        if cancel:
            with suppress(Exception):  # a cluster that is gone needs no telling
                self.ray.cancel(generator)


@dataclass(slots=True)
class _Stream:
    """A group that is with a worker, the mark that tells of it, and the run that the worker is at."""

    group: RunGroup
    marker: RunningMarker
    running: RunSpec | None = None


def _named(at: RunSpec | RunGroup) -> tuple[str, str | None, int, str | None]:
    return at.setup.name, at.source, at.seed, at.target if isinstance(at, RunSpec) else None


@contextmanager
def _sign(checkpoints: Checkpoints) -> Iterator[str]:
    """Put a sign into the folder of checkpoints, by which workers know whether it is the one that they see."""
    name = uuid.uuid4().hex
    sign = checkpoints.folder / name
    with suppress(OSError):
        sign.parent.mkdir(parents=True, exist_ok=True)
        sign.touch()
    try:
        yield name
    finally:
        with suppress(OSError):
            sign.unlink(missing_ok=True)
            sign.parent.rmdir()


def _events(name: str, bench: Workbench, group: RunGroup) -> Iterator[RunSpec | Run]:
    """Do the runs of a group on a worker, and hand out what happens. Models stay loaded between the groups of a worker."""
    if name not in _benches:
        _benches.clear()
        checkpoints = bench.checkpoints
        if not (checkpoints.folder / name).exists():
            checkpoints = replace(checkpoints, folder=_own_folder(name))
        _benches[name] = Workbench(bench.data, checkpoints, bench.threads, bench.texts)
    own = _benches[name]
    try:
        with closing(own.events(group)) as events:
            yield from events
    finally:
        with suppress(OSError):
            own.checkpoints.folder.rmdir()


def _own_folder(name: str) -> Path:
    """A folder for this worker's weights, when those of workers that died are cleared away."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        try:
            os.kill(int(folder.name.rpartition("-")[2]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ValueError):
            continue  # of another user, or of another name
    return Path(tempfile.gettempdir()) / f"{_FOLDER}{name}-{os.getpid()}"


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
