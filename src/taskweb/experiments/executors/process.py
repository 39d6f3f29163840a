"""Several processes on one machine, each with a model of its own; the store is what they share."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from taskweb.errors import ParameterError, TaskWebError
from taskweb.experiments.executors.base import Job, OpenJob
from taskweb.experiments.specs import RunGroup

_MOST_DEATHS = 3
_opened: OpenJob | None = None


@dataclass(frozen=True, slots=True)
class ProcessExecutor:
    """workers: number of processes. Each worker gets the GPUs there are in turn, where there are any."""

    workers: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ParameterError(f"The number of workers must be at least 1. Got {self.workers} instead.")

    def run(self, job: Job, groups: Sequence[RunGroup]) -> Iterator[int]:
        """See Executor. Groups of a worker that died are given to others, at most _MOST_DEATHS times."""
        left = list(groups)
        for _ in range(_MOST_DEATHS):
            pool = ProcessPoolExecutor(
                min(self.workers, max(1, len(left))), multiprocessing.get_context("spawn"), _open, (job, os.getpid())
            )
            futures: dict[Future[int], RunGroup] = {}
            try:
                futures = {pool.submit(_execute, group): group for group in left}
                for future in as_completed(futures):
                    done = future.result()
                    left.remove(futures[future])
                    yield done
                return
            except BrokenProcessPool:
                continue
            finally:
                _stop(pool)
        raise TaskWebError(
            f"Worker processes died {_MOST_DEATHS} times, with {len(left)} groups of runs left. Is there enough memory for "
            f"{self.workers} at once? Take fewer workers; what was done is kept."
        )


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers at once: what they have not finished leaves nothing behind."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(timeout=5)


def _open(job: Job, parent: int) -> None:
    """Prepare a worker: pick a GPU, read plan and data, and end when the parent is gone."""
    global _opened
    place = multiprocessing.current_process()._identity
    if place and "CUDA_VISIBLE_DEVICES" not in os.environ:
        import torch

        if (count := torch.cuda.device_count()) > 0:
            os.environ["CUDA_VISIBLE_DEVICES"] = str((place[0] - 1) % count)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _opened = job.open()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _execute(group: RunGroup) -> int:
    assert _opened is not None
    return _opened.execute(group)
