"""Runs as a Hugging Face dataset folder: `data/*.parquet` and a README.md card, which `datasets.load_dataset` opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from taskweb.errors import InputError, ParameterError
from taskweb.tasks.atomic import whole_folder
from taskweb.web.formats.import_warnings import OnProgress, OnWarning
from taskweb.web.formats.tidy_parquet import require_pyarrow, write_parquet
from taskweb.web.formats.tidy_runs import import_tidy
from taskweb.web.records.run import Run
from taskweb.web.records.streams import peek
from taskweb.web.records.tidy_rows import JSON_COLUMNS, RECORD_COLUMNS, TIDY_COLUMNS, text_extras

RUNS_PER_FILE = 250_000

_DESCRIPTIONS = {
    "source": "task that the model was fine-tuned on first; `none` for a baseline",
    "target": "task that the model was fine-tuned on and evaluated on",
    "setup": "model and adaptation method, `model/method` or `model/method@variant`",
    "seed": "random seed; null where unknown",
    "metric": "name of the metric; null for a run without metrics",
    "score": "value of the metric, a fraction where it is a share; NaN or null where there is no score",
    "replicate": "distinguishes runs without a seed",
    "status": "finished, failed or diverged",
    "reason": "why the run failed; null otherwise",
    "model": "name of the checkpoint",
    "revision": "commit of the checkpoint; null where unknown",
    "method": "adaptation method",
    "commit": "commit of the code; null where unknown",
    "hyperparameters": "hyperparameters of the setup",
    "definition": "further settings that define the run",
    "sizes": "numbers counted while running",
    "durations": "seconds by stage",
    "history": "list of evaluations while training",
    "versions": "versions of packages",
    "extra": "further values",
}


def export_dataset(runs: Iterable[Run], path: Path) -> int:
    """Write a new dataset folder; return the number of runs in it.

    A file contains at most 250,000 runs, and all rows of a run are in one file. The card explains the columns and leaves
    licence and citation for the person to fill in. Raises InputError where the folder exists or cannot be written,
    ParameterError for runs that a tidy table cannot contain, and MissingDependencyError without pyarrow.
    """
    statuses: Counter[str] = Counter()
    with whole_folder(path) as folder:
        extras = write_data(_counted(runs, statuses), folder)
        (folder / "README.md").write_text(_card(path.name, statuses, extras), encoding="utf-8")
    return statuses.total()


def write_data(runs: Iterable[Run], folder: Path) -> tuple[str, ...]:
    """Write `data/runs-*.parquet` into a folder; return the names of further columns. Raises as `export_dataset`."""
    require_pyarrow(folder)
    first_runs, stream = peek(runs)
    if not first_runs:
        raise ParameterError(f"There are no runs to write to {folder}.")
    extras = text_extras(first_runs)
    (folder / "data").mkdir()
    for number in range(10**5):
        first = next(stream, None)
        if first is None:
            break
        write_parquet(_file_of(first, stream), folder / "data" / f"runs-{number:05d}.parquet", extras)
    return extras


def import_dataset(
    folder: Path,
    *,
    units: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Yield the runs of a dataset folder with tidy tables in `data/*.parquet`, file by file. Raises as `import_tidy`."""
    files = sorted((folder / "data").glob("*.parquet"))
    if not files:
        raise InputError(f"The dataset folder {name or folder} contains no data/*.parquet.")
    for file in files:
        label = f"{name or folder}/data/{file.name}"
        yield from import_tidy(file, units=units, on_progress=on_progress, on_warning=on_warning, name=label)


def _counted(runs: Iterable[Run], statuses: Counter[str]) -> Iterator[Run]:
    for run in runs:
        statuses[run.status] += 1
        yield run


def _file_of(first: Run, stream: Iterator[Run]) -> Iterator[Run]:
    yield first
    yield from islice(stream, RUNS_PER_FILE - 1)


def _card(name: str, statuses: Counter[str], extras: Iterable[str]) -> str:
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
    return "\n".join(
        (
            "---",
            "license: other",
            "license_name: unstated",
            "configs:",
            "- config_name: default",
            "  data_files:",
            "  - split: train",
            "    path: data/*.parquet",
            "tags:",
            "- transfer-learning",
            "- taskweb",
            "---",
            "",
            f"# {' '.join(name.split())}",
            "",
            f"Measured transfers between tasks: {statuses.total():,} fine-tuning runs ({counts}), one row per run and metric. ",
            "A run fine-tunes a model on a source task, then on a target task, and evaluates it on the target.",
            "",
            "## Columns",
            "",
            *column_table(extras),
            "",
            "A tidy table in the format of taskweb: `taskweb web import` reads this folder back.",
            "",
            "## Licence",
            "",
            "Not stated yet. Say here, and under `license` above, on what terms these figures may be used.",
            "",
            "## Citation",
            "",
            "Not stated yet. Say here how to cite these figures, and the data sets behind the tasks.",
            "",
        )
    )


def column_table(extras: Iterable[str]) -> list[str]:
    """What the columns of the runs mean, as lines of a Markdown table."""
    known = [f"| `{column}` | {_type(column)} | {_DESCRIPTIONS[column]} |" for column in (*TIDY_COLUMNS, *RECORD_COLUMNS)]
    further = [f"| {inline_code(column)} | string | further column |" for column in extras]
    return ["| column | type | meaning |", "|---|---|---|", *known, *further]


def _type(column: str) -> str:
    if column == "score":
        return "float64"
    if column in ("seed", "replicate"):
        return "int64"
    return "string (JSON)" if column in JSON_COLUMNS else "string"


def inline_code(text: str) -> str:
    """A name as inline code that cannot break a Markdown table."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "/") + "`"
