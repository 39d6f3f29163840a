"""Opening a WEB as a person names it: `published`, a store of runs, or a tidy file."""

from __future__ import annotations

from pathlib import Path

from taskweb.errors import InputError, unknown_name
from taskweb.tasks.paths import kind_of_path
from taskweb.web.published import PUBLISHED, published_web
from taskweb.web.scores import score_runs
from taskweb.web.store import RunStore, is_store
from taskweb.web.tidy import TIDY_SUFFIXES, read_tidy
from taskweb.web.transfer_web import TransferWeb


def open_web(where: str | Path = PUBLISHED) -> TransferWeb:
    """The web named `published`, or that of a store of runs (whatever its name), or of a tidy CSV, TSV or Parquet file.

    Raises InputError and WebError.
    """
    if str(where) == PUBLISHED:
        return published_web()
    path = Path(where)
    if kind_of_path(path) == "missing" and not path.suffix and len(path.parts) == 1:
        raise unknown_name("web or file", str(where), [PUBLISHED])
    if is_store(path):
        with RunStore.open(path, read_only=True) as store:
            return score_runs(store.run_table(), str(where))
    if path.suffix.lower() not in TIDY_SUFFIXES and kind_of_path(path) == "file":
        raise InputError(
            f"The web {path} is of no known kind. Give 'published', a store made by taskweb, or a tidy file ending in "
            f"{', '.join(TIDY_SUFFIXES)}."
        )
    return score_runs(read_tidy(path), str(where))
