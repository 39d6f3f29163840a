"""What a target's gains in other setups say of its gains in the one at hand: a smaller model, another method, another family.

Each target of the published web is left out in turn, and ranked by the default selector, without and with its row in another
setup (`taskweb suggest --evidence`): after no run of its own, and after some that knowledge gradient chooses. The row has all
8 seeds, or one. For pairs of a smaller and a larger model: what is reached at equal cost, one run of the smaller counted as the
ratio of their parameters, training a source as three runs.

Needs the published runs (runs.parquet with recovered_baselines.csv in the folder --runs).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.selection.measured_runs import runs_of
from taskweb.active.acquisition import POLICIES
from taskweb.active.replay import COST_OF_SOURCE, HiddenRuns, Replayed, replay
from taskweb.selectors import BlendSelector, SelectionProblem
from taskweb.selectors.base import FloatArray
from taskweb.selectors.benchmark import DrawSettings, drawn_problem
from taskweb.selectors.gain_prior import GainPrior, gain_prior
from taskweb.selectors.posterior import Posterior
from taskweb.selectors.row_evidence import MeasuredRow, with_rows
from taskweb.web.bootstrap import mean_interval, mean_over_targets
from taskweb.web.opening import open_web
from taskweb.web.published import published_bank
from taskweb.web.seed_gains import SeedGains
from taskweb.workflows.replaying import FIGURES, Judge

PARAMETERS = {"t5s": 77, "t5b": 248, "t5l": 783}  # millions, of the LM-adapted models
REPLAYED = (("t5b/finetune", "t5s/finetune"), ("t5l/finetune", "t5s/finetune"), ("t5l/finetune", "t5b/finetune"))
MARKS = (0, 2, 4, 6, 8, 10, 13, 15)
SHOWN = ("ndcg", "regret_at_5", "regret_at_1", "coverage")
ALL = "all others"


@dataclass(frozen=True, eq=False)
class Left:
    """A target left out, in one setup. places: of its candidates among the sources of the runs."""

    problem: SelectionProblem
    prior: GainPrior
    runs: SeedGains
    places: list[int]
    repeat: int

    def row(self, setup: str, seeds: int | None) -> MeasuredRow:
        """The target's row in another setup: all seeds, or as many from that of the repeat on."""
        gains = self._gains(setup)
        if seeds is not None:
            gains = gains[:, (self.repeat + np.arange(seeds)) % gains.shape[1]]
        known = np.isfinite(gains)
        count = known.sum(axis=1)
        mean = np.divide(np.where(known, gains, 0.0).sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0)
        squares = np.where(known, (gains - mean[:, None]) ** 2, 0.0).sum(axis=1)
        errors = np.sqrt(np.divide(squares, (count - 1) * count, out=np.full(len(count), np.nan), where=count > 1))
        return MeasuredRow(setup, mean, errors)

    def with_rows(self, setups: Sequence[str], seeds: int | None = None) -> GainPrior:
        """The prior with rows as evidence."""
        return with_rows(self.prior, self.problem, BlendSelector(), [self.row(setup, seeds) for setup in setups])

    def judge(self) -> Judge:
        """The truth."""
        return Judge(self._gains(self.problem.setup), self.runs.scores[self._at(self.problem.setup)][self.places])

    def hidden(self) -> HiddenRuns:
        """The runs to be bought."""
        return HiddenRuns(self._gains(self.problem.setup))

    def _gains(self, setup: str) -> FloatArray:
        return np.asarray(self.runs.gains[self._at(setup)][self.places])

    def _at(self, setup: str) -> tuple[int, int]:
        return self.runs.setups.index(setup), self.runs.targets.index(self.problem.target)


def left_out(runs: SeedGains, repeats: int) -> Iterator[tuple[int, Left]]:
    """Every target in every setup and repeat that can be judged, with the place of the target."""
    web, bank, selector = open_web(), published_bank(), BlendSelector()
    targets = [target for target in web.targets if target not in web.tuning_targets]
    for place, target in enumerate(targets):
        for repeat in range(repeats):
            problem = drawn_problem(target, web.without(target), bank, repeat, DrawSettings())
            sources = [runs.sources.index(name) for name in problem.candidates]
            for setup in web.setups:
                own = problem.in_setup(setup)
                found = Left(own, gain_prior(own, selector, selector.score(own)), runs, sources, repeat)
                if not found.judge().fault:
                    yield place, found


def figures_of(judge: Judge, prior: GainPrior) -> FloatArray:
    """Those of SHOWN before any run."""
    values = judge.figures(Replayed(0, Posterior(prior), 0.0, 0))
    return np.array([values[FIGURES.index(name)] for name in SHOWN])


class Table:
    """Figures by row of the table, target and repeat."""

    def __init__(self, targets: int, repeats: int) -> None:
        self.shape = (len(SHOWN), targets, repeats)
        self.values: dict[tuple[Any, ...], FloatArray] = {}

    def add(self, key: tuple[Any, ...], target: int, repeat: int, figures: FloatArray) -> None:
        """Add the figures of one target."""
        self.values.setdefault(key, np.full(self.shape, np.nan))[:, target, repeat] = figures

    def rows(self, names: Sequence[str], base: Any) -> list[dict[str, Any]]:
        """A row per key, with paired differences to the key whose entry named `evidence` is `base`."""
        found = []
        for key, values in self.values.items():
            row: dict[str, Any] = dict(zip(names, key, strict=True))
            reference = self.values[tuple(base if name == "evidence" else value for name, value in row.items())]
            for place, name in enumerate(SHOWN):
                own, other = (np.nanmean(table[place], axis=-1)[None] for table in (values, reference))
                row[name] = mean_over_targets(own)
                if row["evidence"] != base:
                    row[f"{name}_over_none"] = [mean_over_targets(own - other), *mean_interval(own - other)]
            found.append(row)
        return found


def measured(runs: SeedGains, repeats: int) -> dict[str, Any]:
    """All figures."""
    count = len(open_web().targets)
    before, after = Table(count, repeats), Table(count, repeats)
    costs: dict[tuple[str, str, str, int], list[float]] = {}
    for place, own in left_out(runs, repeats):
        setup, judge = own.problem.setup, own.judge()
        before.add((setup, "none"), place, own.repeat, figures_of(judge, own.prior))
        others = [name for name in runs.setups if name != setup]
        for name in others:
            before.add((setup, name), place, own.repeat, figures_of(judge, own.with_rows([name])))
        before.add((setup, ALL), place, own.repeat, figures_of(judge, own.with_rows(others)))
        for small in (small for big, small in REPLAYED if big == setup):
            before.add((setup, f"{small}, 1 seed"), place, own.repeat, figures_of(judge, own.with_rows([small], 1)))
            priors = {"none": own.prior, "8 seeds": own.with_rows([small]), "1 seed": own.with_rows([small], 1)}
            for evidence, prior in priors.items():
                for state in replay(prior, own.hidden(), POLICIES["kg"], MARKS, seed=[own.repeat, place]):
                    values = judge.figures(state)
                    key = (setup, small, evidence, state.measured)
                    after.add(key, place, own.repeat, np.array([values[FIGURES.index(name)] for name in SHOWN]))
                    costs.setdefault(key, []).append(state.cost_hours + row_cost(setup, small, evidence))
    found = after.rows(("setup", "row_of", "evidence", "runs"), "none")
    for row in found:
        row["cost"] = float(np.mean(costs[row["setup"], row["row_of"], row["evidence"], row["runs"]]))
    return {"before_any_run": before.rows(("setup", "evidence"), "none"), "after_runs": found}


def row_cost(setup: str, small: str, evidence: str) -> float:
    """What a row of the smaller model costs, in runs of the larger: runs, baselines, and training the sources."""
    seeds = {"none": 0, "1 seed": 1, "8 seeds": 8}[evidence]
    sources = len(open_web().sources) - 1
    ratio = PARAMETERS[small.partition("/")[0]] / PARAMETERS[setup.partition("/")[0]]
    return ratio * seeds * (sources * (1 + COST_OF_SOURCE) + 1)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = harness.parser(__doc__, __file__)
    parser.add_argument("--runs", type=Path, required=True, help="folder with runs.parquet and recovered_baselines.csv")
    parser.add_argument("--repeats", type=harness.at_least_one, default=4)
    return harness.parse(parser, argv, {"repeats": 1})


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the result."""
    given = arguments(argv)
    found = measured(runs_of(given.runs, open_web()), given.repeats)
    for row in found["before_any_run"]:
        print(f"{row['setup']:16} {row['evidence']:24} {_figures(row)}")
    for row in found["after_runs"]:
        name = f"{row['setup']} + {row['row_of']}, {row['evidence']}"
        print(f"{name:42} {row['runs']:3} runs, cost {row['cost']:6.1f}  {_figures(row)}")
    harness.write_result(__file__, given, found)


def _figures(row: Mapping[str, Any]) -> str:
    text = f"{row['ndcg']:.1f} / {row['regret_at_5']:.2f} / {row['regret_at_1']:.2f}  in 80% {row['coverage']:.0f}"
    if "ndcg_over_none" in row:
        text += f"  NDCG {row['ndcg_over_none'][0]:+.1f}, Regret@5 {row['regret_at_5_over_none'][0]:+.2f}"
    return text


if __name__ == "__main__":
    main()
