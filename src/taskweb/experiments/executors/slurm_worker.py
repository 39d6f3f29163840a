"""A worker that Slurm started: it takes pieces of work from the owner's folder, and leaves outcomes there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from taskweb.errors import InputError, TaskWebError
from taskweb.experiments.executors.base import Job, OpenJob
from taskweb.experiments.executors.pieces import work_of_piece
from taskweb.experiments.fused_execute import events_of
from taskweb.experiments.heartbeats import Heartbeat, PassFacts
from taskweb.experiments.specs import RunGroup, RunSpec
from taskweb.experiments.spool import Ending, Piece, Spool, Taken
from taskweb.web.records.run import Run


class _StoppedError(BaseException):
    """Slurm asks the worker to end: its time is up, another job comes first, or it was cancelled."""


@dataclass(frozen=True, slots=True)
class WorkerName:
    """element: of the array of jobs, as `array_element`. restart: how often Slurm started it again."""

    element: str
    restart: int = 0

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> WorkerName:
        """The name of the job that this process runs in. Raises InputError outside of one."""
        try:
            element = f"{int(environment['SLURM_ARRAY_JOB_ID'])}_{int(environment['SLURM_ARRAY_TASK_ID'])}"
            return cls(element, int(environment.get("SLURM_RESTART_COUNT") or 0))
        except (KeyError, ValueError):
            raise InputError("--worker is for jobs that --executor slurm submits. Run the plan with that instead.") from None

    @classmethod
    def of_text(cls, text: str) -> WorkerName:
        """The name in a file's name."""
        element, _, restart = text.rpartition("-")
        return cls(element, int(restart))

    def __str__(self) -> str:
        return f"{self.element}-{self.restart}"


def work_in(spool: Spool, plan_path: Path, name: WorkerName) -> None:
    """Do pieces of work until none is left, or Slurm asks to end. Raises TaskWebError where no work can be done at all.

    A worker that ends before its first run leaves no word of it, so that it counts as dead.
    """
    spool.require_own()
    for taken in spool.taken():
        if (before := WorkerName.of_text(taken.worker)).element == name.element and before.restart < name.restart:
            spool.give_back(taken)
    worker = _Worker(spool, plan_path, name)
    try:
        with _told_to_end():
            worker.work()
    except _StoppedError:
        if (ending := worker.stopped()) is None:
            return
    except TaskWebError as error:
        spool.end(str(name), Ending(fault=str(error)))
        raise
    else:
        ending = Ending()
    spool.end(str(name), ending)


class _Worker:
    """What a worker is doing."""

    def __init__(self, spool: Spool, plan_path: Path, name: WorkerName) -> None:
        self.spool, self.plan_path, self.name = spool, plan_path, str(name)
        self.opened: OpenJob | None = None
        self.taken: Taken | None = None
        self.since = time.time()
        self.running: dict[str, RunSpec] = {}
        self.has_begun = False

    def work(self) -> None:
        """Do pieces of work until none is left."""
        opened = self.opened = Job(self.plan_path).open()
        while not self.spool.is_stopped:
            self.taken, self.since = self.spool.take(self.name), time.time()
            if self.taken is None:
                return
            self._do(self.taken.piece, opened)
            self.spool.finish(self.taken)
            self.running.clear()
            self.taken = None

    def _do(self, piece: Piece, opened: OpenJob) -> None:
        known = self.spool.known(piece)
        work = work_of_piece(piece, opened).keeping(lambda spec: opened.runner.record_of(spec).key not in known)
        if work is None:
            return
        heartbeat = Heartbeat(opened.plan.store, file=self.spool.heartbeats / f"{self.name}.json")
        with heartbeat, closing(events_of(opened.runner, work, lambda: not self.spool.is_stopped)) as events:
            for event in events:
                if isinstance(event, Run):
                    self.spool.hand_over(piece, event)
                    self.running.pop(event.key, None)
                    heartbeat.end(event)
                elif isinstance(event, PassFacts):
                    heartbeat.note(event)
                elif isinstance(work, RunGroup) and self.spool.is_stopped:
                    return
                else:
                    self.has_begun = True
                    self.running[opened.runner.record_of(event).key] = event
                    heartbeat.report(event)

    def stopped(self) -> Ending | None:
        """Give the piece back, and say which run was stopped; None where no run has begun yet."""
        if self.taken is not None:
            self.spool.give_back(self.taken)
        if not self.has_begun:
            return None
        if self.opened is None or not self.running:
            return Ending()
        spec = next(iter(self.running.values()))
        return Ending((spec.setup.name, spec.source, spec.target, spec.seed), self._resumes(spec, self.opened))

    def _resumes(self, spec: RunSpec, opened: OpenJob) -> bool:
        """Whether a training of the run was saved since the piece was taken."""
        runner, cache = opened.runner, opened.runner.checkpoints
        places = [cache.training_path(runner.record_of(spec).key)]
        if spec.source is not None:
            key = RunGroup(spec.setup, spec.source, spec.seed, ()).source_key(runner.data, runner.threads)
            places += [cache.training_path(key), cache.source_path(key)]
        return any(_written_at(place) >= self.since for place in places)


def _written_at(file: Path) -> float:
    """When a file was written; 0 where it is not there, or another worker has just removed it."""
    with suppress(FileNotFoundError):
        return file.stat().st_mtime
    return 0.0


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Raise _StoppedError inside the block when Slurm sends SIGTERM."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows is short
        raise _StoppedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def name_of_this_worker() -> WorkerName:
    """The name of the job that this process runs in. Raises InputError outside of one."""
    return WorkerName.of_environment(os.environ)
