"""A folder beside the store by which one process, the owner, shares work with others that see the same folder.

A worker takes a piece of work by renaming its file, which only one can, and leaves an outcome as one file per run. The owner
alone writes the store. So workers need no lock, no database and no connection, and any of them may die at any moment: what it
took is put back, and outcomes stay until the owner has stored them.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.experiments.file_locks import json_files
from taskweb.experiments.run_files import read_record, read_run, write_lightly, write_record, write_run
from taskweb.tasks.atomic import cannot_write
from taskweb.web.records.run import Run

_FOLDERS = ("work", "taken", "outcomes", "done", "ended", "running", "logs")
_SECONDS_OF_FACTS = 120.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Work for one worker. most: trainings at once, for groups that share passes. groups: setup, source, seed and targets of
    each. keys: of all runs.
    """

    number: int
    groups: tuple[tuple[str, str | None, int, tuple[str, ...]], ...]
    keys: tuple[str, ...]
    fused: bool = False
    most: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        groups = [[setup, source, seed, list(targets)] for setup, source, seed, targets in self.groups]
        return {"number": self.number, "groups": groups, "keys": list(self.keys), "fused": self.fused, "most": self.most}


@dataclass(frozen=True, slots=True)
class Taken:
    """A piece that a worker has taken, and the file that says so."""

    piece: Piece
    worker: str
    file: Path


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended by itself. run: setup, source, target and seed of the run that it was stopped in, if any.

    resumes: whether a checkpoint of that run shows that it gets on. fault: why the worker cannot work at all.
    """

    run: tuple[str, str | None, str, int] | None = None
    resumes: bool = False
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Spool:
    """The folder of one store. No other user may read or write it, and no other user's folder is used."""

    folder: Path

    @classmethod
    def beside(cls, store: Path) -> Spool:
        """The folder of a store, whether it exists or not."""
        return cls(store.absolute().with_name(store.name + ".slurm"))

    @property
    def exists(self) -> bool:
        """Whether there is such a folder."""
        return self.folder.is_dir()

    @property
    def heartbeats(self) -> Path:
        """The folder of the workers' heartbeats."""
        return self.folder / "running"

    @property
    def logs(self) -> Path:
        """The folder of what workers print."""
        return self.folder / "logs"

    def create(self) -> None:
        """Make the folder where there is none. Raises InputError where that is impossible, or it belongs to somebody else."""
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self.require_own()
            for name in _FOLDERS:
                (self.folder / name).mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from None

    def require_own(self) -> None:
        """Raise InputError where the folder is missing, or belongs to another user, who could put anything into it."""
        try:
            found = self.folder.lstat()
        except OSError:
            raise InputError(f"There is no folder {self.folder} here. Put the store where all nodes see it.") from None
        if self.folder.is_symlink() or (hasattr(os, "getuid") and found.st_uid != os.getuid()) or found.st_mode & 0o077:
            raise InputError(f"Others can write to {self.folder}, or it is theirs. Remove it, then run this again.")

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the owner ----------------------------------------------------------------------------------------------------

    def note(self, facts: Mapping[str, Any]) -> None:
        """Keep facts for the next owner and for those who look on."""
        write_record(self.folder / "state.json", facts)

    def facts(self) -> dict[str, Any]:
        """The facts that were kept; none where there are none."""
        return read_record(self.folder / "state.json") or {}

    def offer(self, piece: Piece) -> None:
        """Put a piece where workers take it from. Raises InputError where that is impossible."""
        try:
            write_lightly(self.folder / "work" / f"{piece.number:08}.json", piece.to_dict())
        except OSError as error:
            raise cannot_write(self.folder, error) from None

    def offered(self) -> list[Piece]:
        """The pieces that no worker has taken."""
        return [piece for file in json_files(self.folder / "work") if (piece := _piece_in(file)) is not None]

    def unfinished(self) -> list[Piece]:
        """The pieces that workers have or may take. One that a worker gives back or takes meanwhile is among them."""
        found = [*self.offered(), *(own.piece for own in self.taken()), *self.offered()]
        return list({piece.number: piece for piece in found}.values())

    def count_offered(self) -> int:
        """How many pieces no worker has taken."""
        return len(json_files(self.folder / "work"))

    def withdraw(self, piece: Piece) -> None:
        """Let no worker take a piece any more."""
        (self.folder / "work" / f"{piece.number:08}.json").unlink(missing_ok=True)

    def taken(self) -> list[Taken]:
        """The pieces that workers have."""
        found = ((file, _piece_in(file)) for file in json_files(self.folder / "taken"))
        return [Taken(piece, file.name.split(".")[1], file) for file, piece in found if piece is not None]

    def take_back(self, taken: Taken) -> bool:
        """Take a piece from a dead worker; False where it was given back or done meanwhile."""
        try:
            taken.file.unlink()
        except FileNotFoundError:
            return False
        return True

    def outcomes(self, known: Collection[str] = ()) -> Iterator[Run]:
        """The outcomes of pieces that are not finished, without those of known keys. Damaged ones are left out: done again."""
        for folder in _folders_in(self.folder / "outcomes"):
            for file in json_files(folder):
                if file.stem not in known and (run := read_run(file)) is not None and run.key == file.stem:
                    yield run

    def finished(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The numbers of finished pieces, and the keys of the outcomes that their workers left."""
        for file in json_files(self.folder / "done"):
            if (found := read_record(file)) is not None:
                yield int(file.stem), tuple(found["keys"])

    def forget(self, number: int) -> None:
        """Remove what is left of a piece whose outcomes are stored: no worker takes it again."""
        for file in json_files(self.folder / "taken"):  # of one that ended before it could do so itself
            if file.name.startswith(f"{number:08}."):
                file.unlink(missing_ok=True)
        (self.folder / "work" / f"{number:08}.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "outcomes" / f"{number:08}", ignore_errors=True)
        (self.folder / "done" / f"{number:08}.json").unlink(missing_ok=True)

    def endings(self) -> dict[str, Ending]:
        """How workers ended that did so by themselves, by their names."""
        found = {file.stem: read_record(file) for file in json_files(self.folder / "ended")}
        return {
            worker: Ending(tuple(own["run"]) if own["run"] else None, own["resumes"], own["fault"])
            for worker, own in found.items()
            if own is not None
        }

    def forget_worker(self, worker: str) -> None:
        """Remove what a worker that has ended left."""
        for name in ("ended", "running"):
            (self.folder / name / f"{worker}.json").unlink(missing_ok=True)

    def start(self) -> None:
        """Let workers start runs."""
        (self.folder / "stop").unlink(missing_ok=True)

    def stop(self) -> None:
        """Let workers start no further run."""
        (self.folder / "stop").touch()

    # --- a worker -----------------------------------------------------------------------------------------------------

    @property
    def is_stopped(self) -> bool:
        """Whether no further run may be started."""
        return not self.exists or (self.folder / "stop").exists()

    def take(self, worker: str) -> Taken | None:
        """Take the first piece that is left; None where there is none."""
        for file in json_files(self.folder / "work"):
            mine = self.folder / "taken" / f"{file.stem}.{worker}.json"
            try:
                file.rename(mine)
            except FileNotFoundError:  # another worker was faster; or a file server did it, but lost its answer
                if not mine.exists():
                    continue
            if (piece := _piece_in(mine)) is not None:
                return Taken(piece, worker, mine)
        return None

    def give_back(self, taken: Taken) -> None:
        """Let another worker go on with a piece, unless it is done: a worker may end between the two steps of `finish`."""
        name = f"{taken.piece.number:08}.json"
        with suppress(FileNotFoundError):
            if (self.folder / "done" / name).exists():
                taken.file.unlink()
            else:
                taken.file.rename(self.folder / "work" / name)

    def known(self, piece: Piece) -> set[str]:
        """The keys of a piece's runs that have an outcome."""
        files = json_files(self.folder / "outcomes" / f"{piece.number:08}")
        return {run.key for file in files if (run := read_run(file)) is not None and run.key == file.stem}

    def hand_over(self, piece: Piece, run: Run) -> None:
        """Leave an outcome for the owner. Raises InputError where it cannot be written."""
        try:
            write_run(self.folder / "outcomes" / f"{piece.number:08}", run)
        except OSError as error:
            raise cannot_write(self.folder, error) from None

    def finish(self, taken: Taken) -> None:
        """Say that a piece is done, and which outcomes there are."""
        keys = sorted(self.known(taken.piece))
        write_record(self.folder / "done" / f"{taken.piece.number:08}.json", {"keys": keys})
        taken.file.unlink(missing_ok=True)

    def end(self, worker: str, ending: Ending) -> None:
        """Say that a worker ends, and how."""
        with suppress(InputError, OSError):
            record = {"run": ending.run and list(ending.run), "resumes": ending.resumes, "fault": ending.fault}
            write_record(self.folder / "ended" / f"{worker}.json", record)


def _piece_in(file: Path) -> Piece | None:
    """The piece in a file; None where it is gone or damaged."""
    if (found := read_record(file)) is None:
        return None
    groups = tuple((setup, source, seed, tuple(targets)) for setup, source, seed, targets in found["groups"])
    return Piece(found["number"], groups, tuple(found["keys"]), found["fused"], found["most"])


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def waiting_jobs(store: Path) -> tuple[int, str]:
    """How many jobs wait in a cluster's queue, and why, as the owner saw within the last two minutes; 0 where there is none."""
    spool = Spool.beside(store)
    facts = spool.facts()
    if time.time() - facts.get("seen", 0.0) > _SECONDS_OF_FACTS:
        return 0, ""
    begun = len(json_files(spool.heartbeats))  # perhaps since
    return max(0, min(facts["waiting"], facts["known"] - begun)), facts["reason"]
