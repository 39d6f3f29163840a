"""Replays of measuring on a web whose runs are known: what `taskweb benchmark --measure` does.

Each target is left out in turn. Its own runs are hidden, and handed out one by one as a policy asks for them. After some runs
the sources are ordered by their expected gain, and the order is judged on all runs of the target, and on those not bought.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from taskweb.active.acquisition import DEFAULT_K, DEFAULT_POLICY, POLICIES, Policy
from taskweb.active.replay import HiddenRuns, Replayed, replay
from taskweb.errors import ParameterError, WebError, unknown_name
from taskweb.metrics import ndcg, regret_at_k
from taskweb.selectors import DEFAULT_SELECTOR, SelectionProblem
from taskweb.selectors.base import FloatArray, Selector
from taskweb.selectors.benchmark import MEAN, DrawSettings, drawn_problem
from taskweb.selectors.gain_prior import gain_prior
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.bootstrap import mean_interval, mean_over_targets
from taskweb.web.opening import open_seed_gains
from taskweb.web.seed_gains import SeedGains
from taskweb.web.transfer_web import LEAST_GAIN, combined_score
from taskweb.workflows.benchmarking import POOL_EXAMPLES, BenchmarkSettings
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.task_texts import embedder_of_texts, task_texts

FIGURES = ("ndcg", "regret_at_1", "regret_at_5", "ndcg_unbought", "regret_at_5_unbought", "coverage", "runs", "cost_hours")
_FEWEST_TARGETS = 3  # of a setup, to be replayed
_FEW_RUNS = 4  # of a pair; with as few, a replay soon buys a large share of them


@dataclass(frozen=True)
class ReplaySettings:
    """measure: numbers of runs after which the order is judged. policies: by name. repeats: each with other seeds of runs, and
    other examples drawn. k: sources to decide on. batch: runs that are chosen at once.
    """

    measure: tuple[int, ...] = (0, 8, 15, 21)
    policies: tuple[str, ...] = ("kg",)
    repeats: int = 20
    k: int = DEFAULT_K
    batch: int = 1

    def __post_init__(self) -> None:
        for policy in self.policies:
            if policy not in POLICIES:
                raise unknown_name("policy", policy, POLICIES)
        if not self.measure or min(self.measure) < 0:
            raise ParameterError("Numbers of runs to measure must be 0 or more, such as --measure 0,8,15.")
        for name, count in (("repeats", self.repeats), ("runs chosen at once", self.batch)):
            if count < 1:
                raise ParameterError(f"The number of {name} must be 1 or more. Got {count} instead.")


@dataclass(frozen=True)
class ReplayRow:
    """One policy after some runs, in one setup (or `mean` over setups).

    values: of each of FIGURES, mean over repeats: (figures, setups, targets), NaN where a target is left out. ndcg, regrets and
    coverage (of 80% intervals of the gains) in percent; runs: of the target, baselines included.
    """

    selector: str
    setup: str
    policy: str
    measured: int
    values: FloatArray = field(repr=False)

    def figure(self, name: str) -> float:
        """The mean over setups and targets."""
        return mean_over_targets(self.values[FIGURES.index(name)])

    def interval(self, name: str) -> tuple[float, float]:
        """95% bootstrap interval over targets."""
        return mean_interval(self.values[FIGURES.index(name)])

    def difference(self, other: ReplayRow, name: str) -> tuple[float, float, float]:
        """Paired difference to another row: mean, and 95% bootstrap interval over targets."""
        place = FIGURES.index(name)
        paired = self.values[place] - other.values[place]
        return (mean_over_targets(paired), *mean_interval(paired))

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        found: dict[str, object] = {"selector": self.selector, "setup": self.setup, "policy": self.policy}
        found["measured"] = self.measured
        for name in FIGURES:
            value = self.figure(name)
            found[name] = value if np.isfinite(value) else None
            if name in FIGURES[:5]:
                found[f"{name}_interval"] = [end if np.isfinite(end) else None for end in self.interval(name)]
        return found | {"n_targets": int(np.isfinite(self.values[0]).any(axis=0).sum())}


@dataclass(frozen=True, eq=False)
class Replays:
    """Replays of a web: its name, its runs, selector and texts that predictions before any run come from.

    policies: those compared, by name.
    """

    web: TransferWeb
    runs: SeedGains
    selector: Selector
    bank: ExampleBank | None
    settings: ReplaySettings
    policies: Mapping[str, Policy]

    @property
    def setups(self) -> tuple[str, ...]:
        """The setups that are replayed: those with runs of several targets."""
        known = np.isfinite(self.runs.gains).any(axis=(2, 3)).sum(axis=1)
        return tuple(name for name, count in zip(self.runs.setups, known.tolist(), strict=True) if count >= _FEWEST_TARGETS)

    def rows(self, targets: Sequence[str], setup: str = ALL_SETUPS, progress: Progress = silent) -> list[ReplayRow]:
        """A row per setup, policy and number of runs; with several setups one more for their mean."""
        setups = self.setups if setup == ALL_SETUPS else (setup,)
        policies, marks = tuple(self.policies), sorted(set(self.settings.measure))
        shape = (len(policies), len(marks), len(FIGURES), len(setups), len(targets), self.settings.repeats)
        values = np.full(shape, np.nan)
        with progress("Replaying targets", len(targets)) as advance:
            for j, target in enumerate(targets):
                for repeat in range(self.settings.repeats):
                    problem = drawn_problem(target, self.web.without(target), self.bank, repeat, DrawSettings())
                    for i, name in enumerate(setups):
                        for p, m, found in self._replayed(problem.in_setup(name), repeat, marks):
                            values[p, m, :, i, j, repeat] = found
                advance(1)
        means = nan_mean(values, axis=-1)
        chosen = [(name, slice(i, i + 1)) for i, name in enumerate(setups)]
        chosen += [(MEAN, slice(None))] if len(setups) > 1 else []
        return [
            ReplayRow(self.selector.name, name, policy, mark, means[p, m][:, part])
            for name, part in chosen
            for p, policy in enumerate(policies)
            for m, mark in enumerate(marks)
        ]

    def _replayed(
        self, problem: SelectionProblem, repeat: int, marks: Sequence[int]
    ) -> Iterator[tuple[int, int, tuple[float, ...]]]:
        """The figures of one target in one setup, by policy and number of runs; nothing where it cannot be judged."""
        runs, target = self.runs, problem.target
        if problem.setup not in runs.setups or target not in runs.targets:
            return
        at = runs.setups.index(problem.setup), runs.targets.index(target)
        places = [runs.sources.index(name) for name in problem.candidates]
        truth = Judge(runs.gains[at][places], runs.scores[at][places])
        if truth.fault:
            return
        prior = gain_prior(problem, self.selector, self.selector.score(problem))
        hidden = HiddenRuns(runs.gains[at][places], float(runs.hours[at]))
        how = self.settings
        for p, policy in enumerate(self.policies.values()):
            states = replay(prior, hidden, policy, marks, seed=[repeat, *at], k=how.k, batch=how.batch)
            for m, state in enumerate(states):
                yield p, m, truth.figures(state)


class Judge:
    """The truth about one target. gains, scores: (sources, seeds) of all its runs."""

    def __init__(self, gains: FloatArray, scores: FloatArray) -> None:
        self.gains, self.scores = gains, scores
        self.measured = np.isfinite(gains).any(axis=1)
        self.t = _combined(gains)
        self.fault = self.measured.sum() < 2 or np.ptp(self.t[self.measured]) == 0

    def figures(self, state: Replayed) -> tuple[float, ...]:
        """As FIGURES."""
        order = state.posterior.mean
        low, high = state.posterior.interval()
        pc = _mean(self.gains)
        inside = ((pc >= low) & (pc <= high))[self.measured].mean()
        unbought = self._unbought(state)
        return (
            *(100 * value for value in self._judged(self.t, _mean(self.scores), order, (1, 5))),
            *(100 * value for value in self._judged(_combined(unbought[0]), _mean(unbought[1]), order, (5,))),
            100 * float(inside),
            float(state.cost_runs),
            state.cost_hours,
        )

    def _judged(self, t: FloatArray, raw: FloatArray, order: FloatArray, ks: Sequence[int]) -> list[float]:
        known = np.isfinite(t) & np.isfinite(raw)
        if known.sum() < 2 or np.ptp(t[known]) == 0:
            return [float("nan")] * (1 + len(ks))
        regrets = [regret_at_k(t[known], raw[known], order[known], k) for k in ks]
        return [ndcg(t[known], order[known]), *regrets]

    def _unbought(self, state: Replayed) -> tuple[FloatArray, FloatArray]:
        gains, scores = self.gains.copy(), self.scores.copy()
        place = {name: i for i, name in enumerate(state.posterior.sources)}
        for run in state.posterior.runs:
            gains[place[run.source], run.seed] = scores[place[run.source], run.seed] = np.nan
        return gains, scores


def _combined(gains: FloatArray) -> FloatArray:
    """T of each source from its runs, NaN without any."""
    count = np.isfinite(gains).sum(axis=1)
    better = (np.where(np.isfinite(gains), gains, -1.0) > LEAST_GAIN).sum(axis=1)
    share = np.divide(better, count, out=np.full(len(count), np.nan), where=count > 0)
    return combined_score(_mean(gains), share)


def _mean(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    means: FloatArray = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means


@dataclass(frozen=True)
class ReplayResult:
    """All rows of a replay, and how they were made."""

    web: str
    rows: tuple[ReplayRow, ...]
    settings: ReplaySettings
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "default": DEFAULT_POLICY,
            "web": self.web,
            "repeats": self.settings.repeats,
            "k": self.settings.k,
            "batch": self.settings.batch,
            "notes": list(self.notes),
            "results": [row.to_dict() for row in self.rows],
        }


def _runs_of_a_pair(runs: SeedGains) -> float:
    """How many runs a pair has, the median over measured pairs."""
    counts = np.isfinite(runs.gains).sum(axis=-1)
    return float(np.median(counts[counts > 0]))


def replay_with(settings: BenchmarkSettings, replaying: ReplaySettings, progress: Progress = silent) -> ReplayResult:
    """Replay measuring on the targets of a web whose runs are known. Raises a TaskWebError."""
    runs = open_seed_gains(settings.web)
    web = settings.opened()
    embedder = embedder_of_texts(settings.encoder, web, settings.examples)
    texts = task_texts(web, settings.examples, embedder, limit=POOL_EXAMPLES, progress=progress)
    selector = settings.selector_settings.build((*settings.selectors, DEFAULT_SELECTOR)[0])
    policies = {name: POLICIES[name] for name in replaying.policies}
    replays = Replays(web, runs, selector, texts.bank, replaying, policies)
    if not replays.setups:
        raise WebError(f"No setup of the web '{web.name}' has runs of {_FEWEST_TARGETS} targets or more to replay.")
    targets = settings.targets or tuple(t for t in web.targets if t not in web.tuning_targets)
    rows = replays.rows(targets, settings.setup, progress)
    left_out = [name for name in web.setups if name not in replays.setups]
    notes = [*web.notes, *texts.notes, *texts.encoder_notes]
    if left_out and settings.setup == ALL_SETUPS:
        notes.append(f"not replayed, since fewer than {_FEWEST_TARGETS} targets were measured: {', '.join(left_out)}")
    if (per_pair := _runs_of_a_pair(runs)) <= _FEW_RUNS:
        notes.append(
            f"a pair's true gain is taken to be the mean of its runs (median {per_pair:g}), those bought included: the more of "
            "them are bought, the more of these means lie within the intervals"
        )
    if not np.isfinite(runs.hours).any():
        notes.append("hours are not known, as runs have no durations")
    return ReplayResult(web.name, tuple(rows), replaying, tuple(notes))
