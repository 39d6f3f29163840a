"""The blend on small real webs: parts of the published one, whose other tasks are the targets that it has never seen.

Each part has six, seven or eight tasks, drawn at random, in one, two or four of the setups. NDCG is the mean over the setups
and the unseen targets of a part. Which single selector is best is known only in hindsight, from the very targets that it is
compared on, which flatters it. 80% prediction intervals should contain 80% of the gains.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.selection.compared_selectors import SINGLE_SELECTORS, compared_selectors
from taskweb.metrics import ndcg
from taskweb.selectors import RandomSelector, SelectionProblem, rank
from taskweb.web.published import published_bank, published_web

SIZES = (6, 7, 8)
SETUPS = (1, 1, 2, 4)
SOURCE_EXAMPLES, TARGET_EXAMPLES = 100, 32


def judged(size: int, i: int) -> dict[str, float]:
    """NDCG of each selector on one part, in percent, and the share of gains inside the blend's intervals."""
    draw, whole, pool = np.random.default_rng((77, size, i)), published_web(), published_bank()
    tasks = sorted(draw.choice(whole.targets, size, replace=False).tolist())
    part = whole.restrict(
        targets=tasks, sources=tasks, setups=draw.choice(whole.setups, draw.choice(SETUPS), replace=False).tolist()
    )
    selectors = {name: selector for name, selector in compared_selectors().items() if not isinstance(selector, RandomSelector)}
    found: dict[str, list[float]] = {name: [] for name in selectors}
    held: list[bool] = []
    cache: dict[Any, Any] = {}  # what the blend learned from the part: the same for all targets
    bank = pool.sampled(SOURCE_EXAMPLES, draw)
    for target in (task for task in whole.targets if task not in tasks):
        rows = pool.of(target)[np.sort(draw.choice(len(pool.of(target)), TARGET_EXAMPLES, replace=False))]
        problem = SelectionProblem(target, part, part.sources, part.setups[0], bank, rows, cache=cache)
        for setup in part.setups:
            place = whole.setup_index(setup), whole.target_index(target), [whole.source_index(source) for source in tasks]
            if np.ptp(whole.t[place]) == 0:
                continue
            here = problem.in_setup(setup)
            for name, selector in selectors.items():
                found[name].append(100 * ndcg(whole.t[place], selector.score(here)))
            gains = dict(zip(tasks, whole.pc[place].tolist(), strict=True)) if whole.pc is not None else {}
            for source in rank(selectors["blend"], here).sources:
                low, high = source.details["gain_low"], source.details["gain_high"]
                held += [low <= gains[source.task] <= high] if low is not None and high is not None else []
    return {name: float(np.mean(values)) for name, values in found.items()} | {"held": float(np.mean(held))}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument("--webs", type=harness.at_least_one, default=60, help="of each size (%(default)s)")
    return harness.parse(options, argv, quick={"webs": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    rows = []
    for size in SIZES:
        parts = [judged(size, i) for i in range(given.webs)]
        row: dict[str, Any] = {"tasks": size, "webs": given.webs} | {
            name: float(np.mean([part[name] for part in parts])) for name in parts[0]
        }
        for name in ("taskshop", "blend"):
            gaps = [part[name] - max(part[single] for single in SINGLE_SELECTORS) for part in parts]
            row[f"{name}_over_best"] = {
                "difference": float(np.mean(gaps)),
                "standard_error": float(np.std(gaps) / np.sqrt(given.webs)),
            }
        rows.append(row)
        print(json.dumps(row), flush=True)
    harness.write_result(__file__, given, rows)


if __name__ == "__main__":
    main()
