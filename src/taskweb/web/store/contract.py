"""The contract of every collection of runs, and the reports that it gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Protocol

from taskweb.web.records.run import Run
from taskweb.web.records.run_table import RunTable


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store contains.

    by_status: number of runs for every status, also 0. seeds: distinct known seeds.
    """

    runs: int
    by_status: Mapping[str, int]
    baselines: int
    setups: tuple[str, ...]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """One run that two stores know differently.

    key: of the run. run: what it is, for people. own, given: status and metrics in this store, and in the other one.
    """

    key: str
    run: str
    own: str
    given: str

    @classmethod
    def between(cls, own: Run, given: Run) -> MergeConflict:
        """The conflict of two runs with the same key."""
        source = "baseline" if own.source is None else own.source
        seed = f"seed {own.seed}" if own.seed is not None else f"repetition {own.replicate + 1}"
        return cls(own.key, f"{own.setup.name}, {source} -> {own.target}, {seed}", _outcome(own), _outcome(given))

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.run}: {self.own} here, {self.given} there"


def _outcome(run: Run) -> str:
    if run.status != "finished":
        return run.status
    return ", ".join(f"{metric} {'none' if value is None else f'{value:.6g}'}" for metric, value in sorted(run.metrics.items()))


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What happened to the runs of another store.

    added: runs stored, new or in place of a failed one. already_there: runs that were stored before with the same outcome.
    conflicts: runs stored before with another status or other metrics; the runs of this store are unchanged.
    """

    added: int
    already_there: int
    conflicts: tuple[MergeConflict, ...]


class RunCollection(Protocol):
    """Permanently stored runs, each once, identified by `Run.key`.

    Identity: a run is stored under its key and never changed, with one exception: with `replace_failed`, a finished run
    replaces an unfinished one (failed, diverged) with the same key. Storing a known run again is no error and does nothing.
    Durability: when `add` or `add_many` returns, the runs are on disk, also if the process dies. `add_many` stores in batches,
    in order, each completely or not at all; when it raises, the batches before stay stored.
    Processes: any number on one machine may read and write at once; writers wait for each other. A file on a network drive may
    be used by one machine at a time; other machines write stores of their own, which `merge` combines.
    Threads: a collection belongs to the thread and the process that opened it; open another one elsewhere, also after a fork.
    Ownership: records are passed by value; changing a mapping of a record afterwards changes nothing that is stored.
    Streams: `runs` and `keys` read in chunks without a lock in between; runs stored meanwhile may or may not appear.
    Errors: InputError where the file cannot be used, WebError where its contents cannot be used or the disk is full,
    ParameterError for a run that cannot be stored. The collection can still be used after an error.
    """

    def __len__(self) -> int:
        """Number of runs."""
        ...

    def __contains__(self, key: object) -> bool:
        """Whether a run of that key is stored, with any status."""
        ...

    def add(self, run: Run) -> bool:
        """Store one run; False where its key is stored already."""
        ...

    def add_many(self, runs: Iterable[Run], *, replace_failed: bool = False) -> int:
        """Store runs; return how many were stored, new or, with `replace_failed`, in place of an unfinished one."""
        ...

    def get(self, key: str) -> Run | None:
        """The run of that key, None where there is none."""
        ...

    def keys(self) -> Iterator[str]:
        """The keys of all runs, in the order in which they were first stored."""
        ...

    def runs(
        self,
        *,
        setup: str | None = None,
        target: str | None = None,
        source: str | EllipsisType | None = ...,
        status: str | None = None,
    ) -> Iterator[Run]:
        """The runs that match, in the order in which they were first stored; source=None selects baselines."""
        ...

    def remove(self, keys: Iterable[str]) -> int:
        """Delete the runs with these keys; return how many there were."""
        ...

    def run_table(self, keys: Collection[str] | None = None) -> RunTable:
        """All runs as columns, or those with these keys, ready to be scored; those that did not finish have no score."""
        ...

    def info(self) -> StoreInfo:
        """Numbers and names of what is stored."""
        ...

    def merge(self, other: RunCollection, *, replace_failed: bool = False) -> MergeReport:
        """Store the runs of another collection; where the two disagree, those of this one stay."""
        ...

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        ...

    def check(self) -> list[str]:
        """Problems of the store, one sentence each; empty where there are none."""
        ...
