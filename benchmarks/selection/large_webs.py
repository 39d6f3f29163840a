"""Buying the runs of large webs: simulated webs with the noise and the structure of the published one, planned and replayed.

The gains of a simulated web have the parts that the published one has, with the same variances (`taskweb.active.web_design`):
how much a source helps all targets, an interaction that is smooth over texts, a rest, the level of each target, noise of runs,
and noise that the runs of a seed share with their baseline. Scale, noise and cost differ from target to target as widely as
there. Texts are vectors whose positions show the interaction. How well that matches is measured: the same figures of webs of 22
tasks and 8 seeds, and of the published web. A large web has 3 seeds and a model of 1 billion parameters: runs take as long as
those of t5l (0.78 billion) times the ratio. Rankings are for targets that are not in the web, judged on 8 seeds.

Needs the published runs (runs.parquet with recovered_baselines.csv in the folder --runs).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.selection.measured_runs import runs_of
from benchmarks.selection.whole_webs import DESIGNS, SHARES, KnownWeb, parts, transfer
from taskweb.active.replay import COST_OF_SOURCE
from taskweb.active.web_design import INTERACTION, LEVEL, POPULARITY, REST, RunCosts, WebTasks, text_kernel
from taskweb.metrics import ndcg
from taskweb.selectors import BlendSelector, SelectionProblem
from taskweb.web import ExampleBank
from taskweb.web.arrays import nan_mean
from taskweb.web.opening import open_web
from taskweb.web.published import published_bank

SCALE, SCALE_SPREAD = 0.035, 0.8  # of gains, as a fraction; log-normal over targets
NOISE, NOISE_SPREAD = 0.95, 1.0  # variance of a run over seeds in units of that of the gains; log-normal over targets
BASELINE = 0.3  # variance of what runs of a seed share, in the same units
HOURS_SPREAD = 0.6
HOURS = 0.034 * 1000 / 783  # of a run: the mean of t5l, by parameters
DIMENSION, POSITIONS, EXAMPLES, SCATTER = 48, 8, 32, 0.15
JUDGED = (0.05, 0.15)
COMPARED = ("chosen", "seed by seed", "random pairs")


@dataclass(frozen=True, eq=False)
class Simulated:
    """A web, its texts, and targets that are not in it with their gains, (unseen, sources, 8 seeds)."""

    web: KnownWeb
    bank: ExampleBank
    unseen: dict[str, np.ndarray] = field(repr=False)
    truth: np.ndarray = field(repr=False)


def simulated(tasks: int, seeds: int, unseen: int, draw: np.random.Generator) -> Simulated:
    """A web of so many tasks, all of them sources and targets."""
    size = tasks + unseen
    positions = draw.normal(size=(size, POSITIONS))
    centres = _directions(positions) @ _directions(draw.normal(size=(POSITIONS, DIMENSION)))
    vectors = _directions(centres[:, None] + SCATTER * draw.normal(size=(size, EXAMPLES, DIMENSION))).astype(np.float32)
    kernel = text_kernel(positions)
    root = np.linalg.cholesky(kernel + 1e-9 * np.eye(size))
    units = (
        np.sqrt(POPULARITY) * draw.normal(size=tasks)
        + np.sqrt(INTERACTION) * root @ draw.normal(size=(size, size)) @ root[:tasks].T
        + np.sqrt(REST) * draw.normal(size=(size, tasks))
        + np.sqrt(LEVEL) * draw.normal(size=(size, 1))
    )
    noise = np.exp(0.5 * (np.log(NOISE) + NOISE_SPREAD * draw.normal(size=(size, 1, 1))))
    scale = SCALE * np.exp(SCALE_SPREAD * draw.normal(size=(size, 1, 1)))

    def measured(count: int) -> np.ndarray:
        shared = np.sqrt(BASELINE) * draw.normal(size=(size, 1, count))
        found: np.ndarray = scale * (units[..., None] + shared + noise * draw.normal(size=(size, tasks, count)))
        return found

    names = tuple(f"task{i:03d}" for i in range(size))
    possible = ~np.eye(tasks, dtype=bool)
    gains = np.where(possible[..., None], measured(seeds)[:tasks], np.nan)
    hours = HOURS * np.exp(HOURS_SPREAD * draw.normal(size=tasks) - HOURS_SPREAD**2 / 2)
    shown = text_kernel(np.array([own.mean(axis=0) for own in vectors[:tasks]], float))
    costs = RunCosts(hours, hours, np.full(tasks, COST_OF_SOURCE * hours.mean()))
    web = KnownWeb("m/f", names[:tasks], names[:tasks], gains, gains, costs, WebTasks(possible, shown, shown))
    bank = ExampleBank(dict(zip(names[:tasks], vectors[:tasks], strict=True)))
    return Simulated(web, bank, dict(zip(names[tasks:], vectors[tasks:], strict=True)), measured(8)[tasks:])


def ranked(own: Simulated, bought: np.ndarray) -> float:
    """NDCG in percent for the unseen targets, from the runs bought."""
    web, cache, found = own.web.bought(bought), dict[Any, Any](), []
    for target, truth in zip(own.unseen, transfer(own.truth)[0], strict=True):
        problem = SelectionProblem(target, web, web.sources, "m/f", own.bank, own.unseen[target], cache=cache)
        found.append(ndcg(truth, BlendSelector().score(problem)))
    return 100 * float(np.mean(found))


def structure(gains: np.ndarray) -> dict[str, float]:
    """What a web looks like, medians over targets: (targets, sources, seeds) with NaN where there is no run.

    noise: variance of a run in units of the variance of the gains; baseline: of what a seed's runs share; popularity: share of
    the variance of gains that sources have in common; spread_of_noise: standard deviation of its logarithm.
    """
    seeds = gains.shape[2]
    mean = nan_mean(gains, axis=2)
    scale = np.nanstd(mean, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # targets whose sources all score alike
        units = (gains - np.nanmean(mean, axis=1)[:, None, None]) / scale[:, None, None]
        away = units - nan_mean(units, axis=2)[..., None]
        shared = np.nanmean(away, axis=1)
        noise = np.nanmean((away - shared[:, None]) ** 2, axis=(1, 2)) * seeds / (seeds - 1)
    usable = np.isfinite(noise) & (noise > 0)
    rows = nan_mean(units, axis=2)[usable]
    within = np.nanmean((rows - np.nanmean(rows, axis=0)) ** 2) * len(rows) / (len(rows) - 1)
    return {
        "noise": float(np.median(noise[usable])),
        "spread_of_noise": float(np.log(noise[usable]).std()),
        "baseline": float(np.median((shared[usable] ** 2).mean(axis=1) * seeds / (seeds - 1))),
        "popularity": float(np.nanvar(np.nanmean(rows, axis=0)) - within / len(rows)),
        "spread_of_scale": float(np.log(scale[usable]).std()),
    }


def matched(folder: Path, webs: int) -> dict[str, dict[str, float]]:
    """The structure of the published web, mean of its setups, and of simulated webs of its size."""
    published, bank = open_web(), published_bank()
    runs = runs_of(folder, published)
    real = [structure(KnownWeb.of(runs, setup, bank).gains) for setup in runs.setups]
    made = [structure(simulated(22, 8, 0, np.random.default_rng([1, i])).web.gains) for i in range(webs)]
    return {
        name: {key: round(float(np.mean([row[key] for row in found])), 2) for key in found[0]}
        for name, found in (("published", real), ("simulated", made))
    }


def planned(tasks: int, seeds: int, webs: int, unseen: int) -> list[dict[str, Any]]:
    """A row per web and design: NDCG at each of JUDGED and from all runs, runs and hours bought, seconds to plan the last."""
    found = []
    for number in range(webs):
        own = simulated(tasks, seeds, unseen, np.random.default_rng([0, number]))
        every = ranked(own, np.isfinite(own.web.gains))
        for name in COMPARED:
            draw, began = np.random.default_rng([0, number, *name.encode()]), time.process_time()
            bought = list(_up_to(own.web, name, draw))
            seconds = time.process_time() - began
            row: dict[str, Any] = {"tasks": tasks, "web": number, "design": name, "all_runs": round(every, 2)}
            row |= {"hours": round(own.web.cost * JUDGED[-1]), "runs": int(bought[-1].sum()), "seconds": round(seconds, 1)}
            row["ndcg"] = {str(share): round(ranked(own, part), 2) for share, part in zip(JUDGED, bought, strict=True)}
            print(row, flush=True)
            found.append(row)
    return found


def _up_to(web: KnownWeb, name: str, draw: np.random.Generator) -> list[np.ndarray]:
    """The runs bought at each of JUDGED."""
    found = []
    for share, bought in zip(SHARES, parts(web, DESIGNS[name](web, draw), np.arange(web.seeds)), strict=False):
        if share in JUDGED:
            found.append(bought)
        if share == JUDGED[-1]:
            break
    return found


def _directions(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = harness.parser(__doc__, __file__)
    parser.add_argument("--runs", type=Path, required=True, help="folder with runs.parquet and recovered_baselines.csv")
    parser.add_argument("--tasks", type=harness.at_least_one, default=100)
    parser.add_argument("--webs", type=harness.at_least_one, default=2)
    parser.add_argument("--unseen", type=harness.at_least_one, default=16, help="targets that rankings are judged on")
    return harness.parse(parser, argv, {"tasks": 12, "webs": 1, "unseen": 3})


def main(argv: Sequence[str] | None = None) -> None:
    """Compare structures, plan and replay, and write the result."""
    given = arguments(argv)
    alike = matched(given.runs, 5 * given.webs)
    print(alike)
    harness.write_result(__file__, given, {"matched": alike, "rows": planned(given.tasks, 3, given.webs, given.unseen)})


if __name__ == "__main__":
    main()
