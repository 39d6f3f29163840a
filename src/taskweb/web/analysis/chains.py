"""Counts of chains A -> B -> C of transfers above thresholds, in a web, in resamples of its tasks, and in webs of a null model.

Counts are exact. Those of several thresholds are made by one product of matrices: each threshold has a field of bits of its
own in a number, wide enough for as many chains as there are tasks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taskweb.web.arrays import BoolArray, FloatArray, known_mean, nan_mean, ratio

_EXACT_BITS, _INTEGER_BITS = 53, 63  # of a double, and of a signed integer
_FEW_GAPS = 20  # of the sources, one in so many may lack a target for its gaps to be taken off one by one

Places = npt.NDArray[np.intp]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ChainCounts:
    """Counts of chains, and of those with T(A -> C) > 0: (matrices, thresholds); base_rate: share of T > 0, (matrices,).

    The matrices are the setups, all setups pooled, and T averaged over setups.
    """

    triples: FloatArray
    positive: FloatArray
    base_rate: FloatArray

    @property
    def share(self) -> FloatArray:
        """The share of chains with T(A -> C) > 0; NaN where there is no chain."""
        return ratio(self.positive, self.triples)

    @property
    def lift(self) -> FloatArray:
        """The mean over thresholds of the share, minus the base rate."""
        return nan_mean(self.share, axis=1) - self.base_rate


@dataclass(frozen=True, eq=False)
class Chains:
    """Where the tasks of chains A -> B -> C stand, so that only those that can be counted are, and which pairs are measured.

    tasks: number of all tasks. sources, targets: the tasks with a measured transfer from them, and to them. from_source,
    from_target: the tasks that are both, among the sources and among the targets. present: where T is known, in each setup
    and in T averaged over setups, (matrices, sources, targets). setups: how many know it, (sources, targets). gaps: the
    sources without a transfer to a target, as (n, matrices, targets), and whether there are so many; None where many are
    lacking.
    """

    tasks: int
    sources: Places
    targets: Places
    from_source: Places
    from_target: Places
    present: BoolArray
    setups: npt.NDArray[np.integer]
    gaps: tuple[Places, BoolArray] | None

    @classmethod
    def of(cls, t: FloatArray) -> Chains:
        """t: (setups, source, target), of all tasks."""
        finite: BoolArray = np.isfinite(t)
        measured = np.asarray(finite.any(axis=0))
        sources, targets = np.flatnonzero(measured.any(axis=1)), np.flatnonzero(measured.any(axis=0))
        _, from_source, from_target = np.intersect1d(sources, targets, return_indices=True)
        present = np.concatenate([finite, measured[None]])[:, sources[:, None], targets]
        return cls(len(measured), sources, targets, from_source, from_target, present, present[:-1].sum(axis=0), _gaps(present))

    def measured(self, t: FloatArray) -> FloatArray:
        """T of all tasks -> (setups, sources, targets)."""
        return t[:, self.sources[:, None], self.targets]

    def steps(self, t: FloatArray, grid: FloatArray) -> Steps:
        """The transfers that are steps of chains, in each setup and in T averaged over setups, ready to be counted.

        t: (setups, sources, targets), known where the web's own T is. grid: the thresholds, ascending, at least 0.
        """
        stack = self._with_mean(t)
        level = np.zeros(stack.shape, np.min_scalar_type(len(grid)))
        for threshold in grid.tolist():
            level += stack > threshold
        width = max(1, self.tasks.bit_length())
        fields = max(1, min(_EXACT_BITS // width, _INTEGER_BITS // width - 1))
        starts, ends = level[:, :, self.from_target], level[:, self.from_source]
        above = np.arange(len(grid) + 1)
        groups = []
        for first in range(0, len(grid), fields):
            size = min(fields, len(grid) - first)
            reached = width * (above - first).clip(0, size)  # bits of the thresholds below a level
            bits = (1 << np.arange(0, width * size, width)).cumsum()
            code = np.concatenate([[0], bits])[(above - first).clip(0, size)].astype(float)
            kept = (np.int64(1) << reached.astype(np.int64)) - 1
            groups.append(_Group(size, code.take(starts), kept.take(ends)))
        return Steps(self, width, (stack > 0).astype(float), tuple(groups))

    def pairs(self, t: FloatArray, grid: FloatArray) -> FloatArray:
        """How many different (A, C) the chains above each threshold have: (matrices, thresholds)."""
        stack = self._with_mean(t)
        found = np.zeros((len(stack), len(grid)))
        for i, threshold in enumerate(grid.tolist()):
            above = (stack > threshold).astype(np.float32)
            paths = above[:, :, self.from_target] @ above[:, self.from_source]
            found[:, i] = ((paths > 0) & self.present).sum(axis=(1, 2))
        return _with_pooled(found)

    def _with_mean(self, t: FloatArray) -> FloatArray:
        """T in each setup, then averaged over the setups that measured the pair."""
        return np.concatenate([t, known_mean(t, self.present[:-1], self.setups)[None]])


@dataclass(frozen=True, eq=False)
class _Group:
    """Thresholds that are counted together. starts: (matrices, sources, B), a one in the field of each threshold below
    T(A -> B). kept: (matrices, B, targets), all ones in the fields of the thresholds below T(B -> C).
    """

    size: int
    starts: FloatArray
    kept: Integers


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of chains. width: bits of a field. helped: 1 where T(A -> C) is above 0."""

    chains: Chains
    width: int
    helped: FloatArray
    groups: tuple[_Group, ...]

    def count(self, weights: FloatArray | None = None) -> ChainCounts:
        """Count the chains. weights: how often each of all tasks occurs, together as often as there are tasks; once if None."""
        once = np.ones(self.chains.tasks) if weights is None else weights
        source, target = once[self.chains.sources], once[self.chains.targets]
        triples, positive = [], []
        for group in self.groups:
            starts = group.starts if weights is None else group.starts * source[:, None]
            triples.append(self._in_fields(group, self._to_any(starts), target))
            positive.append(self._in_fields(group, starts.swapaxes(1, 2) @ self.helped, target))
        all_pairs, positive_pairs = ((ends @ target) @ source for ends in (self.chains.present, self.helped))
        return ChainCounts(
            _with_pooled(np.concatenate(triples, axis=1)),
            _with_pooled(np.concatenate(positive, axis=1)),
            ratio(_with_pooled(positive_pairs), _with_pooled(all_pairs)),
        )

    def _to_any(self, starts: FloatArray) -> FloatArray:
        """The starts A -> B of chains to each C with a measured A -> C: (matrices, B, targets)."""
        if self.chains.gaps is None:
            return np.asarray(starts.swapaxes(1, 2) @ self.chains.present.astype(float))
        found = starts.sum(axis=1)[:, None]
        for place, lacking in zip(*self.chains.gaps, strict=True):
            found = found - starts[np.arange(len(starts))[:, None], place] * lacking[..., None]
        whole = np.empty((len(found), found.shape[2], self.chains.present.shape[2]))
        whole[:] = found.swapaxes(1, 2)
        return whole

    def _in_fields(self, group: _Group, chains: FloatArray, target: FloatArray) -> FloatArray:
        """Chains over each B to each C, of which the last step is above the threshold of a field: (matrices, thresholds).

        Sums over C need fields twice as wide, so every other field is summed at once.
        """
        once, whole = target.astype(np.int64), chains.astype(np.int64) & group.kept
        middle = once[self.chains.from_target]
        wide = (1 << 2 * self.width) - 1
        every_other = sum(((1 << self.width) - 1) << shift for shift in range(0, group.size * self.width, 2 * self.width))
        sums = [((whole >> shift) & every_other) @ once for shift in (0, self.width)]
        counts = [((sums[i % 2] >> i // 2 * 2 * self.width) & wide) @ middle for i in range(group.size)]
        return np.stack(counts, axis=1)


def _gaps(present: BoolArray) -> tuple[Places, BoolArray] | None:
    most = int((~present).sum(axis=1).max(initial=0))
    if most > present.shape[1] // _FEW_GAPS:
        return None
    places = np.argsort(present, axis=1, kind="stable")[:, :most]
    return places.swapaxes(0, 1), ~np.take_along_axis(present, places, axis=1).swapaxes(0, 1)


def _with_pooled(counts: FloatArray) -> FloatArray:
    """Counts of setups and of their mean web -> counts of setups, of all setups pooled, and of their mean web."""
    return np.concatenate([counts[:-1], counts[:-1].sum(axis=0, keepdims=True), counts[-1:]])
