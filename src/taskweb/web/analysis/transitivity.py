"""If A helps B and B helps C, does A help C? And is that more than the popularity of A?

Finding of the paper (arXiv:2305.13256, section 3): the share of positive A -> C grows with the strength of A -> B and B -> C.
A popular source helps every target, so the share is compared with webs in which only the strengths of single tasks matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from taskweb.errors import ParameterError
from taskweb.web.analysis.chains import ChainCounts, Chains
from taskweb.web.analysis.estimate import (
    FEWEST_TASKS,
    RESAMPLES,
    Estimate,
    estimates_of,
    plain_result,
    task_draws,
)
from taskweb.web.analysis.nulls import NULL_MODELS, POPULARITY, SIGNIFICANT, Draw, one_sided_p
from taskweb.web.analysis.square import POOLED, TaskSquare, square_of
from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.bootstrap import percentile_interval
from taskweb.web.transfer_web import ALL_SETUPS, TransferWeb

QUANTILES = tuple(q / 10 for q in range(1, 10))  # of the positive T of all setups
Finding = Literal["transitivity", "strengths", "popularity", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class NullModelShares:
    """The same shares in webs of a null model, one entry per threshold; NaN where no draw has a triple.

    mean, low, high: mean and 95% range over draws. excess: observed share minus the mean; its interval is observed minus
    range. p: one-sided, at each threshold. overall: mean excess over thresholds with triples; overall_p: one-sided.
    """

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    excess: tuple[Estimate, ...]
    p: tuple[float, ...]
    overall: Estimate
    overall_p: float


@dataclass(frozen=True, slots=True)
class TransitivityCurve:
    """One setup, all setups `pooled` (their triples counted together), or T averaged over setups (`all`).

    base_rate: share of T > 0 among all pairs. One entry per threshold: positive: P(T(A->C) > 0 given T(A->B) and T(B->C)
    above it), with a 95% bootstrap interval over tasks, drawn in all roles and all setups; triples: the number of A, B, C, all
    different; pairs: of different (A, C) among them. lift: mean over thresholds of positive minus base_rate.
    baselines: the shares in each null model, by name.
    """

    setup: str
    base_rate: float
    positive: tuple[Estimate, ...]
    triples: tuple[int, ...]
    pairs: tuple[int, ...]
    lift: Estimate
    baselines: dict[str, NullModelShares]

    @property
    def strictest(self) -> NullModelShares:
        """The null model that explains the curve best, of those with effects of both sources and targets."""
        both = [shares for name, shares in self.baselines.items() if name != POPULARITY]
        return max(both, key=lambda shares: (np.nan_to_num(shares.overall_p, nan=2.0), -shares.overall.value))


@dataclass(frozen=True, slots=True)
class Transitivity:
    """Curves over common thresholds on T: one per setup, then `pooled`, then `all`.

    Null models: `popularity` assigns the transfers of each source to targets at random; `strengths` adds the mean and the
    spread of each target; in `sensitivity` the effect of a source also grows with the target's spread.
    """

    thresholds: tuple[float, ...]
    curves: tuple[TransitivityCurve, ...]
    notes: tuple[str, ...] = ()

    def curve(self, setup: str = POOLED) -> TransitivityCurve:
        """The curve of a setup, of `pooled`, or of `all`."""
        return next(curve for curve in reversed(self.curves) if curve.setup == setup)

    @property
    def finding(self) -> Finding:
        """The explanation of the pooled curve.

        transitivity: above every null model. strengths: above the popularity of sources, but not above the strengths of
        sources and targets. popularity: not above the popularity of sources. none: not above the base rate.
        """
        curve = self.curve()
        by_popularity = curve.baselines[POPULARITY]
        if not (curve.lift.known and by_popularity.overall.known):
            return "unknown"
        if by_popularity.overall_p < SIGNIFICANT:
            return "transitivity" if curve.strictest.overall_p < SIGNIFICANT else "strengths"
        return "none" if curve.lift.value <= 0 or curve.lift.low <= 0 else "popularity"

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        curve = self.curve()
        if self.finding == "unknown":
            return "Transitivity is unknown: no chain A→B→C with both steps positive and A→C measured can be compared."
        known = [i for i, share in enumerate(curve.positive) if share.known]
        first, last = curve.positive[known[0]].value, curve.positive[known[-1]].value
        opening = (
            f"When A helps B and B helps C, A helps C in {100 * first:.0f}% of cases (any pair: {100 * curve.base_rate:.0f}%), "
            f"and in {100 * last:.0f}% when both transfers are strong"
        )
        by_popularity, strictest = curve.baselines[POPULARITY], curve.strictest
        beyond = f"{100 * by_popularity.overall.value:+.0f} points beyond the popularity of sources"
        if self.finding == "transitivity":
            proper = strictest.overall.value
            part = "most" if proper < curve.lift.value / 2 else "less than half"
            return (
                f"{opening}; sources that help every target and targets that every source helps explain {part} of it, and "
                f"{100 * proper:+.0f} points are transitivity (p = {strictest.overall_p:.3f})."
            )
        if self.finding == "strengths":
            return (
                f"{opening}: {beyond}, but no more than sources that help every target and targets that every source helps "
                f"explain "
                f"(p = {strictest.overall_p:.2f})."
            )
        if self.finding == "popularity":
            return f"{opening}, which the popularity of sources alone explains (p = {by_popularity.overall_p:.2f})."
        return f"{opening}, which is not clearly more than for any pair."

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {"finding": self.finding} | plain_result(self)


def transitivity(
    web: TransferWeb,
    seed: int = 0,
    *,
    quantiles: Sequence[float] = QUANTILES,
    resamples: int = RESAMPLES,
    permutations: int = RESAMPLES,
) -> Transitivity:
    """Count chains A -> B -> C at growing thresholds, and compare with webs in which only single tasks matter.

    quantiles: of the positive T of all setups, in [0, 1]; they and 0 are the thresholds. Raises ParameterError.
    """
    if not all(0 <= q <= 1 for q in quantiles):
        raise ParameterError(f"The 'quantiles' parameter must contain numbers from 0 to 1. Got {tuple(quantiles)} instead.")
    square = square_of(web)
    measured = square.t[square.t > 0]
    grid = np.unique([0.0, *np.quantile(measured, quantiles)]) if len(measured) else np.zeros(1)
    chains = Chains.of(square.t)
    t = chains.measured(square.t)
    steps, pairs = chains.steps(t, grid), chains.pairs(t, grid)
    observed = steps.count()
    draws = task_draws(len(square.tasks), resamples=resamples, seed=seed)
    sampled = [steps.count(weights) for weights in draws]
    enough = len(square.tasks) >= FEWEST_TASKS and bool(observed.triples.any())
    by_chance = {
        name: _drawn_shares(chains, null(t), grid, np.random.default_rng((seed, i)), permutations if enough else 0)
        for i, (name, null) in enumerate(NULL_MODELS.items())
    }
    names = (*square.setups, POOLED, ALL_SETUPS)
    curves = []
    for i, name in enumerate(names):
        shares = _stacked([one.share[i] for one in sampled], len(grid))
        lifts = _stacked([one.lift[i : i + 1] for one in sampled], 1)
        curves.append(
            TransitivityCurve(
                name,
                float(observed.base_rate[i]),
                tuple(estimates_of(observed.share[i], shares)),
                tuple(int(n) for n in observed.triples[i]),
                tuple(int(n) for n in pairs[i]),
                estimates_of(observed.lift[i : i + 1], lifts)[0],
                {key: _null_model_shares(observed.share[i], drawn[:, i]) for key, drawn in by_chance.items()},
            )
        )
    return Transitivity(tuple(grid.tolist()), tuple(curves), _notes(square, observed))


def _drawn_shares(chains: Chains, draw: Draw, grid: FloatArray, stream: np.random.Generator, permutations: int) -> FloatArray:
    """Shares in webs drawn at random: (permutations, matrices, thresholds)."""
    drawn = [chains.steps(draw(stream), grid).count().share for _ in range(max(1, permutations))]
    return np.array(drawn)[:permutations]


def _null_model_shares(observed: FloatArray, drawn: FloatArray) -> NullModelShares:
    """Compare observed shares (thresholds,) with shares in webs of a null model (permutations, thresholds)."""
    mean = nan_mean(drawn, axis=0)
    if len(drawn) < 2:  # no range
        low = high = np.full(len(observed), np.nan)
    else:
        low, high = percentile_interval(drawn)
    excess = [
        Estimate(*ends) for ends in zip(*(x.tolist() for x in (observed - mean, observed - high, observed - low)), strict=True)
    ]
    compared = np.isfinite(observed - mean)
    deviation = nan_mean((drawn - mean)[:, compared], axis=1)
    overall = float(nan_mean((observed - mean)[compared], axis=0))
    low_high = percentile_interval(deviation) if len(drawn) > 1 and compared.any() else (np.nan, np.nan)
    return NullModelShares(
        tuple(mean.tolist()),
        tuple(low.tolist()),
        tuple(high.tolist()),
        tuple(excess),
        tuple(one_sided_p(value, drawn[:, i]) for i, value in enumerate(observed.tolist())),
        Estimate(overall, overall - float(low_high[1]), overall - float(low_high[0])),
        one_sided_p(overall, deviation),
    )


def _notes(square: TaskSquare, observed: ChainCounts) -> tuple[str, ...]:
    notes = list(square.notes)
    if len(square.tasks) < FEWEST_TASKS:
        notes.append(f"a chain needs {FEWEST_TASKS} tasks")
    elif not observed.triples.any():
        notes.append("there is no chain A -> B -> C with both transfers positive and A -> C measured")
    return tuple(notes)


def _stacked(rows: list[FloatArray], width: int) -> FloatArray:
    return np.array(rows).reshape(len(rows), width)
