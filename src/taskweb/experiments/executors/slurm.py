"""Slurm: an array of jobs does the runs, and this process, the owner, stores their outcomes.

Jobs are plain `taskweb run PLAN --worker FOLDER` commands. They and the owner meet in one folder beside the store (`spool`). If
the owner is killed, jobs go on, and the next owner takes them over.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import ParameterError, TaskWebError
from taskweb.experiments.executors import slurm_commands as slurm
from taskweb.experiments.executors.base import Job, OpenJob
from taskweb.experiments.executors.pieces import piece_of, work_of_piece
from taskweb.experiments.executors.slurm_jobs import RunId, WorkerJobs, end_jobs
from taskweb.experiments.heartbeats import workers_in
from taskweb.experiments.specs import FusedGroups, RunSpec, Work, outcome
from taskweb.experiments.spool import Piece, Spool
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore

_SECONDS_BETWEEN_COLLECTIONS = 1.0


@dataclass(frozen=True, slots=True)
class SlurmExecutor:
    """workers: jobs at once. gpus: whole GPUs of each. options: of sbatch, as `key=value`. looks: seconds between questions to
    Slurm about the jobs.
    """

    workers: int = 2
    gpus: float = 0.0
    options: tuple[str, ...] = ()
    looks: float = 15.0

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ParameterError(f"The number of workers must be at least 1. Got {self.workers} instead.")
        if self.gpus < 0 or self.gpus != int(self.gpus):
            raise ParameterError(f"With Slurm, a worker has whole GPUs: 0, 1, 2, ... Got {self.gpus:g} instead.")
        slurm.options_of(self.options)

    @property
    def workers_here(self) -> int:
        """See Executor."""
        return 0

    @property
    def uses_gpus(self) -> bool:
        """Whether each worker has a GPU."""
        return self.gpus > 0 or slurm.wants_gpus(slurm.options_of(self.options))

    def run(self, job: Job, work: Sequence[Work]) -> Generator[int, None, None]:
        """See Executor. Jobs of an owner that was killed are taken over where the plan is still the same."""
        opened = job.open()
        with opened.open_store() as store:
            owner = _Owner(self, job.plan_path, opened, store)
            owner.take_over()
            try:
                owner.begin(work)
                yield from owner.work()
            finally:
                owner.end()


class _Owner:
    """The process that offers work and stores outcomes."""

    def __init__(self, executor: SlurmExecutor, plan_path: Path, opened: OpenJob, store: RunStore) -> None:
        self.opened, self.store, self.executor = opened, store, executor
        self.spool = Spool.beside(opened.plan.store)
        self.identity = _identity(plan_path)
        self.jobs = WorkerJobs(self.spool, executor, plan_path.absolute(), opened.plan.threads)
        self.pieces: dict[int, Piece] = {}
        self.stored: set[str] = set()
        self.number = 0
        self.looked = float("-inf")

    def take_over(self) -> None:
        """Go on with what an earlier owner left, if the plan is the same. Raises TaskWebError where there is no Slurm."""
        slurm.require()
        known = self.spool.facts() if self.spool.exists else {}
        if known.get("plan") == self.identity:
            self.jobs.take_over(known["jobs"])
        elif known:
            end_earlier_jobs(self.spool)
            self._collect()
            self.spool.remove()
        self.spool.create()
        self.spool.start()

    def begin(self, work: Sequence[Work]) -> None:
        """Offer the work that no worker has or can take yet.

        Pieces are read before outcomes: what a worker finishes in between would be missing in both, and be done again.
        """
        self.pieces = {piece.number: piece for piece in self.spool.unfinished()}
        self.number = max(self.pieces, default=-1) + 1
        self._collect()
        missing = [found for piece in work if (found := self.opened.missing_of(piece, self.store)) is not None]
        wanted = {self._key(spec) for piece in missing for spec in piece.specs()}
        for piece in list(self.pieces.values()):
            if not wanted & set(piece.keys):
                del self.pieces[piece.number]
                self.spool.withdraw(piece)
            wanted -= set(piece.keys)
        for found in missing:
            self._offer(found.keeping(lambda spec: self._key(spec) in wanted))

    def work(self) -> Generator[int, None, None]:
        """Store outcomes and keep jobs going until all work is done, or the budget is spent. Yields the runs stored."""
        while True:
            if stored := self._collect():
                yield stored
            if self.opened.budget.is_spent(self.store):
                self.spool.stop()
            if not self.pieces or (self.spool.is_stopped and not self.spool.taken()):
                return
            if time.monotonic() - self.looked >= self.executor.looks:
                if failed := self._look():
                    yield failed
                self.looked = time.monotonic()
            time.sleep(min(_SECONDS_BETWEEN_COLLECTIONS, self.executor.looks))

    def end(self) -> None:
        """End all jobs, store what they leave, and remove the folder if no job is left."""
        if not self.spool.exists:
            return
        with suppress(slurm.SlurmError):
            if self.jobs.end():
                self._collect()
                self.spool.remove()

    def _look(self) -> int:
        """See to it that there are enough jobs, and put back what dead ones had. Returns how many runs failed with them."""
        lost = self.jobs.look()
        failed = sum(self._fail(run, reason) for run, reason in lost.failing.items())  # first: else a job takes them again
        for taken, run in lost.taken:
            if run is not None and taken.piece.fused and self.spool.take_back(taken):
                self._offer_apart(self.pieces.pop(taken.piece.number, taken.piece))
            else:
                self.spool.give_back(taken)
        if not self.spool.is_stopped:
            self.jobs.submit_missing(len(self.pieces))
        self.spool.note({"plan": self.identity, "jobs": sorted(self.jobs.numbers), "seen": time.time(), **self.jobs.queue()})
        return failed

    def _collect(self) -> int:
        """Store the outcomes that are there, and return how many are new."""
        new = 0
        for run in self.spool.outcomes(self.stored):
            self._save(run)
            new += 1
        for number, keys in list(self.spool.finished()):
            if self.stored.issuperset(keys):  # else a file server shows some of them later
                piece = self.pieces.pop(number, None)
                self.spool.forget(number)
                is_whole = piece is None or self.stored.issuperset(piece.keys)
                if piece is not None and not is_whole and not self.spool.is_stopped:  # damaged outcomes: done again
                    left = work_of_piece(piece, self.opened).keeping(lambda spec: self._key(spec) not in self.stored)
                    self._offer(left)
        return new

    def _save(self, run: Run) -> None:
        self.opened.save(run, self.store)
        self.stored.add(run.key)
        self.jobs.deaths[None] = 0

    def _offer(self, work: Work | None) -> None:
        if work is not None:
            piece = piece_of(self.number, work, self.opened)
            self.number += 1
            self.pieces[piece.number] = piece
            self.stored.difference_update(piece.keys)  # failed ones that are tried again
            self.spool.offer(piece)

    def _offer_apart(self, piece: Piece) -> None:
        """Offer runs that shared passes group by group, so that it shows which one is at fault."""
        left = work_of_piece(piece, self.opened).keeping(lambda spec: self._key(spec) not in self.stored)
        for group in left.groups if isinstance(left, FusedGroups) else ():
            self._offer(group)

    def _fail(self, run: RunId, reason: str) -> int:
        """Store a failed outcome in the place of the workers that cannot, and leave it for those that go on with the piece.

        Returns how many there are: none where the run is done by now.
        """
        setup, source, target, seed = run
        for piece in self.pieces.values():
            if any(own[:3] == (setup, source, seed) and target in own[3] for own in piece.groups):
                for spec in work_of_piece(piece, self.opened).specs():
                    key = self._key(spec)
                    if (spec.setup.name, spec.source, spec.target, spec.seed) == run and key not in self.stored:
                        failed = outcome(self.opened.runner.record_of(spec), status="failed", reason=reason)
                        self.spool.hand_over(piece, failed)
                        self._save(failed)
                        return 1
        return 0

    def _key(self, spec: RunSpec) -> str:
        return self.opened.runner.record_of(spec).key


def end_earlier_jobs(spool: Spool) -> None:
    """End the jobs of an earlier owner. Raises TaskWebError where that is not possible."""
    jobs = spool.facts().get("jobs", [])
    try:
        ended = not jobs or end_jobs(jobs)
    except slurm.SlurmError as error:
        if not workers_in(spool.heartbeats):
            return
        raise TaskWebError(f"Slurm jobs of an earlier run are still at work, and cannot be ended here: {error}") from None
    if not ended:
        raise TaskWebError(f"The Slurm jobs {', '.join(jobs)} of an earlier run do not end. Run this again in some minutes.")


def settle_earlier_jobs(store: Path, replace_failed: bool) -> None:
    """End the jobs of an earlier Slurm executor on a store, and store their outcomes. Raises TaskWebError where jobs go on."""
    spool = Spool.beside(store)
    if spool.exists:
        spool.require_own()
        end_earlier_jobs(spool)
        store_spooled(store, replace_failed)
        spool.remove()


def store_spooled(store: Path, replace_failed: bool) -> None:
    """Store the outcomes that jobs left for an owner that was killed."""
    spool = Spool.beside(store)
    if spool.exists:
        spool.require_own()
        with RunStore.open(store, create=True) as opened:
            opened.add_many(spool.outcomes(), replace_failed=replace_failed)


def _identity(plan_path: Path) -> str:
    """What makes the jobs of an earlier owner those of this one: the place and the content of the plan."""
    return hashlib.sha256(str(plan_path.absolute()).encode() + b"\0" + plan_path.read_bytes()).hexdigest()
