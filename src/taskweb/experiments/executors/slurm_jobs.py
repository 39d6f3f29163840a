"""The jobs of one owner: how many there are, which have died, and in which runs."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from taskweb.errors import TaskWebError
from taskweb.experiments.executors import slurm_commands as slurm
from taskweb.experiments.executors.slurm_worker import WorkerName
from taskweb.experiments.heartbeats import runs_in
from taskweb.experiments.spool import Spool, Taken

_MAX_DEATHS = 3
_MAX_STOPS = 5  # in one run, where no checkpoint showed that it gets on
_MAX_FAULTS = 3  # of Slurm's commands, one after another
_LOOKS_UNTIL_DEAD = 3  # file servers show the last files of a job some seconds later
_SECONDS_TO_END = 60.0

RunId = tuple[str, str | None, str, int]


class JobSettings(Protocol):
    """What jobs are like."""

    @property
    def workers(self) -> int:
        """How many at once."""

    @property
    def gpus(self) -> float:
        """GPUs of each."""

    @property
    def options(self) -> tuple[str, ...]:
        """Options of sbatch, as `key=value`."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What dead jobs leave. taken: their pieces, each with the run that a worker died in, if it did. failing: runs that are not
    tried again, with the reason.
    """

    taken: list[tuple[Taken, RunId | None]] = field(default_factory=list)
    failing: dict[RunId, str] = field(default_factory=dict)


class WorkerJobs:
    """Arrays of jobs that work in one folder."""

    def __init__(self, spool: Spool, settings: JobSettings, plan_path: Path, threads: int) -> None:
        self.spool, self.settings, self.plan_path, self.threads = spool, settings, plan_path, threads
        self.numbers: set[str] = set()
        self.alive: dict[str, slurm.JobState] = {}
        self.vanished: Counter[str] = Counter()
        self.orderly: dict[str, int] = {}  # elements whose worker ended by itself, and how often they had been restarted
        self.deaths: Counter[RunId | None] = Counter()  # None: deaths outside of runs
        self.stops: Counter[RunId] = Counter()
        self.cancelled = self.faults = 0

    def take_over(self, numbers: Iterable[str]) -> None:
        """Go on with the jobs of an earlier owner."""
        self.numbers |= set(numbers)

    def look(self) -> Lost:
        """Ask Slurm about the jobs. Raises TaskWebError where none can work, SlurmError where Slurm has failed repeatedly."""
        lost = Lost()
        taken = self.spool.taken()  # before Slurm is asked: what is taken by jobs that it does not know was taken before
        beats = self._beats()
        seen = {*beats, *(WorkerName.of_text(own.worker).element for own in taken)}
        self.numbers |= {_array_of(element) for element in seen}
        try:
            alive = slurm.look(self.numbers)
        except slurm.SlurmError as error:
            self._tolerate(error)
            return lost
        self.faults = 0
        self._read_endings(lost)
        self._forget_restarted([*(name for names in beats.values() for name in names), *(own.worker for own in taken)])
        dead = self._dead({*self.alive, *seen}, alive)
        for element in dead:
            self._judge(element, beats.get(element, []), lost)
        requeued = {element for element, state in alive.items() if state.waits}
        for own in taken:
            element = WorkerName.of_text(own.worker).element
            if element in dead or element in requeued:
                crashed = element in dead and element not in self.orderly
                lost.taken.append((own, self._run_of(own.worker) if crashed else None))
        for element, workers in beats.items():
            for worker in workers if element in dead or element in requeued else workers[:-1]:
                self.spool.forget_worker(worker)
        self.alive = alive
        self.numbers = {_array_of(element) for element in (*self.alive, *self.vanished)}
        return lost

    def submit_missing(self, pieces: int) -> None:
        """Submit jobs for pieces that no job will take. pieces: that are not done."""
        known = len(self.alive) + len(self.vanished)
        wanted = self.settings.workers - self.cancelled
        if wanted <= 0 and not known:
            raise TaskWebError("All Slurm jobs of this plan were cancelled. The same command continues from here.")
        busy = len({own.worker for own in self.spool.taken()})
        missing = min(wanted - known, pieces - known, self.spool.count_offered() - max(0, known - busy))
        if missing <= 0:
            return
        try:
            number = slurm.submit(self._script(), self._name(), missing, self.spool.logs, self._options())
        except slurm.SlurmError as error:
            self._tolerate(error)
            return
        self.numbers.add(number)
        self.alive |= {f"{number}_{place}": slurm.JobState("PENDING") for place in range(missing)}

    def queue(self) -> dict[str, Any]:
        """How many jobs wait, and why."""
        waiting = [state for state in self.alive.values() if state.waits]
        reason = next((state.reason for state in waiting if state.reason), "")
        return {"known": len(self.alive), "waiting": len(waiting), "reason": reason}

    def end(self) -> bool:
        """End all jobs; whether all have ended."""
        return end_jobs(self.numbers)

    def _beats(self) -> dict[str, list[str]]:
        """The workers that left a heartbeat, by their elements, each the later the newer it is."""
        found: dict[str, list[WorkerName]] = {}
        for file in self.spool.heartbeats.glob("*.json"):
            name = WorkerName.of_text(file.stem)
            found.setdefault(name.element, []).append(name)
        return {own: [str(name) for name in sorted(names, key=lambda name: name.restart)] for own, names in found.items()}

    def _read_endings(self, lost: Lost) -> None:
        """Count how workers ended that did so by themselves."""
        for worker, ending in self.spool.endings().items():
            if ending.fault is not None:
                raise TaskWebError(f"{ending.fault.rstrip('.')} (Slurm job {WorkerName.of_text(worker).element}).")
            name = WorkerName.of_text(worker)
            self.orderly[name.element] = max(name.restart, self.orderly.get(name.element, 0))
            if ending.run is not None and not ending.resumes:
                self.stops[ending.run] += 1
                if self.stops[ending.run] >= _MAX_STOPS:
                    why = f"its job was stopped {_MAX_STOPS} times before it was done or saved a checkpoint; give it more time"
                    lost.failing[ending.run] = f"{why}, with --slurm time="
            self.spool.forget_worker(worker)

    def _forget_restarted(self, workers: Iterable[str]) -> None:
        """How an element ended says nothing once Slurm has started it again: it may die then."""
        for name in map(WorkerName.of_text, workers):
            if name.restart > self.orderly.get(name.element, name.restart):
                del self.orderly[name.element]

    def _dead(self, known: Collection[str], alive: Collection[str]) -> list[str]:
        """Those of the known elements that have ended for good: that Slurm does not list at several looks in a row."""
        dead = []
        for element in alive:
            self.vanished.pop(element, None)
        for element in {*known, *self.vanished} - set(alive):
            self.vanished[element] += 1
            if element in self.orderly or self.vanished[element] >= _LOOKS_UNTIL_DEAD:
                del self.vanished[element]
                dead.append(element)
        return dead

    def _judge(self, element: str, workers: list[str], lost: Lost) -> None:
        """Count the death of a job."""
        state = slurm.endings([element]).get(element, "")
        if state == "CANCELLED":  # by a person, who does not want it to come back
            self.cancelled += 1
        if element in self.orderly or state == "CANCELLED":
            return
        said = f" (Slurm says {state})" if state else ""
        runs = [run for worker in workers for run in self._runs_of(worker)]
        for run in runs:
            self.deaths[run] += 1
            if self.deaths[run] >= _MAX_DEATHS:
                lost.failing[run] = f"the job that executed it died {_MAX_DEATHS} times{said}; is there enough memory and time?"
        self.deaths[None] += not runs
        if self.deaths[None] >= _MAX_DEATHS:
            raise TaskWebError(
                f"Slurm jobs ended {_MAX_DEATHS} times before a run began{said}. {self._last_line()}Finished runs are stored."
            )

    def _run_of(self, worker: str) -> RunId | None:
        return next(iter(self._runs_of(worker)), None)

    def _runs_of(self, worker: str) -> list[RunId]:
        found = runs_in(self.spool.heartbeats / f"{worker}.json")
        return [(run.setup, run.source, run.target, run.seed) for run in found]

    def _last_line(self) -> str:
        """What the newest job said last."""
        logs = sorted(self.spool.logs.glob("*.log"), key=lambda file: file.stat().st_mtime)
        lines = [line for file in logs[-1:] for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
        said = next((line.strip().rstrip(".") for line in reversed(lines) if line.strip()), "")
        return f"The last one said: {said[:200]}. " if said else ""

    def _tolerate(self, error: slurm.SlurmError) -> None:
        """Let a fault of Slurm pass, which may be busy. Raises it where there are no jobs."""
        self.faults += 1
        if not self.numbers or (self.faults >= _MAX_FAULTS and not self.alive):
            raise error

    def _script(self) -> Path:
        """The script that a job runs."""
        command = [sys.executable, "-m", "taskweb", "run", str(self.plan_path), "--worker", str(self.spool.folder)]
        path = self.spool.folder / "worker.sh"
        path.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n", encoding="utf-8")
        return path

    def _name(self) -> str:
        return f"taskweb-{self.plan_path.stem}"

    def _options(self) -> list[str]:
        given = slurm.options_of(self.settings.options)
        own = [f"--cpus-per-task={self.threads}"]
        if self.settings.gpus:
            own.append(f"--gpus-per-node={self.settings.gpus:.0f}")
        return [*own, *given]


def _array_of(element: str) -> str:
    return element.partition("_")[0]


def end_jobs(numbers: Collection[str]) -> bool:
    """Cancel jobs, and wait until they have ended; whether they have. Raises SlurmError."""
    slurm.cancel(numbers)
    deadline = time.monotonic() + _SECONDS_TO_END
    pause = 0.1
    while slurm.look(numbers):
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 5.0)
    return True
