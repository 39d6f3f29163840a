"""The published runs: `runs.parquet`, one row per run, and the recovered baselines next to it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.tasks import catalogue
from taskweb.web.formats.configurations import Configuration, Configurations
from taskweb.web.formats.import_warnings import OnProgress, OnWarning, warn
from taskweb.web.formats.recovered_baselines import BASELINES_FILE, baseline_run, configurations_of, read_baselines
from taskweb.web.formats.table_files import open_table
from taskweb.web.formats.units import Units
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.run import Run

RUNS_FILE = "runs.parquet"
PUBLISHED_COLUMNS = ("model", "method", "target", "source", "epochs", "learning_rate", "batch_size", "seed")
_SIZES = {"train_samples": "train_examples"}
_DURATIONS = {"train_runtime_s": "train"}
_ROWS_PER_REPORT = 1000


def import_published(
    path: Path,
    *,
    units: Mapping[str, str] | None = None,
    baselines: Path | None = None,
    on_progress: OnProgress | None = None,
    on_warning: OnWarning | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Yield the baselines, then every run of the table, in file order.

    path: `runs.parquet` or its folder. baselines: by default `recovered_baselines.csv` next to it, where there is one. A run
    in the baselines' configuration has the setup `model/method`, one in another `model/method@variant`. Columns other than
    PUBLISHED_COLUMNS, sizes and durations are metrics; an empty metric is left out, but for a run without any, all
    metrics of its target are NaN. on_progress is called with the rows done and their number. Raises InputError, and
    MissingDependencyError without pyarrow.
    """
    path = path / RUNS_FILE if path.is_dir() else path
    name = name or str(path)
    declared = Units.declared(units)
    default = path.parent / BASELINES_FILE
    baselines = baselines or (default if default.exists() else None)
    known = [] if baselines is None else read_baselines(baselines)
    with reading(name, "the table of the published runs"):
        rows = _rows(path, name)
        total = 0
        counts: Counter[Any] = Counter()
        for row in _rows(path, name):
            counts[_place(row), _configuration(row)] += 1
            total += 1
        counted = [(place, configuration, number) for (place, configuration), number in counts.items()]
        configurations = Configurations(counted, {} if baselines is None else configurations_of(baselines, known))
        if configurations.undecided:
            places = ", ".join(f"{model}/{method} on {target}" for model, method, target in configurations.undecided[:3])
            warn(
                on_warning,
                f"{name}: several configurations are equally frequent, so all are variants: {places}. Give the baselines.",
            )
        for baseline in known:
            yield baseline_run(baseline, configurations, Units(), str(baselines))
        for number, row in enumerate(rows, start=1):
            yield _run(row, configurations, declared, f"{name}, row {number}")
            if on_progress is not None and (number % _ROWS_PER_REPORT == 0 or number == total):
                on_progress(number, total)


def _rows(path: Path, name: str) -> Iterator[dict[str, Any]]:
    table = open_table(path, name)
    missing = [column for column in PUBLISHED_COLUMNS if column not in table.columns]
    if missing:
        raise InputError(f"{name} has no column '{missing[0]}'. The published runs have {', '.join(PUBLISHED_COLUMNS)}.")
    for cells in table.rows():
        yield dict(zip(table.columns, cells, strict=True))


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(row["model"]), str(row["method"]), str(row["target"])


def _configuration(row: Mapping[str, Any]) -> Configuration:
    return Configuration(int(row["epochs"]), float(row["learning_rate"]), int(row["batch_size"]))


def _run(row: Mapping[str, Any], configurations: Configurations, units: Units, where: str) -> Run:
    setup = configurations.setup(_place(row), _configuration(row))
    named = (*PUBLISHED_COLUMNS, *_SIZES, *_DURATIONS)
    metrics = {
        column: units.convert(column, float(value), setup.name, where)
        for column, value in row.items()
        if column not in named and value is not None and value != ""
    }
    if not metrics:
        task = catalogue().get(str(row["target"]))
        metrics = dict.fromkeys(task.metrics if task is not None else (), math.nan)
    return Run(
        setup=setup,
        target=str(row["target"]),
        source=str(row["source"]),
        seed=int(row["seed"]),
        metrics=metrics,
        sizes={size: int(row[column]) for column, size in _SIZES.items() if row.get(column) is not None},
        durations={stage: float(row[column]) for column, stage in _DURATIONS.items() if row.get(column) is not None},
    )
