"""Importing, merging, exporting and describing webs: what `taskweb web` does."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from taskweb.errors import InputError
from taskweb.tasks.atomic import whole_file
from taskweb.tasks.spreadsheet_cells import inert
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.formats import Declared, detect_kind, export_runs, import_runs
from taskweb.web.opening import locate_web, open_web
from taskweb.web.published import PUBLISHED
from taskweb.web.store import MergeConflict, MergeReport, RunStore, StoreInfo, digest_file, is_store
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.selector_settings import EncoderSettings
from taskweb.workflows.task_texts import task_texts
from taskweb.workflows.text_banks import is_text_bank, require_place, write_text_bank

_PAIR_NAMES = ("setup", "source", "target")
PAIR_FIGURES = ("pc", "pm", "t", "score", "score_se", "n_seeds", "pc_se", "sign_p")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. read: runs read. added: those that were new. warnings: what a person should know.

    conflicts: runs that the store knew before with other scores, and that were not changed.
    """

    kind: str
    read: int
    added: int
    info: StoreInfo
    warnings: tuple[str, ...]
    conflicts: tuple[MergeConflict, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """What was embedded. texts: vectors written. tasks: of the web, those with vectors. notes: what a person should know."""

    texts: int
    tasks: int
    notes: tuple[str, ...]


def embed_web(
    web: str,
    examples: Path,
    to: Path,
    *,
    limit: int | None = None,
    encoder: EncoderSettings | None = None,
    progress: Progress = silent,
) -> EmbeddedTexts:
    """Write the vectors of the texts of a web's tasks into a folder that stands for them from then on.

    limit: most examples of a task; None takes `examples_per_task`. Raises InputError, WebError and EncoderError.
    """
    if is_text_bank(examples):
        raise InputError(f"{examples} contains vectors already. Give --examples DIR with <task>.jsonl files.")
    require_place(to)
    embedder = (encoder or EncoderSettings()).embedder()
    found = task_texts(open_web(web), examples, embedder, limit=limit, progress=progress)
    assert found.bank is not None
    write_text_bank(ExampleBank(found.bank.vectors, embedder.public_stamp), to)
    vectors = found.bank.vectors.values()
    return EmbeddedTexts(sum(map(len, vectors)), len(vectors), (*found.notes, *found.encoder_notes))


def import_web(
    source: Path,
    store: Path,
    *,
    kind: str | None = None,
    units: Mapping[str, str] | None = None,
    baselines: Path | None = None,
    declared: Declared | None = None,
    progress: Progress = silent,
) -> ImportReport:
    """Read runs from a file or folder of any known kind and write them to a store, new or existing.

    declared: what tables of other people's results need to be told. Runs of an existing store stay as they are.
    If nothing can be read, a new store is removed again. Raises InputError and WebError.
    """
    kind = kind or detect_kind(source)
    existed = os.path.lexists(store)
    warnings: list[str] = []
    read = 0
    try:
        with progress(f"Importing {source}", 0) as advance:
            runs = import_runs(
                source, kind=kind, units=units, baselines=baselines, declared=declared, on_warning=warnings.append
            )

            def counted() -> Any:
                nonlocal read
                for run in runs:
                    read += 1
                    yield run
                    advance(1)

            with RunStore.open(store, create=True) as opened:
                if existed:
                    merged = opened.merge_runs(counted())
                    added, conflicts = merged.added, merged.conflicts
                else:
                    added, conflicts = opened.add_many(counted()), ()
                if not read:
                    raise InputError(f"{source} contains no runs. Check its kind: it was read as --kind {kind}.")
                return ImportReport(kind, read, added, opened.info(), tuple(warnings), conflicts)
    except BaseException:
        if not existed:
            _remove_store(store)
        raise


def _remove_store(store: Path) -> None:
    """Remove a store that was just made, with the files beside it."""
    for name in (store, Path(f"{store}-wal"), Path(f"{store}-shm"), digest_file(store)):
        with suppress(OSError):
            name.unlink()


def merge_webs(
    store: Path,
    others: Sequence[str | Path],
    *,
    replace_failed: bool = False,
    on_note: Callable[[str], object] = lambda _note: None,
) -> list[tuple[str, MergeReport]]:
    """Add the runs of other stores, or webs of the Hub, to one; runs that are already in `store` do not change.

    on_note: gets the notes of the others. Returns a report for each, with its name.
    """
    located = [locate_web(other) for other in others]
    for name, other in ((found.name, found.path) for found in located):
        if other.resolve() == store.resolve():
            raise InputError(f"{name} cannot be merged into itself. Name another store.")
        RunStore.open(other, read_only=True).close()  # before a new store is made, and before the first is merged
    reports = []
    with RunStore.open(store, create=True) as opened:
        for found in located:
            with RunStore.open(found.path, read_only=True) as given:
                reports.append((found.name, opened.merge(given, replace_failed=replace_failed)))
                for note in (*found.notes, *given.notes):
                    on_note(note)
    return reports


def check_web(store: Path) -> tuple[list[str], int, tuple[str, ...]]:
    """Problems of a store, how many runs it should have, and notes. Raises InputError and WebError if it cannot be opened."""
    with RunStore.open(store, read_only=True) as opened:
        return opened.check(), opened.expected_runs(), opened.notes


def save_whole_runs(store: Path, new: Path) -> int:
    """Write all runs of a damaged store that are whole to a new one; return how many.

    Raises InputError where the new one exists already or cannot be written (nothing is left of it then), and where the damaged
    one cannot be opened.
    """
    if os.path.lexists(new):
        raise InputError(f"{new} exists already. Give the name of a new store.")
    with RunStore.open(store, read_only=True) as damaged:
        try:
            with RunStore.open(new, create=True) as opened:
                return opened.add_many(damaged.salvage())
        except BaseException:
            _remove_store(new)
            raise


def export_web(
    web: str, path: Path, *, kind: str | None = None, on_note: Callable[[str], object] = lambda _note: None
) -> tuple[int, str]:
    """Write a web to a file or folder: its runs, or the scores of its pairs where it is a summary (`published`).

    on_note: gets the notes of a store.
    Returns how many were written, and of what ("runs" or "pairs"). Raises InputError and WebError.
    """
    if web == PUBLISHED:
        return _export_scores(score_rows(open_web(web)), path, kind), "pairs"
    located = locate_web(web)
    if not is_store(located.path):
        return export_runs(import_runs(located.path, on_warning=lambda _line: None), path, kind=kind), "runs"
    with RunStore.open(located.path, read_only=True) as store:
        for note in (*located.notes, *store.notes):
            on_note(note)
        return export_runs(store.runs(), path, kind=kind), "runs"


def _export_scores(rows: list[dict[str, Any]], path: Path, kind: str | None) -> int:
    kind = kind or path.suffix.lower().lstrip(".")
    if kind not in ("csv", "json"):
        raise InputError(
            f"The published web is a summary without runs, so they cannot be written to {path}. Export its scores to a "
            ".csv or .json file."
        )
    with whole_file(path) as temporary:
        if kind == "json":
            temporary.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        else:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                write_scores(file, rows)
    return len(rows)


def write_scores(file: TextIO, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of `score_rows` as CSV."""
    writer = csv.DictWriter(file, (*_PAIR_NAMES, *PAIR_FIGURES), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **{name: inert(row[name]) for name in _PAIR_NAMES}} for row in rows)


def score_rows(
    web: TransferWeb, setup: str | None = None, target: str | None = None, source: str | None = None
) -> list[dict[str, Any]]:
    """One row per measured pair and setup: names, then every figure of the web; None where it was not measured.

    setup: one setup, `all` for the mean over setups, None for every setup on its own.
    """
    if target is not None:
        web.target_index(target)
    if source is not None:
        web.source_index(source)
    wanted = web.setups if setup is None else (web.check_setup(setup),)
    rows = []
    for name in wanted:
        matrices = {figure: web.matrix(figure, name) for figure in _figures_of(web, name)}
        for i, j in np.argwhere(_measured(web, name)):
            if target in (None, web.targets[i]) and source in (None, web.sources[j]):
                figures = {figure: _value(matrix[i, j]) for figure, matrix in matrices.items()}
                rows.append(
                    {"setup": name, "source": web.sources[j], "target": web.targets[i]}
                    | {figure: figures.get(figure) for figure in PAIR_FIGURES}
                )
    return rows


def _figures_of(web: TransferWeb, setup: str) -> tuple[str, ...]:
    """Figures of a setup; errors and tests over the seeds of one setup cannot be averaged over setups."""
    available = [figure for figure in PAIR_FIGURES if getattr(web, figure) is not None]
    return tuple(f for f in available if setup != ALL_SETUPS or f not in ("score_se", "pc_se", "sign_p"))


def _measured(web: TransferWeb, setup: str) -> Any:
    measured = np.isfinite(web.transfer(setup))
    if web.n_seeds is not None:
        measured |= np.isfinite(web.matrix("n_seeds", setup))
    return measured


def _value(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class WebDescription:
    """What a web contains. info: the counts of runs, None for a summary, which has no runs."""

    web: TransferWeb
    info: StoreInfo | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        web = self.web
        reliability = None if web.reliability is None else dict(zip(web.setups, _means(web.reliability), strict=True))
        hours = None if web.hours is None else dict(zip(web.setups, _sums(web.hours), strict=True))
        return {
            "web": web.name,
            "scale": web.scale,
            "setups": list(web.setups),
            "targets": list(web.targets),
            "sources": list(web.sources),
            "pairs": {setup: int(np.isfinite(web.transfer(setup)).sum()) for setup in web.setups},
            "split_half_reliability": reliability,
            "hours": hours,
            "runs": None if self.info is None else _counts_of(self.info),
            "notes": list(web.notes),
        }


def describe_web(web: str) -> WebDescription:
    """Open a web and count what it contains. Raises InputError and WebError."""
    opened = open_web(web)
    path = locate_web(opened.name).path
    if web == PUBLISHED or not is_store(path):
        return WebDescription(opened, None)
    with RunStore.open(path, read_only=True) as store:
        return WebDescription(opened, store.info())


def _counts_of(info: StoreInfo) -> dict[str, Any]:
    return {"total": info.runs, "baselines": info.baselines, "seeds": list(info.seeds), **info.by_status}


def _means(matrix: Any) -> list[float | None]:
    return [_value(row[np.isfinite(row)].mean()) if np.isfinite(row).any() else None for row in matrix]


def _sums(matrix: Any) -> list[float | None]:
    return [_value(row[np.isfinite(row)].sum()) if np.isfinite(row).any() else None for row in matrix]
