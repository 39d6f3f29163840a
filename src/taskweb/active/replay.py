"""Replays: the runs of a target left out are hidden and handed out one by one, as a policy asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from taskweb.active.acquisition import DEFAULT_K, Choosing, IntArray, Policy
from taskweb.selectors.base import FloatArray
from taskweb.selectors.gain_prior import GainPrior
from taskweb.selectors.posterior import MeasuredGain, Posterior

COST_OF_SOURCE = 3.0  # trainings of a target that one of a source takes, where durations are not known


@dataclass(frozen=True, slots=True)
class HiddenRuns:
    """The runs of one target. gains: (sources, seeds) as fractions, NaN where there is none, in the order of the prior.

    hours: of one run of the target, NaN where unknown.
    """

    gains: FloatArray = field(repr=False)
    hours: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """The state after some runs. cost_hours: of the target's runs, their sources' trainings, and baselines.

    cost_runs: how many runs of the target, baselines included.
    """

    measured: int
    posterior: Posterior
    cost_hours: float
    cost_runs: int


def replay(
    prior: GainPrior,
    hidden: HiddenRuns,
    policy: Policy,
    marks: Sequence[int],
    *,
    seed: object,
    k: int = DEFAULT_K,
    batch: int = 1,
) -> Iterator[Replayed]:
    """The state after each number of runs in `marks`, in order; the last known one where no run is left.

    seed: of the order in which seeds are used, the same for all sources, and of the policy's draws. batch: runs that are chosen
    at once; after the first, as if those before had given what is expected of them.
    """
    draw = np.random.default_rng(seed)  # type: ignore[arg-type]  # whatever numpy takes
    order = draw.permutation(hidden.gains.shape[1]).tolist()
    left = [[run for run in order if np.isfinite(row[run])] for row in hidden.gains]
    state = Replayed(0, Posterior(prior), 0.0, 0)
    counts = np.zeros(len(left), dtype=np.int64)
    for wanted in sorted(marks):
        while state.measured < wanted and any(left):
            believed, chosen = state.posterior, list[tuple[int, int]]()
            while len(chosen) < min(batch, wanted - state.measured) and any(left):
                used = {*(run.seed for run in state.posterior.runs), *(run for _, run in chosen)}
                source = policy(_choosing(believed, left, used, counts, k, draw))
                chosen.append((source, left[source].pop(0)))
                counts[source] += 1
                if batch > 1:
                    believed = believed.after(MeasuredGain(prior.sources[source], chosen[-1][1], float(believed.mean[source])))
            for source, run in chosen:
                state = _after(state, MeasuredGain(prior.sources[source], run, float(hidden.gains[source, run])), hidden.hours)
        yield Replayed(wanted, state.posterior, state.cost_hours, state.cost_runs)


def _choosing(
    posterior: Posterior, left: Sequence[Sequence[int]], used: set[int], counts: IntArray, k: int, draw: np.random.Generator
) -> Choosing:
    """What a policy knows. left: of each source, the seeds it was not run with, the next one first. used: with a baseline."""
    seeds = [runs[0] if runs else -1 for runs in left]
    costs = np.array([1 + COST_OF_SOURCE + (seed not in used) for seed in seeds])
    return Choosing(posterior, np.array([bool(runs) for runs in left]), counts, seeds, costs, k, draw)


def _after(state: Replayed, run: MeasuredGain, hours: float) -> Replayed:
    new_seed = all(known.seed != run.seed for known in state.posterior.runs)
    cost = hours * (1 + COST_OF_SOURCE + new_seed)
    return Replayed(state.measured + 1, state.posterior.after(run), state.cost_hours + cost, state.cost_runs + 1 + new_seed)
