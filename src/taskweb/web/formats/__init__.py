"""Runs in files that others write and read: import and export, one format per file."""

from taskweb.web.formats.authors_pickle import read_authors_pickle
from taskweb.web.formats.declared import Declared
from taskweb.web.formats.exporting import EXPORTERS, export_runs
from taskweb.web.formats.hf_dataset import export_dataset
from taskweb.web.formats.import_warnings import OnProgress, OnWarning
from taskweb.web.formats.importing import KINDS, detect_kind, import_runs
from taskweb.web.formats.jsonl import export_jsonl
from taskweb.web.formats.recovered_baselines import BASELINES_FILE
from taskweb.web.formats.tidy_csv import export_csv
from taskweb.web.formats.tidy_parquet import export_parquet

__all__ = [
    "BASELINES_FILE",
    "EXPORTERS",
    "KINDS",
    "Declared",
    "OnProgress",
    "OnWarning",
    "detect_kind",
    "export_csv",
    "export_dataset",
    "export_jsonl",
    "export_parquet",
    "export_runs",
    "import_runs",
    "read_authors_pickle",
]
