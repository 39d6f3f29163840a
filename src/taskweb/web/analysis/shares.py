"""The shares of transfers with gain and with harm, the tasks that give and receive most, and the strongest pairs.

Finding of the paper (arXiv:2305.13256, section 3): many transfers help, many harm, and the target matters as the source does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from taskweb.errors import ParameterError
from taskweb.tasks.catalogue import catalogue
from taskweb.web.analysis.estimate import (
    FEWEST_TASKS,
    RESAMPLES,
    Estimate,
    estimates_of,
    pair_means,
    plain_result,
    task_draws,
)
from taskweb.web.analysis.square import POOLED, TaskSquare, square_of
from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.bootstrap import resample_counts
from taskweb.web.transfer_web import TransferWeb

OTHER_CATEGORY = "other"
TOP_PAIRS = 10


@dataclass(frozen=True, slots=True)
class SetupShares:
    """Transfers of one setup, or of all setups pooled.

    pairs: measured transfers. positive_t, negative_t: shares by the sign of T, in [0, 1]; T = 0 counts in neither.
    positive_pc, negative_pc: by the sign of PC, the mean gain; unknown without baselines. mean_t: mean of T.
    quantiles: of T (minimum, 25%, median, 75%, maximum).
    """

    setup: str
    pairs: int
    positive_t: Estimate
    negative_t: Estimate
    positive_pc: Estimate
    negative_pc: Estimate
    mean_t: Estimate
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CategoryShares:
    """Transfers from the tasks of one category to those of another, all setups pooled; pairs counts each setup."""

    source_category: str
    target_category: str
    pairs: int
    positive_t: Estimate
    mean_t: Estimate


@dataclass(frozen=True, slots=True)
class Strength:
    """How well a task gives (as a source) or receives (as a target).

    mean_t: mean over setups of the mean T over its partners, with an interval over partners. positive_t: share of its
    transfers with T > 0. partners: number of tasks that it was measured with. by_setup: mean T in each setup with the task.
    """

    task: str
    category: str
    partners: int
    mean_t: Estimate
    positive_t: float
    by_setup: dict[str, float]


@dataclass(frozen=True, slots=True)
class PairTransfer:
    """One transfer averaged over the `setups` that measured it; agree: how many of these have the sign of the mean."""

    source: str
    target: str
    mean_t: float
    lowest_t: float
    highest_t: float
    setups: int
    agree: int


@dataclass(frozen=True, slots=True)
class TransferShares:
    """Shares by setup (pooled last) and by category, strengths (best first), and the strongest pairs.

    Intervals are 95% bootstrap intervals: of shares over tasks, each drawn as source and as target and in all setups; of
    strengths over the partners of the task.
    """

    by_setup: tuple[SetupShares, ...]
    by_category: tuple[CategoryShares, ...]
    sources: tuple[Strength, ...]
    targets: tuple[Strength, ...]
    strongest: tuple[PairTransfer, ...]
    most_harmful: tuple[PairTransfer, ...]
    notes: tuple[str, ...] = ()

    @property
    def pooled(self) -> SetupShares:
        """All setups together."""
        return self.by_setup[-1]

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if not self.pooled.positive_t.known:
            return "No transfer was measured."
        best, worst = self.sources[0], self.sources[-1]
        return (
            f"{100 * self.pooled.positive_t.value:.0f}% of transfers have T above 0 and "
            f"{100 * self.pooled.negative_t.value:.0f}% below; {best.task} helps most on average "
            f"({best.mean_t.value:+.3f}), {worst.task} least ({worst.mean_t.value:+.3f})."
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return plain_result(self)


def shares(web: TransferWeb, seed: int = 0, *, top: int = TOP_PAIRS, resamples: int = RESAMPLES) -> TransferShares:
    """Count the transfers of a web with gain and with harm. top: how many of the best and of the worst pairs are listed.

    Raises ParameterError for `top` below 1.
    """
    if top < 1:
        raise ParameterError(f"The 'top' parameter must be at least 1. Got {top} instead.")
    square = square_of(web)
    draws = task_draws(len(square.tasks), resamples=resamples, seed=seed)
    notes = list(square.notes)
    if square.pc is None:
        notes.append("PC is not available: shares are by the sign of T alone")
    if not square.pairs:
        notes.append("no transfer between two different tasks was measured")
    elif len(square.tasks) < FEWEST_TASKS:
        notes.append(f"no intervals for shares: they need {FEWEST_TASKS} tasks")
    if any(task not in catalogue() for task in square.tasks):
        notes.append(f"tasks that are not in the catalogue count as '{OTHER_CATEGORY}'")
    everything = square.mean
    return TransferShares(
        by_setup=_by_setup(square, draws),
        by_category=_by_category(square, draws),
        sources=_strengths(square, square.t, seed, resamples),
        targets=_strengths(square, square.t.swapaxes(1, 2), seed, resamples),
        strongest=_extreme_pairs(square, -everything, everything > 0, top),
        most_harmful=_extreme_pairs(square, everything, everything < 0, top),
        notes=tuple(notes),
    )


def category_of(task: str) -> str:
    """The category of a task in the catalogue, 'other' for one that is not in it."""
    known = catalogue()
    return known[task].category if task in known else OTHER_CATEGORY


def _by_setup(square: TaskSquare, draws: FloatArray) -> tuple[SetupShares, ...]:
    rows = []
    for name, at in [*((name, slice(i, i + 1)) for i, name in enumerate(square.setups)), (POOLED, slice(None))]:
        t = square.t[at]
        pc = np.full(t.shape, np.nan) if square.pc is None else square.pc[at]
        measured = t[np.isfinite(t)]
        positive_t, negative_t, positive_pc, negative_pc, mean = pair_means(
            [_share(t, t > 0), _share(t, t < 0), _share(pc, pc > 0), _share(pc, pc < 0), t], draws
        )
        ends = np.quantile(measured, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist() if len(measured) else [float("nan")] * 5
        rows.append(SetupShares(name, len(measured), positive_t, negative_t, positive_pc, negative_pc, mean, tuple(ends)))
    return tuple(rows)


def _by_category(square: TaskSquare, draws: FloatArray) -> tuple[CategoryShares, ...]:
    category = np.array([category_of(task) for task in square.tasks])
    rows = []
    for source in sorted(set(category.tolist())):
        for target in sorted(set(category.tolist())):
            inside = (category == source)[:, None] & (category == target)[None, :]
            t = np.where(inside, square.t, np.nan)
            pairs = int(np.isfinite(t).sum())
            if pairs:
                rows.append(CategoryShares(source, target, pairs, *pair_means([_share(t, t > 0), t], draws)))
    return tuple(rows)


def _strengths(square: TaskSquare, t: FloatArray, seed: int, resamples: int) -> tuple[Strength, ...]:
    """Strengths of tasks in one role. t: (setups, tasks, partners). Tasks never measured in this role are left out."""
    found = []
    for i, task in enumerate(square.tasks):
        own = t[:, i][:, np.isfinite(t[:, i]).any(axis=0)]
        partners = own.shape[1]
        if not partners:
            continue
        by_setup = nan_mean(own, axis=1)
        drawn = resample_counts(partners, resamples=resamples if partners > 1 else 0, seed=seed)
        present = np.isfinite(own)
        sums, counts = drawn @ np.where(present, own, 0.0).T, drawn @ present.T
        means = nan_mean(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0), axis=1)
        found.append(
            Strength(
                task,
                category_of(task),
                partners,
                estimates_of([nan_mean(by_setup, axis=0)], means[:, None])[0],
                float((own[present] > 0).mean()),
                {name: value for name, value in zip(square.setups, by_setup.tolist(), strict=True) if np.isfinite(value)},
            )
        )
    return tuple(sorted(found, key=lambda strength: -strength.mean_t.value))


def _extreme_pairs(square: TaskSquare, key: FloatArray, wanted: np.ndarray[Any, Any], top: int) -> tuple[PairTransfer, ...]:
    mean = square.mean
    at: Sequence[tuple[int, int]] = sorted(zip(*np.nonzero(wanted), strict=True), key=lambda pair: key[pair])[:top]
    rows = []
    for a, b in at:
        measured = square.t[:, a, b][np.isfinite(square.t[:, a, b])]
        rows.append(
            PairTransfer(
                square.tasks[a],
                square.tasks[b],
                float(mean[a, b]),
                float(measured.min()),
                float(measured.max()),
                len(measured),
                int((np.sign(measured) == np.sign(mean[a, b])).sum()),
            )
        )
    return tuple(rows)


def _share(values: FloatArray, inside: np.ndarray[Any, Any]) -> FloatArray:
    return np.where(np.isfinite(values), inside.astype(float), np.nan)
