"""A Ray cluster: workers on any number of machines. They send outcomes to the process that writes the store."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from taskweb.errors import MissingDependencyError, ParameterError, TaskWebError
from taskweb.experiments.artifacts import Artifacts
from taskweb.experiments.checkpoint_cache import CheckpointCache, checkpoint_cache_of
from taskweb.experiments.execute import GroupRunner
from taskweb.experiments.executors.base import Job, OpenJob
from taskweb.experiments.executors.ray_head import HeadWatch, head_is_gone
from taskweb.experiments.fused_execute import Event, events_of
from taskweb.experiments.heartbeats import Heartbeat, PassFacts
from taskweb.experiments.plan import Plan
from taskweb.experiments.specs import FusedGroups, RunGroup, RunSpec, Work, outcome
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore

_MAX_LOSSES = 3
_TIMEOUT = 5.0  # seconds
_SECONDS_BETWEEN_LOOKS = 2.0  # at the head of the cluster, while nothing comes
_FOLDER = "taskweb-run-"
_runners: dict[str, GroupRunner] = {}


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """address: of a running cluster, `auto` for the one on this machine; None starts a local one that ends with the plan.

    gpus: GPUs per group of runs, a fraction where several groups share one. If a node dies, only its unfinished runs are lost,
    and other nodes do them again. Plan and data are sent to the workers; a model given as a folder must exist on every node.
    Weights are cached beside the store where workers can see it, else in the temporary folder of their machine. artifacts: a
    folder that all nodes see, such as `s3://bucket/folder`: weights and checkpoints are copied there, to a folder with
    the plan's name, so that other nodes and later clusters go on from them.
    """

    address: str | None = None
    gpus: float = 0.0
    artifacts: str | None = None

    def __post_init__(self) -> None:
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise ParameterError(f"The number of GPUs must be a fraction of one, or a whole number. Got {self.gpus:g} instead.")

    @property
    def workers_here(self) -> int:
        """See Executor."""
        return 0

    @property
    def uses_gpus(self) -> bool:
        """Whether each worker has a GPU, or a part of one."""
        return self.gpus > 0

    def cached(self, plan: Plan) -> CheckpointCache:
        """The checkpoint cache of a plan, with its artifacts."""
        cache = checkpoint_cache_of(plan)
        if self.artifacts is None:
            return cache
        is_local = "://" not in self.artifacts and "::" not in self.artifacts
        folder = str(Path(self.artifacts).absolute()) if is_local else self.artifacts.rstrip("/")
        return replace(cache, artifacts=Artifacts(f"{folder}/{plan.name}"))

    def run(self, job: Job, work: Sequence[Work]) -> Generator[int, None, None]:
        """See Executor. Outcomes are stored one by one as they arrive."""
        ray = _ray()
        opened = job.open()
        cache = self.cached(opened.plan)
        if cache.artifacts is not None:
            cache.artifacts.require()
            opened = replace(opened, runner=replace(opened.runner, checkpoints=cache))
        started = not ray.is_initialized()
        if started:
            _connect(ray, self.address)
        try:
            with opened.open_store() as store, _probe_file(opened.runner.checkpoints) as name:
                pool = WorkerPool(ray, opened, store, name, self.gpus)
                with closing(pool.do(work)) as done:
                    yield from done
        except SystemExit:  # what Ray raises in this process when its own on this machine are gone
            raise head_is_gone(self.address or "") from None
        except ray.exceptions.RayError as error:
            if not ray.is_initialized():
                raise head_is_gone(self.address or "") from None
            raise TaskWebError(f"The Ray cluster failed: {_shortened(error)}") from None
        finally:
            if started:
                with suppress(SystemExit):
                    ray.shutdown()


class WorkerPool:
    """Groups of runs on the workers of a cluster: one stream of events per group."""

    def __init__(self, ray: Any, opened: OpenJob, store: RunStore, name: str, gpus: float) -> None:
        self.ray, self.opened, self.store, self.name = ray, opened, store, name
        runner = opened.runner
        self.runner = ray.put(GroupRunner(runner.data, runner.checkpoints, runner.threads, runner.texts))
        self.folder = str(Path.cwd())  # paths of a plan may be relative to it
        self.task = ray.remote(num_cpus=opened.plan.threads, num_gpus=gpus, max_retries=0)(_events)
        self.streams: dict[Any, _Stream] = {}
        self.numbers = count()
        self.losses: Counter[tuple[str, str | None, int, str | None]] = Counter()
        self.head = HeadWatch(ray.get_runtime_context().gcs_address)
        _warn_of_missing(ray, opened.plan.threads, gpus)

    def do(self, work: Sequence[Work]) -> Generator[int, None, None]:
        """Do all work, and that of lost workers again. Yields 1 for each stored run."""
        for piece in work:
            self._submit(piece)
        try:
            while self.streams:
                self._require_connection()
                ready, _ = self.ray.wait(list(self.streams), num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
                self.head.check()
                for generator in ready:
                    yield from self._handle_event(generator)
        finally:
            for generator in list(self.streams):
                self._close(generator, cancel=True)

    def _submit(self, work: Work) -> None:
        missing = self.opened.missing_of(work, self.store)
        if missing is not None:
            generator = self.task.options(num_returns="streaming").remote(self.name, self.folder, self.runner, missing)
            heartbeat = Heartbeat(self.opened.plan.store, f"-{next(self.numbers)}")
            self.streams[generator] = _Stream(missing, heartbeat)

    def _handle_event(self, generator: Any) -> Iterator[int]:
        stream = self.streams[generator]
        try:
            event = self.ray.get(next(generator))
        except StopIteration:
            self._close(generator)
            return
        except self.ray.exceptions.RayError as error:
            self._require_connection()
            self._close(generator)
            self._resubmit(stream, error)
            return
        if isinstance(event, Run):
            self._save(event, stream)
            stream.heartbeat.end(event)
            yield 1
        elif isinstance(event, PassFacts):
            stream.heartbeat.note(event)
        elif self.opened.budget.is_spent(self.store):
            self._close(generator, cancel=True)
        else:
            stream.running = event
            stream.heartbeat.report(event)

    def _save(self, run: Run, stream: _Stream) -> None:
        """Store an outcome. Weights after its source are removed once no run needs them.

        The worker does not do that: it is ahead of the outcomes that have come, and may be lost before the others do.
        """
        self.opened.save(run, self.store)
        done, runner = stream.note_stored(run), self.opened.runner
        if done is not None and done.source is not None:
            runner.checkpoints.drop_source(done.source_key(runner.data, runner.threads))

    def _require_connection(self) -> None:
        """Raise TaskWebError where Ray has ended this process's use of the cluster: it would connect to any other one."""
        if not self.ray.is_initialized():
            raise head_is_gone(self.head.address)

    def _resubmit(self, stream: _Stream, error: Exception) -> None:
        """Give the runs of a lost worker to another one. A run whose workers keep dying is recorded as failed."""
        reason = _shortened(error)
        if isinstance(error, self.ray.exceptions.RayTaskError):
            if isinstance(error.cause, TaskWebError):
                raise type(error.cause)(str(error.cause)) from None
            raise TaskWebError(f"A worker of the cluster failed: {reason}") from None
        if isinstance(stream.work, FusedGroups):  # one by one, so that it shows which run is at fault
            for group in stream.work.groups:
                self._submit(group)
            return
        spec, group = stream.running, stream.work
        lost = spec or group
        if self.head.answers():
            self.losses[_id_of(lost)] += 1
        else:  # the run is not at fault
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if self.losses[_id_of(lost)] >= _MAX_LOSSES:
            if spec is None:
                raise TaskWebError(
                    f"The workers for {group.setup.name} after {group.source or 'no source'} with seed {group.seed} were lost "
                    f"{_MAX_LOSSES} times before a run began: {reason} Finished runs are stored; run the plan again."
                )
            record = self.opened.runner.record_of(spec)
            died = f"the worker that executed it died {_MAX_LOSSES} times; is there enough memory?"
            self._save(outcome(record, status="failed", reason=died), stream)
            left = group.keeping(lambda other: other != spec)
            if left is None:
                return
            group = left
        self._submit(group)

    def _close(self, generator: Any, *, cancel: bool = False) -> None:
        self.streams.pop(generator).heartbeat.close()
        if cancel:
            with suppress(Exception):  # the cluster may be gone
                self.ray.cancel(generator)


@dataclass(slots=True)
class _Stream:
    """What a worker executes, the heartbeat of that worker, and the run that it began last. left: groups with runs to store."""

    work: Work
    heartbeat: Heartbeat
    running: RunSpec | None = None
    left: dict[tuple[str, str | None, int | None], RunGroup] = field(init=False)

    def __post_init__(self) -> None:
        groups = self.work.groups if isinstance(self.work, FusedGroups) else (self.work,)
        self.left = {(group.setup.name, group.source, group.seed): group for group in groups}

    def note_stored(self, run: Run) -> RunGroup | None:
        """Note that a run is stored, and no longer executed. Returns its group where it was the last one of it."""
        self.running = None
        key = (run.setup.name, run.source, run.seed)
        group = self.left.pop(key)
        if (rest := group.keeping(lambda spec: spec.target != run.target)) is None:
            return group
        self.left[key] = rest
        return None


def _shortened(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _id_of(lost: RunSpec | RunGroup) -> tuple[str, str | None, int, str | None]:
    return lost.setup.name, lost.source, lost.seed, lost.target if isinstance(lost, RunSpec) else None


@contextmanager
def _probe_file(checkpoints: CheckpointCache) -> Iterator[str]:
    """Create a file in the folder of the cache; a worker that sees it can use the folder. Yields the name of the file."""
    name = uuid.uuid4().hex
    probe = checkpoints.folder / name
    with suppress(OSError):
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
    try:
        yield name
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
            probe.parent.rmdir()


def _events(name: str, folder: str, runner: GroupRunner, work: Work) -> Iterator[Event]:
    """Do work on a worker, and yield its events. Models stay loaded for the next work of the worker.

    folder: that relative paths start from, where this machine has it.
    """
    if name not in _runners:
        _runners.clear()
        with suppress(OSError):
            os.chdir(folder)
        checkpoints = runner.checkpoints
        is_shared = (checkpoints.folder / name).exists()  # then the process that stores the outcomes removes weights
        checkpoints = replace(checkpoints, kept=True) if is_shared else replace(checkpoints, folder=_own_folder(name))
        _runners[name] = GroupRunner(runner.data, checkpoints, runner.threads, runner.texts)
    own = _runners[name]
    try:
        with closing(events_of(own, work)) as events:
            yield from events
    finally:
        with suppress(OSError):
            own.checkpoints.folder.rmdir()


def _own_folder(name: str) -> Path:
    """A folder for this worker's weights. Removes the folders of dead workers first.

    Those of other machines stay: they may lie in the same temporary folder, and this one does not know who is alive there.
    """
    here = f"@{socket.gethostname()}"
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*{here}"):
        try:
            os.kill(int(folder.name.removesuffix(here).rpartition("-")[2]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ValueError):
            continue  # of another user, or of another name
    return Path(tempfile.gettempdir()) / f"{_FOLDER}{name}-{os.getpid()}{here}"


def _warn_of_missing(ray: Any, cpus: float, gpus: float) -> None:
    """Say it where no node can do a run now: it waits, perhaps for a node that joins later."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        wanted = f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        logging.getLogger("taskweb").warning(f"No node of the Ray cluster has {wanted}. The runs wait for one that does.")


def _connect(ray: Any, address: str | None) -> None:
    """Join a cluster, or start one. Fails at once where no process listens at the address; Ray itself retries for minutes."""
    hint = ""
    try:
        if address is not None and address != "auto":
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=_TIMEOUT).close()
            hint = " A process listens there. Has it the same version of Ray, and the same token? See docs/ray.md."
        options = {"include_dashboard": False} if address is None else {}
        ray.init(address=address, log_to_driver=False, configure_logging=False, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"at {address}" if address else "on this machine"
        first = str(error).splitlines()[0].rstrip(".")
        raise TaskWebError(f"No Ray cluster could be reached {where}: {first}.{hint}") from None


def _ray() -> Any:
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # else Ray goes to any other cluster where its own has ended
    try:
        import ray
    except ImportError:
        raise MissingDependencyError("ray", "ray", "The Ray executor") from None
    return ray
