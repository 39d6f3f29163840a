"""Whether models trained on the chosen sources answer an unseen task better: the trials of `taskweb demo`, with more families,
targets and seeds.

Of each family, `--targets` tasks are left out in turn. Prints the table too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import harness
from taskweb.cli.tables.trial_results import trial_tables
from taskweb.experiments.executors.process import worker_pool
from taskweb.tasks.synthetic import synthetic_families
from taskweb.workflows.selection_trials import run_trials
from taskweb.workflows.trial_records import TrialSettings


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument("--families", nargs="*", default=list(synthetic_families()))
    options.add_argument("--model", default=TrialSettings().model, help="tiny model that is measured and trained")
    for name, most in (("--targets", 8), ("--seeds", 2), ("--workers", 2)):
        options.add_argument(name, type=harness.at_least_one, default=most)
    return harness.parse(options, argv, quick={"families": ["mixed"], "targets": 1, "seeds": 1})


def _say(webs: int, targets: int) -> None:
    print(f"{webs} webs are measured, and models of {targets} targets trained", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    settings = TrialSettings(tuple(given.families), given.targets, seeds=tuple(range(1, given.seeds + 1)), model=given.model)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taskweb-trials-") as folder, worker_pool(given.workers) as pool:
        found = run_trials(settings, Path(folder), pool, on_progress=_say)
    harness.write_result(__file__, given, found.to_dict() | {"seconds": time.monotonic() - began})
    console = Console(width=200)
    for part in trial_tables(found, console.width):
        console.print(part)


if __name__ == "__main__":
    main()
