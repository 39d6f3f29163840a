"""The recovered baselines of the published web: a CSV with one row per setup, target and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taskweb.errors import InputError
from taskweb.tasks import catalogue
from taskweb.web.formats.configurations import Configuration, Configurations, Place
from taskweb.web.formats.table_files import open_table
from taskweb.web.formats.units import Units
from taskweb.web.formats.untrusted import reading
from taskweb.web.records.run import Run

BASELINES_FILE = "recovered_baselines.csv"
_COLUMNS = ("model", "method", "target", "epochs", "learning_rate", "batch_size", "seed", "score")


@dataclass(frozen=True)
class Baseline:
    """The score of a target without transfer, the mean of the metrics that its gains are computed from; in [0, 1]."""

    place: Place
    configuration: Configuration
    seed: int
    score: float


def read_baselines(path: Path) -> list[Baseline]:
    """Read baselines. Raises InputError that names the row that cannot be used."""
    name = str(path)
    with reading(name, "a table of baselines"):
        table = open_table(path, name)
        missing = [column for column in _COLUMNS if column not in table.columns]
        if missing:
            raise InputError(f"The baselines {name} have no column '{missing[0]}'. They need {', '.join(_COLUMNS)}.")
        at = [table.columns.index(column) for column in _COLUMNS]
        found = []
        for number, cells in enumerate(table.rows(), start=1):
            model, method, target, epochs, rate, batch, seed, score = (cells[place] for place in at)
            try:
                configuration = Configuration(int(epochs), float(rate), int(batch))
                found.append(Baseline((model, method, target), configuration, int(seed), float(score)))
            except (ValueError, TypeError):
                raise InputError(f"The baselines {name}, row {number}: a number is missing or is not a number.") from None
    return found


def configurations_of(path: Path, baselines: Sequence[Baseline]) -> dict[Place, Configuration]:
    """The configuration of each setup and target. Raises InputError where there are several."""
    found: dict[Place, Configuration] = {}
    for baseline in baselines:
        if found.setdefault(baseline.place, baseline.configuration) != baseline.configuration:
            model, method, target = baseline.place
            raise InputError(
                f"The baselines {path} give two configurations for {model}/{method} on '{target}'. Keep those of the "
                "runs that they are compared with."
            )
    return found


def baseline_run(baseline: Baseline, configurations: Configurations, units: Units, where: str) -> Run:
    """The baseline as a run without a source.

    Only the mean of the target's metrics is known, so each metric gets that value, and `extra` says so.
    """
    target = baseline.place[2]
    task = catalogue().get(target)
    metrics = task.transfer_metrics if task is not None else ("score",)
    setup = configurations.setup(baseline.place, baseline.configuration)
    extra = (
        {"recovered": f"each metric stands for the mean of {', '.join(metrics)}"} if len(metrics) > 1 else {"recovered": "yes"}
    )
    return Run(
        setup=setup,
        target=target,
        source=None,
        seed=baseline.seed,
        metrics={metric: units.convert(metric, baseline.score, setup.name, where) for metric in metrics},
        extra=extra,
    )
