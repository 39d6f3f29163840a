"""The runs on a target, one by one: which is next, what it taught, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from taskweb.active.acquisition import POLICIES, BoolArray, Choosing, decision_weights, improvements
from taskweb.errors import TaskWebError
from taskweb.selectors.base import FloatArray
from taskweb.selectors.posterior import MeasuredGain, Posterior
from taskweb.web.records.run import Run
from taskweb.workflows.refining.costs import Costs
from taskweb.workflows.refining.refine_settings import RefineSettings
from taskweb.workflows.suggesting import NextRun, Suggester

if TYPE_CHECKING:
    from taskweb.experiments.single_runs import SingleRuns

_SECONDS_PER_HOUR = 3600
_SHOWN = 5
_MOST_FAILED_BASELINES = 2
_FEWEST_EQUAL = 3


@dataclass(slots=True, eq=False)
class Measuring:
    """The runs made on a target, and what is believed after them.

    suggester: prior and posterior of the gains. settings: budget and seeds. made: all runs, in order, failed ones included.
    read_back: how many of them an earlier command made. latest: those of the last step.
    """

    suggester: Suggester
    runs: SingleRuns
    settings: RefineSettings
    made: list[Run] = field(default_factory=list)
    read_back: int = 0
    latest: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        for run in self.runs.stored():
            self._learn(run)
        self.read_back = len(self.made)

    @property
    def costs(self) -> Costs:
        """What runs cost, by those made so far."""
        return Costs(self.runs, self.made)

    @property
    def seeds(self) -> list[int]:
        """The seeds that have a baseline to compare with."""
        return [run.seed for run in self.made if run.source is None and run.seed is not None and self._is_baseline(run)]

    @property
    def stopped(self) -> str | None:
        """Why no further run is made; None where one is."""
        if self.settings.budget.is_spent(len(self.made), self.costs.spent):
            return f"the budget of {self.settings.budget} is spent"
        if (reason := self.suggester.stopped) is not None:
            return reason
        if self._may_run(()).any():
            return None
        if self._failed_sources().issuperset(self.suggester.prior.sources):
            return "no source is left that did not fail"
        if any(map(self.settings.is_trained_nowhere, self.suggester.prior.sources)):
            return "every source has its run: where nothing is trained, other seeds give the same score"
        return "every source has a run with each seed, and the run that is left is too few for another seed"

    @property
    def no_difference(self) -> str | None:
        """That all runs have the same score, in one line; None where they differ, or are too few to say."""
        scores = [score for run in self.made if math.isfinite(score := self.score(run))]
        if len(scores) < _FEWEST_EQUAL or len(set(scores)) > 1:
            return None
        return (
            f"all {len(scores)} runs scored {100 * scores[0]:.1f}, with and without a source: nothing distinguishes sources. "
            "If the model has not learnt the target, train longer or at another learning rate, or take another model"
        )

    @property
    def seconds_left(self) -> float | None:
        """Until the budget is spent; None where that is not known yet."""
        budget, each = self.settings.budget, self.costs.mean_of_run()
        if self.stopped is not None:
            return 0.0
        if budget.runs is None:
            return max(0.0, (budget.seconds or 0.0) - self.costs.spent)
        return None if each is None else each * (budget.runs - len(self.made))

    def step(self) -> list[Run]:
        """Make the next runs, those that share passes at once, and learn from them; their outcomes are in `latest`.

        Raises TaskWebError where no baseline can be measured.
        """
        self.latest = self.runs.run_all([(run.source, run.seed) for run in self.batch()])
        for run in self.latest:
            self._learn(run)
        self._check_baselines()
        return self.latest

    def next(self, count: int = _SHOWN) -> list[NextRun]:
        """The runs worth making now, best first; empty once it has stopped. A seed without a baseline gets that first."""
        return self._coming(self._may_run(()), count) if self.stopped is None else []

    def further(self, count: int = _SHOWN) -> list[NextRun]:
        """The same, whether or not it has stopped: what to run with a larger budget."""
        return self._coming(self._may_run((), last=False), count)

    def _coming(self, may_run: BoolArray, count: int) -> list[NextRun]:
        if not may_run.any():
            return []
        found = self._choices(self.suggester.posterior, (), may_run)[:count]
        return found if found[0].seed in self.seeds else [self._baseline(found[0]), *found]

    def batch(self) -> list[NextRun]:
        """The runs to make at once. After the first, they are chosen as if those before had given what is expected of them."""
        posterior, planned = self.suggester.posterior, list[NextRun]()
        room = self.runs.together(self.settings.fuse)
        if self.settings.budget.runs is not None:
            room = min(room, self.settings.budget.runs - len(self.made))
        while len(planned) < room and self._may_run(planned).any():
            best = self._choices(posterior, planned, self._may_run(planned))[0]
            if best.source is None or best.seed not in self._seeds(planned):
                planned.append(self._baseline(best))
                continue
            planned.append(best)
            expected = float(posterior.mean[posterior.sources.index(best.source)])
            posterior = posterior.after(MeasuredGain(best.source, best.seed, expected))
        return planned

    def gain(self, run: Run) -> float | None:
        """The gain of a run over the baseline of its seed, as a fraction; None for baselines and runs without a score."""
        base = next((own for own in self.made if own.source is None and own.seed == run.seed and self._is_baseline(own)), None)
        if run.source is None or base is None or not math.isfinite(score := self.score(run)):
            return None
        return (score - self.score(base)) / abs(self.score(base))

    def score(self, run: Run) -> float:
        """The score that gains are computed from; NaN for a run that did not finish."""
        return run.score(self.runs.task.transfer_metrics)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the keys of `suggest` and what was spent."""
        return {
            **self.suggester.to_dict(),
            "next": [
                {"source": run.source, "seed": run.seed, "value": run.value, "cost_seconds": run.cost_seconds}
                for run in self.next()
            ],
            "stopped": self.stopped,
            "runs": len(self.made),
            "seconds": self.costs.spent,
            "seconds_left": self.seconds_left,
        }

    def _choices(self, posterior: Posterior, planned: Sequence[NextRun], may_run: BoolArray) -> list[NextRun]:
        """A run of each source that may be run, beside those that are planned; the one to make first, others by their value."""
        costs, seconds = self.costs, self._seconds(planned)
        seeds, k = [self._seed_of(name, planned) for name in posterior.sources], self.settings.k
        draw = np.random.default_rng((self.settings.seed, len(self.made) + len(planned)))
        known = Choosing(posterior, may_run, self._counts(planned), seeds, seconds, k, draw)
        first = POLICIES[self.settings.policy](known)
        worth = improvements(posterior, seeds, decision_weights(k, len(seeds)))
        others = [place for place in np.argsort(-worth / seconds, kind="stable").tolist() if place != first and may_run[place]]
        found = []
        for place in [first, *others]:
            name, cost = posterior.sources[place], float(seconds[place])
            value = 100 * float(worth[place]) * (_SECONDS_PER_HOUR / cost if costs.known else 1.0)
            found.append(NextRun(name, seeds[place], value, cost if costs.known else None))
        return found

    def _baseline(self, run: NextRun) -> NextRun:
        return NextRun(None, run.seed, run.value, self.costs.target if self.costs.known else None)

    def _learn(self, run: Run) -> None:
        self.made.append(run)
        seed, score = run.seed, self.score(run)
        if seed is not None and math.isfinite(score) and (run.source is not None or self._is_baseline(run)):
            self.suggester.tell(run.source, seed, score, math.fsum(run.durations.values()))

    def _is_baseline(self, run: Run) -> bool:
        return math.isfinite(score := self.score(run)) and score != 0

    def _check_baselines(self) -> None:
        failed = [run for run in self.made if run.source is None and not self._is_baseline(run)]
        if not self.seeds and len(failed) >= _MOST_FAILED_BASELINES:
            reason = failed[-1].reason or f"its score is {self.score(failed[-1]):g}"
            raise TaskWebError(
                f"The target alone cannot be measured, so no gain over it is known: with seed {failed[-1].seed}, {reason}. "
                "Change the model or its settings."
            )

    def _failed_sources(self) -> set[str]:
        return {run.source for run in self.made if run.source is not None and not math.isfinite(self.score(run))}

    def _seeds(self, planned: Sequence[NextRun]) -> list[int]:
        """The seeds that have a baseline, or will have one."""
        return [*self.seeds, *(run.seed for run in planned if run.source is None)]

    def _seed_of(self, source: str, planned: Sequence[NextRun]) -> int:
        """The seed to run a source with: one that has a baseline where there is one left, else a new one."""
        runs = [*((run.source, run.seed) for run in self.made), *((run.source, run.seed) for run in planned)]
        done = {seed for name, seed in runs if name == source}
        tried = {seed for name, seed in runs if name is None}
        for seed in self._seeds(planned):
            if seed not in done:
                return seed
        return next(seed for seed in range(self.settings.seed, self.settings.seed + len(runs) + 1) if seed not in tried)

    def _may_run(self, planned: Sequence[NextRun], *, last: bool | None = None) -> BoolArray:
        """Which sources may be run: those that did not fail, and whose baseline does not take the last run.

        A source whose runs train nothing has one run. last: whether one run is left at most; None looks at the budget.
        """
        done, seeds, budget = self._failed_sources(), self._seeds(planned), self.settings.budget.runs
        if last is None:
            last = budget is not None and bool(seeds) and budget - len(self.made) - len(planned) < 2
        sources = self.suggester.prior.sources
        ran = [*(run.source for run in self.made), *(run.source for run in planned)]
        done |= {name for name in ran if name is not None and self.settings.is_trained_nowhere(name)}
        return np.array([name not in done and not (last and self._seed_of(name, planned) not in seeds) for name in sources])

    def _seconds(self, planned: Sequence[NextRun]) -> FloatArray:
        """The cost of a run of each source."""
        costs, seeds = self.costs, self._seeds(planned)
        target, found = costs.target, []
        for name in self.suggester.prior.sources:
            seed = self._seed_of(name, planned)
            found.append(costs.source(name, seed) + target * (1 if seed in seeds else 2))
        return np.maximum(np.array(found, dtype=np.float64), 1e-9)

    def _counts(self, planned: Sequence[NextRun]) -> npt.NDArray[np.int64]:
        runs = [*(run.source for run in self.made), *(run.source for run in planned)]
        return np.array([runs.count(name) for name in self.suggester.prior.sources], dtype=np.int64)
