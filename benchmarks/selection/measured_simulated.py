"""What a few runs of the target are worth on simulated webs of 10 to 25 tasks, whose true gains are known.

The webs are those of `simulated_webs`, with two or three seeds per pair, one to four setups and, in some, missing pairs; every
other one has no texts. A run is its pair's true gain with the noise of its seed and of that seed's baseline, both with heavy
tails (Student's t with four degrees of freedom); noise is about as large as the differences between sources, as in the
published web. Each task is left out in turn and its runs are bought one by one; orders and intervals are judged by the true
gains.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.selection.simulated_webs import CAUSES, simulated
from taskweb.active.acquisition import POLICIES
from taskweb.active.replay import HiddenRuns, replay
from taskweb.metrics import ndcg, regret_at_k
from taskweb.selectors import BlendSelector, SelectionProblem
from taskweb.selectors.benchmark import DrawSettings, drawn_problem
from taskweb.selectors.gain_prior import SHARE_OF_BASELINE, gain_prior
from taskweb.selectors.posterior import Posterior
from taskweb.web import ExampleBank, TransferWeb
from taskweb.web.records.run_table import NO_SOURCE, RunTable
from taskweb.web.scores import score_runs
from taskweb.web.seed_gains import SeedGains, seed_gains

FEWEST, MOST = 10, 25  # tasks
RATIO = 0.9  # of a run's noise to the spread of gains, in the median web
SHOWN = ("kg", "uniform", "random")
FIGURES = ("ndcg", "regret_at_5", "coverage")
_SETUPS = 2  # replayed, at most
_FEWEST_SOURCES = 6  # with runs, for Regret@5 to say anything


def runs_of(web: TransferWeb, draw: np.random.Generator) -> RunTable:
    """Runs of a web whose T is taken for the true gains: every known pair with the same two or three seeds."""
    rows: list[tuple[int, int, int, int, float]] = []
    seeds, ratio = int(draw.integers(2, 4)), RATIO * float(np.exp(draw.normal(0, 0.4)))

    def noise(spread: float, share: float, size: int) -> np.ndarray:
        return spread * np.sqrt(share / 2) * draw.standard_t(4, size=size)

    for target in range(len(web.targets)):
        alone = draw.uniform(0.35, 0.7)
        for setup in range(len(web.setups)):
            gains = web.t[setup, target]
            spread = ratio * float(np.nanstd(gains))
            base = alone * (1 + noise(spread, SHARE_OF_BASELINE, seeds))
            rows += [(setup, target, NO_SOURCE, seed, score) for seed, score in enumerate(base.tolist())]
            for source in np.flatnonzero(np.isfinite(gains)).tolist():
                scores = alone * (1 + gains[source] + noise(spread, 1 - SHARE_OF_BASELINE, seeds))
                rows += [(setup, target, source, seed, score) for seed, score in enumerate(scores.tolist())]
    codes = [np.array(column, dtype=np.int32) for column in zip(*(row[:4] for row in rows), strict=True)]
    scores = np.array([row[4] for row in rows])
    return RunTable(web.setups, web.targets, web.sources, codes[0], codes[1], codes[2], codes[3], scores, None)


def judged(posterior: Posterior, truth: np.ndarray) -> tuple[float, ...]:
    """As FIGURES, in percent."""
    known = np.isfinite(truth)
    gains, mean = truth[known], posterior.mean[known]
    low, high = posterior.interval()
    inside = (gains >= low[known]) & (gains <= high[known])
    return 100 * ndcg(gains, mean), 100 * regret_at_k(gains, 1 + gains, mean, 5), 100 * float(inside.mean())


def replayed(truth: TransferWeb, bank: ExampleBank | None, seed: object, marks: Sequence[int]) -> np.ndarray:
    """Figures of a web, mean over its targets and setups: (policies, marks, figures)."""
    table = runs_of(truth, np.random.default_rng(seed))  # type: ignore[arg-type]  # whatever numpy takes
    web, runs, found = score_runs(table, truth.name), seed_gains(table, truth.name), []
    texts = None if bank is None else ExampleBank({task: bank.vectors[task] for task in web.sources})
    for i, target in enumerate(web.targets):
        problem = drawn_problem(target, web.without(target), texts, 0, DrawSettings())
        for j, setup in enumerate(web.setups[:_SETUPS]):
            found += list(_of_target(problem.in_setup(setup), runs, truth.t[j, i], (j, i), marks))
    return np.mean(found, axis=0)


def _of_target(
    problem: SelectionProblem, runs: SeedGains, truth: np.ndarray, at: tuple[int, int], marks: Sequence[int]
) -> Iterator[np.ndarray]:
    places = [runs.sources.index(name) for name in problem.candidates]
    hidden = runs.gains[at][places]
    gains = np.where(np.isfinite(hidden).any(axis=1), truth[places], np.nan)
    if np.isfinite(gains).sum() >= _FEWEST_SOURCES:
        selector = BlendSelector()
        prior = gain_prior(problem, selector, selector.score(problem))
        states = [replay(prior, HiddenRuns(hidden), POLICIES[name], marks, seed=[0, *at]) for name in SHOWN]
        yield np.array([[judged(state.posterior, gains) for state in each] for each in states])


def measured(webs: int, marks: tuple[int, ...]) -> list[dict[str, Any]]:
    """A row per policy and number of runs: means over webs, and paired differences of Regret@5 with their standard errors."""
    found = []
    for kind, causes in enumerate(CAUSES):
        for i in range(webs):
            draw = np.random.default_rng((17, kind, i))
            truth, bank, _ = simulated(int(draw.integers(FEWEST, MOST + 1)), causes, draw)
            found.append(replayed(truth, bank if i % 2 == 0 else None, (18, kind, i), marks))
    values, regret = np.array(found), FIGURES.index("regret_at_5")  # webs x policies x marks x figures
    rows = []
    for p, policy in enumerate(SHOWN):
        for m, mark in enumerate(marks):
            row: dict[str, Any] = {"policy": policy, "measured": mark, "webs": len(values)}
            row |= dict(zip(FIGURES, values[:, p, m].mean(axis=0).tolist(), strict=True))
            for name, other in (("uniform", values[:, SHOWN.index("uniform"), m]), ("none", values[:, p, marks.index(0)])):
                difference = values[:, p, m, regret] - other[:, regret]
                error = float(difference.std() / np.sqrt(len(difference)))
                row[f"regret_at_5_against_{name}"] = [float(difference.mean()), error]
            rows.append(row)
    return rows


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    options = harness.parser(__doc__, __file__)
    options.add_argument("--webs", type=harness.at_least_one, default=6, help="of each cause (%(default)s)")
    options.add_argument("--measure", type=lambda text: tuple(map(int, text.split(","))), default=(0, 4, 8, 15, 21))
    return harness.parse(options, argv, quick={"webs": 1, "measure": (0, 8)})


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a row per policy and number of runs, and write the result."""
    given = arguments(argv)
    rows = measured(given.webs, given.measure)
    print("| policy | runs | NDCG | Regret@5 | in 80% | Regret@5 against uniform | against no run |\n" + "|---" * 7 + "|")
    for row in rows:
        differences = ["{:+.2f} ± {:.2f}".format(*row[f"regret_at_5_against_{name}"]) for name in ("uniform", "none")]
        cells = [f"{row[name]:{form}}" for name, form in zip(FIGURES, (".1f", ".2f", ".0f"), strict=True)]
        print("| " + " | ".join([row["policy"], str(row["measured"]), *cells, *differences]) + " |")
    harness.write_result(__file__, given, rows)


if __name__ == "__main__":
    main()
