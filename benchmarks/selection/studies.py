"""The paper's first questions on the published web: TaskShop and its baselines, its pivots, and how many sources to train on.

The figures of `taskweb study sanity --setup t5l/finetune`, `taskweb study pivots`, the same in t5l/finetune alone, and
`taskweb study ksweep`, without those of single targets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks import harness
from taskweb.selectors.benchmark import DrawSettings
from taskweb.workflows.studies import StudySettings, published_sweep, study_pivots, study_sanity

SETUP = "t5l/finetune"


def without_targets(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a study, without the figures of single targets."""
    return [{key: value for key, value in row.items() if key != "per_target"} for row in rows]


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    return harness.parse(harness.parser(__doc__, __file__, draws=10), argv, quick={"draws": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    draws = DrawSettings(given.draws)
    one, all_setups = StudySettings(setup=SETUP, draws=draws), StudySettings(draws=draws)
    sweep = published_sweep().to_dict()
    figures = {
        "sanity": without_targets(study_sanity(one).to_dict()["rows"]),
        "pivots": without_targets(study_pivots(all_setups).to_dict()["points"]),
        "pivots_in_one_setup": without_targets(study_pivots(one).to_dict()["points"]),
        "ksweep": {part: without_targets(sweep[part]) for part in ("points", "chosen_by", "unhelpful")},
    }
    for name, rows in figures.items():
        print(name, len(rows), "rows")
    harness.write_result(__file__, given, figures)


if __name__ == "__main__":
    main()
