"""Whether models trained on the chosen sources answer an unseen task better: the trials of `taskweb demo`, with more of all.

    python -m benchmarks.selection.selection_trials [--families NAME ...] [--targets 8] [--seeds 2] [--workers 2]

Of each family so many tasks are held out in turn. Writes results/selection_trials.json and prints the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from taskweb.cli.tables.trial_results import trial_tables
from taskweb.experiments.executors.process import worker_pool
from taskweb.tasks.synthetic import synthetic_families
from taskweb.workflows.selection_trials import TrialSettings, run_trials

RESULTS = Path(__file__).parent / "results" / "selection_trials.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="*", default=list(synthetic_families()))
    parser.add_argument("--targets", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    settings = TrialSettings(tuple(given.families), given.targets, seeds=tuple(range(1, given.seeds + 1)))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taskweb-trials-") as folder, worker_pool(given.workers) as pool:
        found = run_trials(settings, Path(folder), pool, on_progress=lambda done, of: print(f"{done} of {of}", file=sys.stderr))
    given.out.write_text(json.dumps(found.to_dict() | {"seconds": time.monotonic() - began}) + "\n")
    console = Console(width=200)
    for part in trial_tables(found, console.width):
        console.print(part)


if __name__ == "__main__":
    main()
