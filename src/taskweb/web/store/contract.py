"""What every collection of runs promises, and the reports it gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Protocol

from taskweb.web.records.run import Run
from taskweb.web.records.run_table import RunTable


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store holds.

    by_status: number of runs by status, every status named. seeds: distinct known seeds.
    """

    runs: int
    by_status: Mapping[str, int]
    baselines: int
    setups: tuple[str, ...]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What became of the runs of another store.

    added: runs stored, new or in place of a failed one. already_there: runs that were known with the same outcome.
    conflicts: keys known with another status or other metrics; the runs of this store were kept.
    """

    added: int
    already_there: int
    conflicts: tuple[str, ...]


class RunCollection(Protocol):
    """Runs kept for good, each once, named by `Run.key`.

    Identity: a run is stored under its key and never changed, but for an unfinished one (failed, diverged) that a finished
    run of the same key replaces when asked to. Storing a known run again is no error and does nothing.
    Durability: when `add` or `add_many` returns, the runs are on disk and outlive the death of the process. `add_many` stores
    in batches, in order, each whole or not at all; when it raises, the batches before stay stored.
    Processes: any number on one machine may read and write at once; a writer waits for its turn. A file on a network drive
    has one machine at a time; other machines write stores of their own, which `merge` brings together.
    Threads: a collection belongs to the thread and the process that opened it; open another one elsewhere, also after a fork.
    Ownership: records are handed in and out by value; changing a mapping of a record afterwards changes nothing stored.
    Streams: `runs` and `keys` read in chunks and hold no lock in between; what is stored meanwhile may or may not appear.
    Errors: InputError where the file cannot be used as given, WebError where what it holds does not do or the disk is full,
    ParameterError for a run that cannot be stored. After an error the collection can be used on.
    """

    def __len__(self) -> int:
        """Number of runs."""
        ...

    def __contains__(self, key: object) -> bool:
        """Whether a run of that key is stored, whatever its status."""
        ...

    def add(self, run: Run) -> bool:
        """Store one run; False where its key is known."""
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
        """The runs that match, in the order in which they were first stored; source=None asks for baselines."""
        ...

    def remove(self, keys: Iterable[str]) -> int:
        """Forget the runs of these keys; return how many there were."""
        ...

    def run_table(self) -> RunTable:
        """All runs as columns, ready to be scored; those that did not finish have no score."""
        ...

    def info(self) -> StoreInfo:
        """What is stored, in numbers and names."""
        ...

    def merge(self, other: RunCollection, *, replace_failed: bool = False) -> MergeReport:
        """Store the runs of another collection; those of this one are kept where the two disagree."""
        ...

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        ...

    def check(self) -> list[str]:
        """What is wrong with what is stored, a sentence each; empty where all is well."""
        ...
