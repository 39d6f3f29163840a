"""Which runs of a web to buy: rankings for unseen targets from a part of the published runs, by design and cost.

Every setup is a web of its own. A design buys runs until its share of the cost of all pairs with all seeds is spent. A target
is left out with its row and its column, the default selector ranks for it from what is left of the runs bought, and the ranking
is judged on all runs of the target. Figures are differences to the ranking from all runs. A run costs its mean time, a baseline
as much, and training a source as much as three mean runs; baselines and trained sources are paid once per seed.

Needs the published runs (runs.parquet with recovered_baselines.csv in the folder --runs).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.selection.measured_runs import runs_of
from taskweb.active.replay import COST_OF_SOURCE
from taskweb.active.web_design import ChosenRun, RunCosts, WebProgress, WebTasks, chosen_runs, noise_of_runs, text_kernel
from taskweb.metrics import ndcg, regret_at_k
from taskweb.selectors import BlendSelector
from taskweb.selectors.benchmark import REGRET_K, DrawSettings, drawn_problem
from taskweb.web import ExampleBank, TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.bootstrap import mean_interval, mean_over_targets
from taskweb.web.opening import open_web
from taskweb.web.published import published_bank
from taskweb.web.seed_gains import SeedGains
from taskweb.web.transfer_web import LEAST_GAIN, combined_score

SHARES = (0.05, 0.1, 0.125, 0.15, 0.25, 0.5)
OTHER_SHARES = (0.05, 0.15)  # at which all but the two designs below are judged
REFERENCE = "seed by seed"
MAIN = ("chosen", REFERENCE)
COLOURS = {
    "chosen": "#0b6e4f",
    REFERENCE: "#1f5fa8",
    "d-optimal": "#8a4fb0",
    "random pairs": "#c44536",
    "some targets": "#b8860b",
    "some sources": "#777777",
}


@dataclass(frozen=True, eq=False)
class KnownWeb:
    """One setup whose runs are all known. gains, scores: (targets, sources, seeds), NaN for a task and itself."""

    setup: str
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    gains: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    costs: RunCosts = field(repr=False)
    tasks: WebTasks = field(repr=False)

    @classmethod
    def of(cls, runs: SeedGains, setup: str, bank: ExampleBank) -> KnownWeb:
        """A setup of the published runs."""
        at = runs.setups.index(setup)
        own = np.array([[target == source for source in runs.sources] for target in runs.targets])
        gains, scores = (np.where(own[..., None], np.nan, values[at]) for values in (runs.gains, runs.scores))
        hours = runs.hours[at]
        names = list(dict.fromkeys((*runs.sources, *runs.targets)))
        kernel = text_kernel(np.array([bank.of(name).mean(axis=0) for name in names], float))
        t, s = ([names.index(name) for name in side] for side in (runs.targets, runs.sources))
        tasks = WebTasks(~own, kernel[np.ix_(s, s)], kernel[np.ix_(t, t)])
        costs = RunCosts(hours, hours, np.full(len(runs.sources), COST_OF_SOURCE * hours.mean()))
        return cls(setup, runs.targets, runs.sources, gains, scores, costs, tasks)

    @property
    def seeds(self) -> int:
        """Of each pair."""
        return self.gains.shape[2]

    @property
    def cost(self) -> float:
        """Of all pairs with all seeds."""
        pairs = (self.tasks.possible * self.costs.run[:, None]).sum()
        return float(self.seeds * (pairs + self.costs.baseline.sum() + self.costs.source.sum()))

    def bought(self, runs: np.ndarray) -> TransferWeb:
        """The web of these runs, (targets, sources, seeds)."""
        t, pc, pm = transfer(np.where(runs, self.gains, np.nan))
        return TransferWeb(self.setup, (self.setup,), self.targets, self.sources, t[None], pc=pc[None], pm=pm[None])


def transfer(gains: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T, PC and PM of gains by seed, NaN where there are none."""
    known = np.isfinite(gains)
    count = known.sum(axis=-1)
    better = (np.where(known, gains, -1.0) > LEAST_GAIN).sum(axis=-1)
    pc, pm = (
        np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
        for total in (np.where(known, gains, 0.0).sum(axis=-1), better)
    )
    return combined_score(pc, pm), pc, pm


# Designs: pairs and seeds in the order in which they are bought


Order = Iterator[tuple[int, int, int]]
Design = Callable[[KnownWeb, np.random.Generator], Order]


def chosen(web: KnownWeb, _draw: np.random.Generator) -> Order:
    """By what they say about unseen targets; in rounds, as noise is learned from the runs bought."""
    spent, progress = 0.0, WebProgress.none(web.tasks.possible, web.seeds)
    for share in SHARES:
        noise = noise_of_runs(np.where(progress.runs, web.gains, np.nan))
        for run in chosen_runs(web.tasks, web.costs, progress, noise):
            spent += run.cost
            if spent > share * web.cost:
                spent -= run.cost
                break
            yield run.target, run.source, run.seed
            mark(progress, run)


def mark(progress: WebProgress, run: ChosenRun) -> None:
    """Note a run as made."""
    progress.runs[run.target, run.source, run.seed] = True
    progress.baselines[run.target, run.seed] = progress.trained[run.source, run.seed] = True


def d_optimal(web: KnownWeb, _draw: np.random.Generator) -> Order:
    """By what they say about all parts of the model of gains."""
    none = WebProgress.none(web.tasks.possible, web.seeds)
    for run in chosen_runs(web.tasks, web.costs, none, criterion="information"):
        yield run.target, run.source, run.seed


def seed_by_seed(web: KnownWeb, draw: np.random.Generator) -> Order:
    """All pairs with the first seed, in random order, then with the next."""
    pairs = np.argwhere(web.tasks.possible)
    for seed in range(web.seeds):
        yield from ((int(t), int(s), seed) for t, s in draw.permutation(pairs))


def random_pairs(web: KnownWeb, draw: np.random.Generator) -> Order:
    """Random pairs, each with all seeds."""
    for target, source in draw.permutation(np.argwhere(web.tasks.possible)):
        yield from ((int(target), int(source), seed) for seed in range(web.seeds))


def some_targets(web: KnownWeb, draw: np.random.Generator) -> Order:
    """Random targets, each with all sources and all seeds: whole rows of pivots."""
    for target in draw.permutation(len(web.targets)).tolist():
        for source in np.flatnonzero(web.tasks.possible[target]).tolist():
            yield from ((target, source, seed) for seed in range(web.seeds))


def some_sources(web: KnownWeb, draw: np.random.Generator) -> Order:
    """Random sources, each with all targets and all seeds."""
    for source in draw.permutation(len(web.sources)).tolist():
        for target in np.flatnonzero(web.tasks.possible[:, source]).tolist():
            yield from ((target, source, seed) for seed in range(web.seeds))


DESIGNS: Mapping[str, Design] = dict(
    zip(COLOURS, (chosen, seed_by_seed, d_optimal, random_pairs, some_targets, some_sources), strict=True)
)


def parts(web: KnownWeb, order: Order, seeds: np.ndarray) -> Iterator[np.ndarray]:
    """The runs bought at each of SHARES, (targets, sources, seeds). seeds: which run is the first of a pair, the second, ..."""
    progress, spent, costs = WebProgress.none(web.tasks.possible, web.seeds), 0.0, web.costs
    ahead = next(order, None)
    for share in SHARES:
        while ahead is not None:
            target, source, seed = ahead
            cost = float(costs.run[target] + costs.baseline[target] * (not progress.baselines[target, seed]))
            cost += float(costs.source[source]) * (not progress.trained[source, seed])
            if spent + cost > share * web.cost * (1 + 1e-9):
                break
            mark(progress, ChosenRun(target, source, seed, cost))
            spent, ahead = spent + cost, next(order, None)
        found = np.zeros_like(progress.runs)
        found[..., seeds] = progress.runs
        yield found


# Judging


def judged(web: KnownWeb, known: TransferWeb, bank: ExampleBank, targets: Sequence[str], draw: int) -> np.ndarray:
    """NDCG and Regret@5 in percent for each target left out, (2, targets), NaN where there is no order to find."""
    found = np.full((2, len(targets)), np.nan)
    truth = transfer(web.gains)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a task's runs with itself, which there are none of
        raw = np.nanmean(web.scores, axis=2)
    for place, target in enumerate(targets):
        problem = drawn_problem(target, known.without(target), bank, draw, DrawSettings()).in_setup(web.setup)
        row, columns = web.targets.index(target), [web.sources.index(name) for name in problem.candidates]
        t = truth[row, columns]
        if np.ptp(t) > 0:
            scores = BlendSelector().score(problem)
            found[:, place] = 100 * ndcg(t, scores), 100 * regret_at_k(t, raw[row, columns], scores, REGRET_K)
    return found


def replayed(
    runs: SeedGains, bank: ExampleBank, targets: Sequence[str], designs: Sequence[str], repeats: Sequence[int]
) -> dict[str, np.ndarray]:
    """Figures of each design at each share: (shares, 2, setups, targets, repeats), NaN where not judged.

    `all runs` has one share. repeats: their numbers, each with other seeds of runs and other examples.
    """
    webs = [KnownWeb.of(runs, setup, bank) for setup in runs.setups]
    shape = (2, len(webs), len(targets), len(repeats))
    found = {name: np.full((len(SHARES), *shape), np.nan) for name in designs} | {"all runs": np.full((1, *shape), np.nan)}
    for place, repeat in enumerate(repeats):
        for i, web in enumerate(webs):
            found["all runs"][0, :, i, :, place] = judged(web, web.bought(np.isfinite(web.gains)), bank, targets, repeat)
            seeds, known = np.random.default_rng([repeat, i]).permutation(web.seeds), dict[bytes, np.ndarray]()
            for name in designs:
                order = DESIGNS[name](web, np.random.default_rng([repeat, i, *name.encode()]))
                for m, bought in enumerate(parts(web, order, seeds)):
                    if name in MAIN or SHARES[m] in OTHER_SHARES:
                        if (same := bought.tobytes()) not in known:
                            known[same] = judged(web, web.bought(bought), bank, targets, repeat)
                        found[name][m, :, i, :, place] = known[same]
            print(f"repeat {repeat + 1}: {web.setup}", flush=True)
    return found


def rows(found: Mapping[str, np.ndarray], setups: Sequence[str]) -> list[dict[str, Any]]:
    """A row per design, share and setup (or `mean`), with differences to all runs and to the reference at the same cost."""
    every, result = found["all runs"][0], []
    for name, values in found.items():
        for m in np.flatnonzero(np.isfinite(values).any(axis=(1, 2, 3, 4))).tolist():
            for setup, part in [*((setup, slice(i, i + 1)) for i, setup in enumerate(setups)), ("mean", slice(None))]:
                row: dict[str, Any] = {"design": name, "share": SHARES[m] if name != "all runs" else 1.0, "setup": setup}
                row["repeats"] = int(np.isfinite(values[m, 0]).any(axis=(0, 1)).sum())
                for f, figure in enumerate(("ndcg", "regret_at_5")):
                    own = values[m, f, part]
                    row[figure] = compared(own)[0]
                    row[f"{figure}_against_all_runs"] = compared(own - every[f, part])
                    if REFERENCE in found and name != "all runs":
                        row[f"{figure}_against_{REFERENCE.replace(' ', '_')}"] = compared(own - found[REFERENCE][m, f, part])
                result.append(row)
    return result


def compared(values: np.ndarray) -> list[float]:
    """Mean and 95% interval over targets of figures or paired differences, (setups, targets, repeats)."""
    of_targets = nan_mean(values, axis=-1)
    return [round(value, 3) for value in (mean_over_targets(of_targets), *mean_interval(of_targets))]


# Output


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """NDCG / Regret@5 by design and share, mean of the setups, as Markdown."""
    mean = {(row["design"], row["share"]): row for row in found if row["setup"] == "mean"}
    lines = ["| share of the cost | " + " | ".join(f"{share:g}" for share in SHARES) + " |", "|---" * (len(SHARES) + 1) + "|"]
    for name in dict.fromkeys(design for design, _ in mean if design != "all runs"):
        own = [mean.get((name, share)) for share in SHARES]
        cells = ["" if row is None else "{ndcg:.1f} / {regret_at_5:.2f}".format(**row) for row in own]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join([*lines, "\nall runs: {ndcg:.1f} / {regret_at_5:.2f}".format(**mean["all runs", 1.0])]) + "\n"


def plot(found: Sequence[Mapping[str, Any]]) -> str:
    """NDCG lost against the share of the cost, as SVG, a line per design."""
    width, height, left, bottom, right = 560, 320, 60, 45, 120
    mean = [row for row in found if row["setup"] == "mean"]
    lost = {name: {row["share"]: -row["ndcg_against_all_runs"][0] for row in mean if row["design"] == name} for name in COLOURS}
    top = max(max(values.values(), default=1.0) for values in lost.values()) * 1.05
    scale = np.log(SHARES[-1] / SHARES[0])

    def x(share: float) -> float:
        return left + (width - left - right) * float(np.log(share / SHARES[0]) / scale)

    def y(points: float) -> float:
        return 20 + (height - bottom - 20) * max(0.0, points) / top

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">']
    parts.append(f'<path d="M{left},20 V{height - bottom} H{width - right}" fill="none" stroke="#888"/>')
    parts += [
        f'<text x="{x(share):.1f}" y="{height - bottom + 16}" text-anchor="middle">{100 * share:g}%</text>'
        for share in SHARES
        if share != 0.125
    ]
    parts += [f'<text x="{left - 6}" y="{y(n) + 4:.1f}" text-anchor="end">{-n:g}</text>' for n in range(0, int(top) + 1, 5)]
    for place, (name, colour) in enumerate(COLOURS.items()):
        if lost[name]:
            line = " ".join(f"{x(share):.1f},{y(value):.1f}" for share, value in lost[name].items())
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            parts.append(f'<text x="{width - right + 10}" y="{40 + 18 * place}" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">cost, of all runs</text>')
    parts.append(f'<text x="{left}" y="12">NDCG against the ranking from all runs</text></svg>')
    return "\n".join(parts) + "\n"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = harness.parser(__doc__, __file__)
    parser.add_argument("--runs", type=Path, required=True, help="folder with runs.parquet and recovered_baselines.csv")
    parser.add_argument("--repeats", type=harness.at_least_one, default=1, help="each with other seeds and examples drawn")
    parser.add_argument("--first", type=harness.at_least_one, default=1, help="number of the first repeat")
    parser.add_argument("--design", action="append", choices=list(DESIGNS), help="may be repeated; all by default")
    parser.add_argument("--keep", action="store_true", help="keep the rows of other designs in the result file")
    return harness.parse(parser, argv, {"repeats": 1, "design": list(MAIN)})


def main(argv: Sequence[str] | None = None) -> None:
    """Replay, print the mean over setups, and write the result and a figure."""
    given = arguments(argv)
    web, designs = open_web(), given.design or list(DESIGNS)
    targets = [target for target in web.targets if target not in web.tuning_targets][: 3 if given.quick else None]
    repeats = range(given.first - 1, given.first - 1 + given.repeats)
    result = rows(replayed(runs_of(given.runs, web), published_bank(), targets, designs, repeats), web.setups)
    if given.keep and given.out.exists():
        result = [
            row for row in harness.read_figures(given.out)["rows"] if row["design"] not in {*designs, "all runs"}
        ] + result
    print(table(result))
    harness.write_result(__file__, given, {"rows": result})
    harness.write_text(given.out and given.out.with_suffix(".svg"), plot(result))


if __name__ == "__main__":
    main()
