"""How good the suggested number of sources is, by the published multi-task results (T5-XL, zero-shot).

data: the folder with multitask_results.csv and multitask_mixtures.json of the public research release. For each target that
the web knows, the blend ranks sources without it and suggests a k; the published mixtures of the top 1, 3, 5 and 10 sources
show what about that many would have gained, and what stopping where the next source is expected to gain less than half of the
mean of those before it would have gained. The sources of those mixtures are the paper's: this checks k alone.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from taskweb.selectors import BlendSelector, SelectionProblem, rank
from taskweb.web.bootstrap import mean_interval
from taskweb.web.published import published_bank, published_web

MIXTURES = {1: "top1", 3: "top3", 5: "taskshop", 10: "top10", 21: "all"}
SETUP = "t5l/finetune"


def accuracies(data: Path) -> dict[str, dict[int, float]]:
    """Target -> k -> accuracy in percent, mean over prompts and seeds."""
    mixtures = json.loads((data / "multitask_mixtures.json").read_text(encoding="utf-8"))
    scores: dict[tuple[str, frozenset[str]], list[float]] = defaultdict(list)
    with (data / "multitask_results.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            scores[row["target"], frozenset(row["sources"].split("+"))].append(float(row["score"]))
    found: dict[str, dict[int, float]] = {}
    for target in mixtures["top1"]:
        for k, name in MIXTURES.items():
            values = scores.get((target, frozenset(mixtures[name][target])))
            if values:
                found.setdefault(target, {})[k] = 100 * float(np.mean(values))
    return found


def suggested(target: str) -> tuple[int, str, int]:
    """The k that the blend suggests for a target that it does not know, why, and where small gains would stop."""
    known, bank = published_web().without(target), published_bank()
    vectors = bank.of(target)[np.linspace(0, len(bank.of(target)) - 1, 32).astype(int)]
    ranking = rank(BlendSelector(), SelectionProblem(target, known, known.sources, SETUP, bank.without(target), vectors))
    assert ranking.assessment is not None
    gains = [predicted_gain.gain for predicted_gain in ranking.assessment.predicted_gains.values()][:5]
    stop = next((k for k in range(1, len(gains)) if gains[k] < 0.5 * np.mean(gains[:k])), len(gains))
    return ranking.assessment.suggestion.k, ranking.assessment.suggestion.reason, stop


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument("data", type=Path)
    return harness.parse(options, argv)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    by_k = accuracies(given.data)
    rows: list[dict[str, Any]] = []
    for target, measured in by_k.items():
        if target not in published_web().targets:
            continue
        k, reason, stop = suggested(target)
        nearest, small = (min(measured, key=lambda one, k=k: (abs(one - k), one)) for k in (k, stop))  # type: ignore[misc]
        rows.append({"target": target, "k": k, "reason": reason, "nearest": nearest, "small": small, "accuracy": measured})
        print(target, k, reason, {one: round(value, 1) for one, value in measured.items()}, flush=True)
    means = {k: float(np.mean([row["accuracy"][k] for row in rows if k in row["accuracy"]])) for k in MIXTURES}
    gaps = {
        name: np.array([[row["accuracy"][row[name]] - row["accuracy"][5] for row in rows]]) for name in ("nearest", "small")
    }
    best = np.array([max(row["accuracy"].values()) - row["accuracy"][5] for row in rows])
    result = {
        "targets": rows,
        "mean_by_k": means,
        **{
            f"{name}_over_five": {"difference": float(gap.mean()), "interval": mean_interval(gap)} for name, gap in gaps.items()
        },
        "best_over_five": float(best.mean()),
    }
    print(json.dumps({name: value for name, value in result.items() if name != "targets"}))
    harness.write_result(__file__, given, result)


if __name__ == "__main__":
    main()
