"""Reading runs from files and folders; the kind is recognised by name and content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from taskweb.errors import InputError, unknown_name
from taskweb.web.formats.array_files import MAGIC
from taskweb.web.formats.authors_layout import contains_runs, import_authors_layout
from taskweb.web.formats.declared import Declared
from taskweb.web.formats.hf_dataset import import_dataset
from taskweb.web.formats.import_warnings import OnProgress, OnWarning
from taskweb.web.formats.jsonl import import_jsonl
from taskweb.web.formats.lm_eval_results import import_lm_eval, result_files
from taskweb.web.formats.markdown_tables import SUFFIXES
from taskweb.web.formats.matrix import import_matrix
from taskweb.web.formats.research_release import PUBLISHED_COLUMNS, RUNS_FILE, import_published
from taskweb.web.formats.table_files import open_table
from taskweb.web.formats.tidy_runs import import_tidy
from taskweb.web.formats.units import Units
from taskweb.web.formats.untrusted import reading
from taskweb.web.formats.wide_table import import_wide
from taskweb.web.records.run import Run
from taskweb.web.records.tidy_rows import REQUIRED_COLUMNS

KINDS = ("tidy", "jsonl", "dataset", "published", "authors-layout", "authors-pickle", "wide", "matrix", "lm-eval")
_DECLARED = {"wide": import_wide, "matrix": import_matrix, "lm-eval": import_lm_eval}
_OF_TABLES = ("--setup", "--baseline", "--no-baseline", "--metric", "--missing", "--not-measured", "--rename")
_OPTIONS: Mapping[str, tuple[str, ...]] = {  # what may be declared about each kind
    "wide": (
        *("--base-column", "--method", "--source-column", "--seed-column", "--baseline-is-base", "--targets", "--not-targets"),
        *("--values", "--table", *_OF_TABLES),
    ),
    "matrix": ("--rows", "--values", "--diagonal", "--names", "--table", *_OF_TABLES),
    "lm-eval": ("--groups", *_OF_TABLES),
}
_MARKDOWN = "{} is Markdown, of which tables are read. Say what is in it: --kind wide or --kind matrix."
_VALID = f"Kinds: {', '.join(KINDS)}"


def detect_kind(path: str | Path) -> str:
    """The kind of a file or a folder, one of KINDS, recognised by its contents. Raises InputError for an unknown kind."""
    path = Path(path)
    with reading(str(path), "of a known kind"):
        kind = _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)
    if kind is None:
        raise InputError(f"{path} is of an unknown kind. {_VALID}; name one if you know it.")
    return kind


def import_runs(
    path: str | Path,
    *,
    kind: str | None = None,
    units: Mapping[str, str] | None = None,
    baselines: str | Path | None = None,
    declared: Declared | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Yield the runs of a file or a folder, one by one.

    kind: one of KINDS, by default chosen by `detect_kind`. units: percent or fraction by metric, such as
    `{"accuracy": "percent", "roberta/*:f1": "fraction"}`; fraction by default. baselines: the file
    `recovered_baselines.csv`, for the kinds published and authors-layout. declared: what the kinds wide, matrix and lm-eval
    need to be told. on_progress is called with the work done and its total (0 while unknown). on_warning is called with a line
    on everything that was left out or looks wrong; without it these are Python warnings. name: the name of the path in errors.
    Arguments are checked now, the file while runs are taken.
    Raises InputError, NameNotFoundError for an unknown kind or unit, and MissingDependencyError.
    """
    path = Path(path)
    baselines = None if baselines is None else Path(baselines)
    Units.declared(units)
    if kind is None:
        kind = detect_kind(path)
    if kind not in KINDS:
        raise unknown_name("kind of import", kind, KINDS)
    if baselines is not None and kind not in ("published", "authors-layout"):
        raise InputError(
            f"{name or path} is of the kind {kind}, which takes no file of baselines: its baselines are runs without a source."
        )
    _refuse_foreign(name or str(path), kind, declared or Declared())
    if kind in ("tidy", "published") and path.suffix.lower() in SUFFIXES:
        raise InputError(_MARKDOWN.format(name or path))
    if declared is not None and declared.table is not None and path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{name or path} is one table. Leave out --table, which is for files of Markdown ({', '.join(SUFFIXES)})."
        )
    if kind in _DECLARED:
        return _DECLARED[kind](
            path, declared or Declared(), units=units, on_progress=on_progress, on_warning=on_warning, name=name
        )
    if kind == "jsonl":
        return import_jsonl(path, units=units, on_progress=on_progress, name=name)
    if kind == "tidy":
        return import_tidy(path, units=units, on_progress=on_progress, on_warning=on_warning, name=name)
    if kind == "dataset":
        return import_dataset(path, units=units, on_progress=on_progress, on_warning=on_warning, name=name)
    if kind == "authors-pickle":
        raise InputError(
            f"{name or path} is a summary without runs. Use it as a web, or import the runs that it was made from."
        )
    importer = import_published if kind == "published" else import_authors_layout
    return importer(path, units=units, baselines=baselines, on_progress=on_progress, on_warning=on_warning, name=name)


def _refuse_foreign(name: str, kind: str, declared: Declared) -> None:
    """Raise InputError for what was declared and the kind does not take."""
    foreign = [option for option in dict.fromkeys(declared.used()) if option not in _OPTIONS.get(kind, ())]
    if foreign:
        fitting = [other for other, options in _OPTIONS.items() if set(foreign) <= set(options)]
        hint = f" Add --kind {' or '.join(fitting)} if it is one." if fitting else ""
        raise InputError(f"{name} is of the kind {kind}, which takes no {', '.join(foreign)}.{hint}")


def _kind_of_folder(path: Path) -> str | None:
    if (path / RUNS_FILE).is_file():
        return "published"
    if any((path / "data").glob("*.parquet")):
        return "dataset"
    if contains_runs(path):
        return "authors-layout"
    return "lm-eval" if result_files(path) else None


def _kind_of_file(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(MAGIC):
        return "matrix"
    if start[:1] == b"\x80" and start[1:2] <= b"\x05" and path.suffix.lower() not in (".csv", ".tsv"):
        return "authors-pickle"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "jsonl"
    if path.suffix.lower() in (".p", ".pkl", ".pickle"):
        return "authors-pickle"
    if path.suffix.lower() in SUFFIXES:
        raise InputError(_MARKDOWN.format(path))
    if start.startswith(b"PAR1") or path.suffix.lower() in (".csv", ".tsv", ".parquet") or b"source" in start.split(b"\n")[0]:
        columns = open_table(path, str(path)).columns
        if set(columns) >= set(REQUIRED_COLUMNS):
            return "tidy"
        if set(columns) >= set(PUBLISHED_COLUMNS):
            return "published"
        if path.suffix.lower() in (".csv", ".tsv", ".parquet"):
            return "tidy"  # its importer reports the missing column
    return None
