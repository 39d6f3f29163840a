"""What a few runs of the target are worth: replays on the published runs, one target left out at a time.

Before any run the order is the default selector's, from texts and the web without the target. Then the target's own runs are
bought one by one. For each policy and number of runs: NDCG, Regret@5 and Regret@1 on all runs of the target and on those not
bought, how many of the true gains lie within their 80% intervals, and the difference to measuring nothing.

Needs the published runs (runs.parquet with recovered_baselines.csv in the folder --runs).
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from taskweb.active.acquisition import POLICIES
from taskweb.selectors import BlendSelector
from taskweb.selectors.benchmark import MEAN
from taskweb.web import TransferWeb
from taskweb.web.formats.research_release import import_published
from taskweb.web.opening import open_seed_gains, open_web
from taskweb.web.published import published_bank
from taskweb.web.seed_gains import SeedGains
from taskweb.web.store import RunStore
from taskweb.workflows.replaying import ReplayRow, Replays, ReplaySettings

_ERRORS_IN_INTERVAL = 3.92  # standard errors in a 95% interval


def runs_of(folder: Path, web: TransferWeb) -> SeedGains:
    """The published runs on the axes of the published web; variants of setups are left out."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "runs.db"
        with RunStore.open(path, create=True) as store:
            store.add_many(import_published(folder))
        found = open_seed_gains(path)
    setups = [found.setups.index(name) for name in web.setups]
    targets, sources = [found.targets.index(t) for t in web.targets], [found.sources.index(s) for s in web.sources]
    at = np.ix_(setups, targets, sources)
    return dataclasses.replace(
        found,
        setups=web.setups,
        targets=web.targets,
        sources=web.sources,
        gains=found.gains[at],
        scores=found.scores[at],
        hours=found.hours[np.ix_(setups, targets)],
    )


def compared(row: ReplayRow, others: dict[str, ReplayRow]) -> dict[str, Any]:
    """The row's figures, and how they differ from those of others: mean, and 95% interval over targets."""
    return row.to_dict() | {
        f"{name}_against_{other}": [round(value, 3) for value in row.difference(reference, name)]
        for other, reference in others.items()
        for name in ("ndcg", "regret_at_5")
    }


def is_worse(row: ReplayRow, other: ReplayRow) -> bool:
    """Whether the row's Regret@5 is higher by more than the standard error of the difference."""
    mean, low, high = row.difference(other, "regret_at_5")
    return mean > (high - low) / _ERRORS_IN_INTERVAL


def measured(folder: Path, repeats: int, marks: tuple[int, ...]) -> dict[str, Any]:
    """All rows, and in which setups a policy was worse than measuring nothing, or than measuring uniformly at equal cost."""
    web = open_web()
    settings = ReplaySettings(marks, tuple(POLICIES), repeats)
    replays = Replays(web, runs_of(folder, web), BlendSelector(), published_bank(), settings)
    rows = replays.rows([target for target in web.targets if target not in web.tuning_targets])
    known = {(row.setup, row.policy, row.measured): row for row in rows}

    def references(row: ReplayRow) -> dict[str, ReplayRow]:
        return {"none": known[row.setup, row.policy, 0], "uniform": known[row.setup, "uniform", row.measured]}

    worse = {
        name: [
            [row.setup, row.policy, row.measured]
            for row in rows
            if row.setup != MEAN and row.policy != name and is_worse(row, references(row)[name])
        ]
        for name in ("none", "uniform")
    }
    return {"rows": [compared(row, references(row)) for row in rows], "worse_than": worse}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = harness.parser(__doc__, __file__)
    parser.add_argument("--runs", type=Path, required=True, help="folder with runs.parquet and recovered_baselines.csv")
    parser.add_argument("--repeats", type=harness.at_least_one, default=20)
    parser.add_argument("--measure", type=lambda text: tuple(map(int, text.split(","))), default=(0, 4, 8, 15, 21))
    return harness.parse(parser, argv, {"repeats": 1, "measure": (0, 8)})


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the mean over setups, and write the result."""
    given = arguments(argv)
    found = measured(given.runs, given.repeats, given.measure)
    for row in found["rows"]:
        if row["setup"] == MEAN:
            print(
                f"{row['policy']:8} {row['measured']:3} runs  NDCG {row['ndcg']:.1f}  Regret@5 {row['regret_at_5']:.2f}  "
                f"Regret@1 {row['regret_at_1']:.2f}  in 80% {row['coverage']:.0f}"
            )
    for name, setups in found["worse_than"].items():
        print(f"worse than {name} by more than a standard error:", setups or "never")
    harness.write_result(__file__, given, found)


if __name__ == "__main__":
    main()
