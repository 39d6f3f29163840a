"""Several processes on one machine, each with a model of its own; the store is what they share."""

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
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from types import FrameType

from taskweb.errors import ParameterError, TaskWebError
from taskweb.experiments.executors.base import Job, OpenJob
from taskweb.experiments.heartbeats import abandoned_runs
from taskweb.experiments.specs import RunGroup, RunSpec, outcome
from taskweb.web.store import RunStore

_MOST_DEATHS = 3
_PATIENCE = 10.0  # seconds that a worker has to clear up before it is killed
_opened: OpenJob | TaskWebError | None = None

Place = tuple[str, str | None, str, int]


@dataclass(frozen=True, slots=True)
class ProcessExecutor:
    """workers: number of processes. Each worker gets the GPUs there are in turn, where there are any."""

    workers: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ParameterError(f"The number of workers must be at least 1. Got {self.workers} instead.")

    def run(self, job: Job, groups: Sequence[RunGroup]) -> Generator[int, None, None]:
        """See Executor. A run at which workers died _MOST_DEATHS times is recorded as failed."""
        left = list(groups)
        deaths: Counter[Place | None] = Counter()  # None: of workers that were at no run
        opened: OpenJob | None = None
        while left:
            done = yield from self._until_a_death(job, left)
            if done:
                return
            opened = opened or job.open()
            fallen = [(run.setup, run.source, run.target, run.seed) for run in abandoned_runs(opened.plan.store)]
            deaths.update(fallen)
            deaths[None] += not fallen
            if deaths[None] >= _MOST_DEATHS:
                raise TaskWebError(
                    f"Worker processes died {_MOST_DEATHS} times before they were at a run, with {len(left)} groups of runs "
                    f"left. Is there enough memory for {self.workers} at once? Take fewer workers; what was done is kept."
                )
            hopeless = {place for place in fallen if deaths[place] >= _MOST_DEATHS}
            left = _without(left, hopeless, opened)

    def _until_a_death(self, job: Job, left: list[RunGroup]) -> Generator[int, None, bool]:
        """Execute groups, which leave the list when they are done; returns whether all were, or a worker died before."""
        pool = ProcessPoolExecutor(
            min(self.workers, len(left)), multiprocessing.get_context("spawn"), _open, (job, os.getpid())
        )
        processes: Sequence[BaseProcess] = ()
        try:
            with _no_interrupts():
                futures: dict[Future[int], RunGroup] = {pool.submit(_execute, group): group for group in left}
                processes = list((pool._processes or {}).values())
            for future in as_completed(futures):
                done = future.result()
                left.remove(futures[future])
                yield done
        except BrokenProcessPool:
            return False
        finally:
            _stop(pool, processes)
        return True


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for work of any kind, that end with the block, and with this process however it ends."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _belong_to, (os.getpid(),))
    processes: Sequence[BaseProcess] = ()
    try:
        with _no_interrupts():
            for _ in range(workers):
                pool.submit(os.getpid)
            processes = list((pool._processes or {}).values())
        yield pool
    finally:
        _stop(pool, processes)


def _without(groups: list[RunGroup], hopeless: set[Place], opened: OpenJob) -> list[RunGroup]:
    """Record runs as failed at which workers keep dying, and leave them out."""
    kept: list[RunGroup] = []
    with RunStore.open(opened.plan.store, create=True) as store:
        for group in groups:
            lost = [spec for spec in group.specs() if _place(spec) in hopeless]
            for spec in lost:
                record = spec.record(opened.bench.data, opened.bench.threads)
                reason = f"the process that was at it died {_MOST_DEATHS} times; is there enough memory?"
                opened.keep(outcome(record, status="failed", reason=reason), store)
            targets = tuple(spec.target for spec in group.specs() if spec not in lost)
            kept += [replace(group, targets=targets)] if targets else []
    return kept


def _place(spec: RunSpec) -> Place:
    return spec.setup.name, spec.source, spec.target, spec.seed


def _stop(pool: ProcessPoolExecutor, processes: Sequence[BaseProcess]) -> None:
    """End the workers: what they have not finished they clear away, or are killed."""
    pool.shutdown(wait=False, cancel_futures=True)
    deadline = time.monotonic() + _PATIENCE
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(timeout=max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Processes that are started inside never hear of an interrupt, which a terminal sends to all: it is for their parent.

    The parent hears of it at the end of the block, for a process whose start is cut short would complain. Blocking alone does
    not see to that: the interrupt comes by any other thread then.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread() and handler is not None
    if in_main:
        signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if in_main:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _open(job: Job, parent: int) -> None:
    """Prepare a worker: pick a GPU, read plan and data, and end when the parent is gone or asks for it."""
    global _opened
    _belong_to(parent)
    place = multiprocessing.current_process()._identity
    if place and "CUDA_VISIBLE_DEVICES" not in os.environ:
        import torch

        if (count := torch.cuda.device_count()) > 0:
            os.environ["CUDA_VISIBLE_DEVICES"] = str((place[0] - 1) % count)
    try:
        _opened = job.open()
    except TaskWebError as fault:
        _opened = fault


def _end(_signal: int, _frame: FrameType | None) -> None:
    if _opened is None:
        os._exit(1)  # nothing to clear away yet
    sys.exit(1)


def _belong_to(parent: int) -> None:
    """Let this process end when its parent is gone, or asks for it."""
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _execute(group: RunGroup) -> int:
    if isinstance(_opened, TaskWebError):
        raise _opened
    assert _opened is not None
    try:
        return _opened.execute(group)
    except SystemExit:
        os._exit(1)  # all is cleared away; the pool would go on with the next group
