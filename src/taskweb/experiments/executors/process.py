"""Several processes on one machine, each with its own model. They share the store."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

from taskweb.errors import ParameterError, TaskWebError
from taskweb.experiments.executors.base import Job, OpenJob
from taskweb.experiments.heartbeats import abandoned_runs
from taskweb.experiments.specs import FusedGroups, RunSpec, Work, outcome

_MAX_DEATHS = 3
_TIMEOUT = 10.0  # seconds that a worker has to clean up before it is killed
_opened: OpenJob | TaskWebError | None = None

RunId = tuple[str, str | None, str, int]


@dataclass(frozen=True, slots=True)
class ProcessExecutor:
    """workers: number of processes. Where there are GPUs, each worker gets one of them in turn."""

    workers: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ParameterError(f"The number of workers must be at least 1. Got {self.workers} instead.")

    @property
    def workers_here(self) -> int:
        """See Executor."""
        return self.workers

    def run(self, job: Job, work: Sequence[Work]) -> Generator[int, None, None]:
        """See Executor. A run that _MAX_DEATHS workers died in is recorded as failed."""
        left = list(work)
        killed: list[int] = []
        deaths: Counter[RunId | None] = Counter()  # None: deaths outside of runs
        opened: OpenJob | None = None
        while left:
            finished = yield from self._run_until_a_worker_dies(job, left, killed)
            if finished:
                return
            opened = opened or job.open()
            lost = [(run.setup, run.source, run.target, run.seed) for run in abandoned_runs(opened.plan.store, killed)]
            deaths.update(lost)
            deaths[None] += not lost
            if deaths[None] >= _MAX_DEATHS:
                raise TaskWebError(
                    f"Worker processes died {_MAX_DEATHS} times before a run began; {len(left)} groups of runs are left. Is "
                    f"there enough memory for {self.workers} at once? Use fewer workers; finished runs are stored."
                )
            left = _taken_apart(left, lost)
            failing = {run for run in lost if deaths[run] >= _MAX_DEATHS}
            left = _record_failing(left, failing, opened)

    def _run_until_a_worker_dies(self, job: Job, left: list[Work], killed: list[int]) -> Generator[int, None, bool]:
        """Execute groups, and remove each from `left` when it is done. Returns False where a worker died first.

        The others are ended then. Those that had to be killed are added to `killed`: their runs are not at fault.
        """
        pool = ProcessPoolExecutor(
            min(self.workers, len(left)), multiprocessing.get_context("spawn"), _open, (job, os.getpid())
        )
        processes: Sequence[BaseProcess] = ()
        try:
            with _no_interrupts():
                futures: dict[Future[int], Work] = {pool.submit(_execute, group): group for group in left}
                processes = list((pool._processes or {}).values())
            for future in as_completed(futures):
                done = future.result()
                left.remove(futures[future])
                yield done
        except BrokenProcessPool:
            return False
        finally:
            killed += _stop(pool, processes)
        return True


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for any kind of work. They end with the block, and with this process however it ends."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent, (os.getpid(),))
    processes: Sequence[BaseProcess] = ()
    try:
        with _no_interrupts():
            for _ in range(workers):
                pool.submit(os.getpid)
            processes = list((pool._processes or {}).values())
        yield pool
    finally:
        _stop(pool, processes)


def _record_failing(work: list[Work], failing: set[RunId], opened: OpenJob) -> list[Work]:
    """Record the failing runs as failed, and return the work without them."""
    left: list[Work] = []
    with opened.open_store() as store:
        for piece in work:
            for spec in (spec for spec in piece.specs() if _run_id(spec) in failing):
                reason = f"the process that executed it died {_MAX_DEATHS} times; is there enough memory?"
                opened.save(outcome(opened.runner.record_of(spec), status="failed", reason=reason), store)
            if (rest := piece.keeping(lambda spec: _run_id(spec) not in failing)) is not None:
                left.append(rest)
    return left


def _taken_apart(work: list[Work], lost: Sequence[RunId]) -> list[Work]:
    """The work with fused groups that a worker died in as single groups, so that it shows which run is at fault."""
    apart: list[Work] = []
    for piece in work:
        if isinstance(piece, FusedGroups) and any(_run_id(spec) in lost for spec in piece.specs()):
            apart += piece.groups
        else:
            apart.append(piece)
    return apart


def _run_id(spec: RunSpec) -> RunId:
    return spec.setup.name, spec.source, spec.target, spec.seed


def _stop(pool: ProcessPoolExecutor, processes: Sequence[BaseProcess]) -> list[int]:
    """End the workers. They clean up unfinished runs; those that take too long are killed, and their ids returned."""
    killed = []
    pool.shutdown(wait=False, cancel_futures=True)
    deadline = time.monotonic() + _TIMEOUT
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(timeout=max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            is_dying = bool(wait([process.sentinel], 0))  # by itself, and the system is not done with it yet
            process.kill()
            process.join()
            if not is_dying:
                killed.append(process.pid or 0)
    return killed


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Processes started inside ignore interrupts, which a terminal sends to all processes: they are for the parent alone.

    The parent gets an interrupt at the end of the block, because a process that is interrupted while it starts prints an error.
    Blocking the signal is not enough: another thread would get it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    received: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread() and handler is not None
    if in_main:
        signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if in_main:
            signal.signal(signal.SIGINT, handler)
        if received:
            signal.raise_signal(signal.SIGINT)


def _open(job: Job, parent: int) -> None:
    """Prepare a worker: pick a GPU, read plan and data, and end when the parent ends or asks for it."""
    global _opened
    _end_with_parent(parent)
    number = multiprocessing.current_process()._identity
    if number and "CUDA_VISIBLE_DEVICES" not in os.environ:
        import torch

        if (count := torch.cuda.device_count()) > 0:
            os.environ["CUDA_VISIBLE_DEVICES"] = str((number[0] - 1) % count)
    try:
        _opened = job.open()
    except TaskWebError as error:
        _opened = error


def _end(_signal: int, _frame: FrameType | None) -> None:
    if _opened is None:
        os._exit(1)  # nothing to clean up yet
    sys.exit(1)


def _end_with_parent(parent: int) -> None:
    """Let this process end when its parent ends or asks for it."""
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _execute(group: Work) -> int:
    if isinstance(_opened, TaskWebError):
        raise _opened
    assert _opened is not None
    try:
        return _opened.execute(group)
    except SystemExit:
        os._exit(1)  # all is cleaned up; the pool would go on with the next group
