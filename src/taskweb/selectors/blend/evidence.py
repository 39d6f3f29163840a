"""What is known about one or more targets: transfers from the sources to other targets (pivots), and similarity of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.standardise import peaked_rows, standardised_rows
from taskweb.selectors.blend.text_similarity import MEASURES, TextSimilarity, mean_similarity
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.transfer_web import without_self

KINDS = (MEASURES[0], "mean of three similarities")
OWN, EVERYWHERE, AGREEING = "own", "everywhere", "agreeing"
_CLIPPED_AT = 3.0  # times the median size of T
_BLOCK = 1 << 16  # values of one setup at a time


@dataclass(frozen=True, eq=False)
class Form:
    """Transfers in one form, NaN = not measured.

    own: in each setup, (setups, pivots, sources). everywhere: the mean over all setups of the web, (pivots, sources).
    agreeing: that mean with setups weighted by how far they agree with the one at hand, (setups, pivots, sources). For a web
    with one setup all three are one array.
    """

    own: FloatArray = field(repr=False)
    everywhere: FloatArray = field(repr=False)
    agreeing: FloatArray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Transfers:
    """Measured transfers of a web in some setups, in three forms, each computed on first use.

    setups: names, `all` for the mean of the web's setups. t: T in all setups of the web, (setups of the web, pivots, sources),
    NaN = not measured; own: the place of each of `setups` among them, None for `all`. A pair that is not measured in a setup
    takes the mean over the setups in which it is.
    """

    setups: tuple[str, ...]
    t: FloatArray = field(repr=False)
    own: tuple[int | None, ...] = field(repr=False)

    @classmethod
    def of(cls, web: TransferWeb, setups: Sequence[str]) -> Transfers:
        """The transfers of a web in these setups."""
        t = without_self(web.t, web.targets, web.sources)
        return cls(tuple(setups), t, tuple(None if setup == ALL_SETUPS else web.setup_index(setup) for setup in setups))

    @cached_property
    def size(self) -> Form:
        """T, standardised over the sources of each pivot."""
        return self._in_form(standardised_rows)

    @cached_property
    def peak(self) -> Form:
        """T by rank, with the weight on the best few that NDCG has."""
        return self._in_form(peaked_rows)

    @cached_property
    def gain(self) -> Form:
        """T itself, with extremes clipped."""
        sizes = np.abs(self.t[np.isfinite(self.t)])
        edge = _CLIPPED_AT * float(np.median(sizes)) if len(sizes) else 1.0
        return self._in_form(lambda values: np.clip(values, -edge, edge))

    @cached_property
    def agreement(self) -> FloatArray:
        """How far each of `setups` agrees with each setup of the web, (setups, setups of the web), in [0, 1].

        It is the correlation of T within pivots, 1 for a setup and itself, and 1 for `all` and every setup.
        """
        products, counts = np.zeros((2, len(self.t), len(self.t)))
        for i in range(self.t.shape[1]):
            rows = standardised_rows(self.t[:, i])
            known = np.isfinite(rows).astype(float)
            rows = np.nan_to_num(rows)
            products += rows @ rows.T
            counts += known @ known.T
        found = np.clip(products / np.maximum(counts, 1.0), 0.0, 1.0)
        np.fill_diagonal(found, 1.0)
        return np.stack([np.ones(len(self.t)) if setup is None else found[setup] for setup in self.own])

    def _in_form(self, form: Callable[[FloatArray], FloatArray]) -> Form:
        """Apply a form row by row, to a block of pivots at a time, so that intermediate arrays stay small."""
        _, pivots, sources = self.t.shape
        everywhere = np.empty((pivots, sources))
        one_setup = len(self.t) == 1 and len(self.own) == 1
        own, agreeing = (everywhere[None] if one_setup else np.empty((len(self.own), pivots, sources)) for _ in range(2))
        for start in range(0, pivots, rows := max(1, _BLOCK // max(1, sources))):
            block = slice(start, start + rows)
            t = self.t[:, block]
            if one_setup:
                everywhere[block] = form(t[0])
                continue
            formed = np.array([form(values) for values in t]).reshape(t.shape)
            everywhere[block] = nan_mean(formed, axis=0)
            filled = np.where(np.isnan(formed), everywhere[block], formed)
            for i, setup in enumerate(self.own):
                values = form(nan_mean(t, axis=0) if setup is None else t[setup])
                own[i, block] = np.where(np.isnan(values), everywhere[block], values)
                agreeing[i, block] = np.tensordot(self.agreement[i] / self.agreement[i].sum(), filled, axes=1)
        return Form(own, everywhere, agreeing)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about some targets ("queries").

    to_pivots: similarity of queries with pivots in standard deviations, (queries, pivots); None without texts.
    to_sources: similarity with sources by kind, (queries, sources); empty without texts. own, own_pivot: True where a query
    is the source, or the pivot, itself.
    """

    transfers: Transfers
    to_pivots: FloatArray | None = field(repr=False)
    to_sources: Mapping[str, FloatArray] = field(repr=False)
    own: npt.NDArray[np.bool_] = field(repr=False)
    own_pivot: npt.NDArray[np.bool_] = field(repr=False)

    @classmethod
    def of(cls, web: TransferWeb, setups: Sequence[str], queries: Sequence[str], similarity: TextSimilarity | None) -> Evidence:
        """What a web and texts say about the queries; no query is its own pivot or source."""
        own, own_pivot = _same(queries, web.sources), _same(queries, web.targets)
        transfers = Transfers.of(web, setups)
        if similarity is None:
            return cls(transfers, None, {}, own, own_pivot)
        to_sources = np.where(own, np.nan, similarity.of(web.sources))
        to_pivots = mean_similarity(np.where(own_pivot, np.nan, similarity.of(web.targets)))
        kinds = dict(zip(MEASURES, standardised_rows(to_sources), strict=True)) | {KINDS[-1]: mean_similarity(to_sources)}
        return cls(transfers, to_pivots, kinds, own, own_pivot)

    def pivot_weights(self, width: float) -> FloatArray:
        """The weight of each pivot for each query, exp(similarity / width) up to a factor; all equal for an infinite width."""
        if self.to_pivots is None or not np.isfinite(width):
            return (~self.own_pivot).astype(float)
        exponent = np.where(self.own_pivot, -np.inf, np.nan_to_num(self.to_pivots) / width)
        weights: FloatArray = np.exp(exponent - np.maximum(exponent.max(axis=1, keepdims=True, initial=-np.inf), -1e300))
        return weights


def _same(names: Sequence[str], others: Sequence[str]) -> npt.NDArray[np.bool_]:
    return np.array([[name == other for other in others] for name in names], dtype=bool).reshape(len(names), len(others))
