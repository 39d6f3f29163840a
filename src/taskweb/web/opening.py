"""Opening a web by its name: `published`, a store of runs, a tidy file, a web of the Hub, or what else can be imported."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taskweb.errors import InputError, unknown_name
from taskweb.tasks.paths import kind_of_path
from taskweb.web.formats.tidy_table import TIDY_SUFFIXES, read_tidy
from taskweb.web.published import PUBLISHED, published_web
from taskweb.web.scores import score_runs
from taskweb.web.seed_gains import SeedGains, seed_gains
from taskweb.web.sharing.reference import HubWeb, is_on_hub
from taskweb.web.store import RunStore, is_store
from taskweb.web.transfer_web import TransferWeb

NO_WEB = "none"


@dataclass(frozen=True, slots=True)
class LocatedWeb:
    """Where a web is on this machine. name: as given; of a web on the Hub with its commit. notes: what a person should know."""

    path: Path
    name: str
    notes: tuple[str, ...] = ()


def locate_web(where: str | Path) -> LocatedWeb:
    """The file or folder of a web. One on the Hub (`hf:<owner>/<name>[@<revision>]`) is fetched into the cache, as a store.

    Raises InputError where that is not possible, and MissingDependencyError where a package is missing.
    """
    if not is_on_hub(where):
        return LocatedWeb(Path(where), str(where))
    from taskweb.web.sharing.pulling import pulled  # needed for webs of the Hub only

    found = pulled(HubWeb.parse(str(where)))
    return LocatedWeb(found.store, str(found.web), found.notes)


def open_web(where: str | Path = PUBLISHED) -> TransferWeb:
    """The web named `published`, or that of a store of runs, a tidy CSV, TSV or Parquet file, or anything that can be imported.

    `hf:<owner>/<name>[@<revision>]` is a web on the Hub (see `locate_web`). `none` is an empty web, for ranking candidates by
    their texts alone. Raises InputError and WebError.
    """
    if str(where) == PUBLISHED:
        return published_web()
    if str(where) == NO_WEB:
        return TransferWeb(NO_WEB, (), (), (), np.empty((0, 0, 0)))
    located = locate_web(where)
    path = located.path
    if kind_of_path(path) == "missing" and not path.suffix and len(path.parts) == 1:
        raise unknown_name("web or file", str(where), [PUBLISHED, NO_WEB])
    if is_store(path):
        with RunStore.open(path, read_only=True) as store:
            web = score_runs(store.run_table(), located.name)
            return dataclasses.replace(web, notes=(*web.notes, *located.notes, *store.notes))
    if path.suffix.lower() in TIDY_SUFFIXES and not _is_full_record(path):
        return score_runs(read_tidy(path), str(where))
    if kind_of_path(path) == "missing":
        raise InputError(
            f"There is no web {path}. Give 'published', a store, a tidy CSV or Parquet file, or hf:<owner>/<name>."
        )
    return _web_of_runs(path, str(where))


def open_seed_gains(where: str | Path) -> SeedGains:
    """The gains of the single runs of a store, or of a tidy file with a row per run.

    Raises InputError for a web that is only a summary, WebError where no run has a baseline of its seed.
    """
    located = locate_web(where)
    path = located.path
    if str(where) not in (PUBLISHED, NO_WEB) and is_store(path):
        with RunStore.open(path, read_only=True) as store:
            return seed_gains(store.run_table(), located.name)
    if str(where) not in (PUBLISHED, NO_WEB) and kind_of_path(path) == "file" and path.suffix.lower() in TIDY_SUFFIXES:
        return seed_gains(read_tidy(path), str(where))
    raise InputError(
        f"The single runs of the web '{where}' are not known, so nothing can be replayed. Give a store of runs (taskweb web "
        "import RUNS --to STORE), or a tidy CSV or Parquet file."
    )


def _is_full_record(path: Path) -> bool:
    """Whether a table has the columns of the full record, which distinguish runs that a tidy table cannot."""
    from taskweb.web.formats.table_files import open_table
    from taskweb.web.records.tidy_rows import RECORD_COLUMNS

    return kind_of_path(path) == "file" and set(open_table(path, str(path)).columns) >= set(RECORD_COLUMNS)


def _web_of_runs(path: Path, name: str) -> TransferWeb:
    """The web of a file or folder that can be imported, read through a temporary store."""
    from taskweb.web.formats import (  # slow to import, and not needed for the published web
        detect_kind,
        import_runs,
        read_authors_pickle,
    )

    try:
        kind = detect_kind(path)
    except InputError:
        is_folder = kind_of_path(path) == "folder"
        what = "is a folder without runs" if is_folder else "is of an unknown kind" if path.stat().st_size else "is empty"
        raise InputError(
            f"The web {path} {what}. Give 'published', a store made by taskweb, or a tidy file ending in "
            f"{', '.join(TIDY_SUFFIXES)}."
        ) from None
    if kind == "authors-pickle":
        return read_authors_pickle(path)
    warnings: list[str] = []
    with tempfile.TemporaryDirectory() as folder, RunStore.open(Path(folder) / "runs.db", create=True) as store:
        if not store.add_many(import_runs(path, kind=kind, on_warning=warnings.append)):
            raise InputError(f"The web {path} contains no runs.")
        web = score_runs(store.run_table(), name)
    return dataclasses.replace(web, notes=(*web.notes, *warnings))
