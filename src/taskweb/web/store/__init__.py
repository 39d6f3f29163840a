"""The store of runs: one SQLite file, safe with several processes, scored without reading a full record."""

from taskweb.web.store.connection import is_store
from taskweb.web.store.contract import MergeConflict, MergeReport, RunCollection, StoreInfo
from taskweb.web.store.digest import digest_file
from taskweb.web.store.run_store import RunStore

__all__ = ["MergeConflict", "MergeReport", "RunCollection", "RunStore", "StoreInfo", "digest_file", "is_store"]
