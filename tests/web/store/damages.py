"""Random damage to the files of a store, and whether whoever reads it then sees other figures than before.

python -m tests.web.store.damages COUNT [FIRST SEED] prints a table of kinds and outcomes.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import TaskWebError
from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.scores import score_runs
from taskweb.web.store import RunStore
from tests.damage import KINDS
from tests.web.store.made_up import content, made_up_run

RUNS = 240
IN_LOG = 60  # of them only in the write-ahead log, where there is one
SETUPS = (SetupRecord("t5s/finetune"), SetupRecord("gpt2m/lora", hyperparameters={"rank": 8}))
NEW, ABSENT = made_up_run(40_000), made_up_run(50_000)


def stored_run(number: int) -> Run:
    """A run with several metrics and some details; every 20th failed."""
    failed = number % 20 == 7
    return made_up_run(
        number // 2 * 7,
        setup=SETUPS[number % 2],
        metrics={} if failed else {"accuracy": number / 1000, "f1": 0.9 - number / 1000},
        status="failed" if failed else "finished",
        reason="out of memory" if failed else None,
        history=tuple({"step": step, "loss": 1 / (step + number + 1)} for step in range(number % 5)),
    )


@dataclass(frozen=True)
class Original:
    """A store as it was written: its files by name, and what a reader gets of it."""

    files: Mapping[str, bytes]
    read: Mapping[str, Any]
    runs: Mapping[str, Any]


def original(folder: Path, *, with_log: bool) -> Original:
    """Make a store, and keep its files; with_log: as they are while a process has it open."""
    path = folder / "runs.db"
    runs = [stored_run(number) for number in range(RUNS)]
    RunStore.open(path, create=True).close()
    with RunStore.open(path) as store:
        store.add_many(runs[:-IN_LOG])
    with RunStore.open(path) as store:
        for start in range(RUNS - IN_LOG, RUNS, 6):
            store.add_many(runs[start : start + 6])
        if with_log:
            files = files_of(folder)
    if not with_log:
        files = files_of(folder)
    return Original(files, {name: read(path) for name, read in READINGS.items()}, {run.key: content(run) for run in runs})


def files_of(folder: Path) -> dict[str, bytes]:
    """What a copy of a store contains; other processes make the index of the log anew."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}


def _opened(path: Path, read: Callable[[RunStore], Any]) -> Any:
    with RunStore.open(path, read_only=True) as store:
        return read(store)


def _scores(path: Path) -> Any:
    web = _opened(path, lambda store: score_runs(store.run_table(), "web"))
    arrays = (web.t, web.pc, web.score, web.baseline, web.n_seeds)
    return web.setups, web.targets, web.sources, web.notes, [None if array is None else array.tobytes() for array in arrays]


def _added(path: Path) -> Any:
    """What is there after a further run was stored."""
    with RunStore.open(path) as store:
        store.add(NEW)
    return _opened(path, lambda store: sorted((run.key, str(content(run))) for run in store.runs()))


# What a person, a plan or a ranking reads of a store. The last one writes.
READINGS: dict[str, Callable[[Path], Any]] = {
    "scores": _scores,
    "one": lambda path: _opened(path, lambda store: content(store.get(stored_run(11).key))),
    "another": lambda path: _opened(path, lambda store: content(store.get(stored_run(RUNS - 1).key))),
    "absent": lambda path: _opened(path, lambda store: (store.get(ABSENT.key), ABSENT.key in store)),
    "records": lambda path: _opened(path, lambda store: [(run.key, str(content(run))) for run in store.runs()]),
    "some": lambda path: _opened(path, lambda store: [run.key for run in store.runs(target="task4", status="finished")]),
    "outcomes": lambda path: _opened(path, lambda store: store.outcomes()),
    "keys": lambda path: _opened(path, lambda store: (len(store), list(store.keys()))),
    "info": lambda path: _opened(path, lambda store: store.info()),
    "added": _added,
}


@dataclass(frozen=True)
class Trial:
    """One damage. where: the file. outcome: same, found, silent or traceback. what: the reading at fault, and how it failed."""

    kind: str
    where: str
    outcome: str
    what: str = ""


def trial(seed: int, stores: Mapping[str, Original], folder: Path) -> Trial:
    """Damage a store in the way of that seed, and read it in every way."""
    draw = random.Random(seed)
    where = draw.choice(["main", "main", "log"])
    store = stores["with log" if where == "log" or draw.random() < 0.3 else "closed"]
    kind = draw.choice(list(KINDS))
    name = "runs.db-wal" if where == "log" else "runs.db"
    damaged = bytearray(store.files[name])
    KINDS[kind](damaged, draw)
    if bytes(damaged) == store.files[name]:
        return Trial(kind, where, "same")
    files = {**store.files, name: bytes(damaged)}
    found = False
    for reading, read in READINGS.items():
        put(files, folder)  # every reader finds the files as the damage left them
        try:
            got = read(folder / "runs.db")
        except TaskWebError as fault:
            if "\n" in str(fault):
                return Trial(kind, where, "traceback", f"{reading}: a message of several lines")
            found = True
        except Exception as fault:  # noqa: BLE001 - what is looked for
            return Trial(kind, where, "traceback", f"seed {seed}, {reading}: {type(fault).__name__}: {fault}")
        else:
            if got != store.read[reading]:
                return Trial(kind, where, "silent", f"seed {seed}, {reading}")
    return check_rescue(seed, Trial(kind, where, "found" if found else "same"), files, store, folder)


def put(files: Mapping[str, bytes], folder: Path) -> None:
    """Empty a folder, and write these files."""
    for file in folder.iterdir():
        file.unlink()
    for name, whole in files.items():
        (folder / name).write_bytes(whole)


def check_rescue(seed: int, found: Trial, files: Mapping[str, bytes], store: Original, folder: Path) -> Trial:
    """Whether what is saved of a damaged store was there before, and a store whose damage was found has problems to show."""
    put(files, folder)
    try:
        with RunStore.open(folder / "runs.db", read_only=True) as damaged:
            problems, saved = damaged.check(), {run.key: content(run) for run in damaged.salvage()}
    except TaskWebError:
        return found
    except Exception as fault:  # noqa: BLE001
        return Trial(found.kind, found.where, "traceback", f"seed {seed}, rescue: {type(fault).__name__}: {fault}")
    if not saved.items() <= store.runs.items():
        return Trial(found.kind, found.where, "silent", f"seed {seed}, rescue: other runs than were stored")
    if found.outcome == "found" and not problems:
        return Trial(found.kind, found.where, "silent", f"seed {seed}, rescue: no problem to show")
    return found


def campaign(count: int, first: int = 0) -> list[Trial]:
    """That many damages, each of a seed of its own."""
    with tempfile.TemporaryDirectory() as name:
        folders = {kind: Path(name) / kind for kind in ("closed", "with log")}
        for folder in folders.values():
            folder.mkdir()
        stores = {kind: original(folder, with_log=kind == "with log") for kind, folder in folders.items()}
        place = Path(name) / "damaged"
        place.mkdir()
        trials = [trial(seed, stores, place) for seed in range(first, first + count)]
        shutil.rmtree(place)
    return trials


def main() -> None:
    trials = campaign(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    counts = Counter((one.where, one.kind, one.outcome) for one in trials)
    for where, kind in sorted({(one.where, one.kind) for one in trials}):
        row = {outcome: counts[where, kind, outcome] for outcome in ("same", "found", "silent", "traceback")}
        sys.stdout.write(f"{where:5} {kind:14} {row}\n")
    sys.stdout.write(f"in all {dict(Counter(one.outcome for one in trials))}\n")
    for one in [one for one in trials if one.what][:40]:
        sys.stdout.write(f"  {one.where} {one.kind} {one.outcome}: {one.what[:200]}\n")


if __name__ == "__main__":
    main()
