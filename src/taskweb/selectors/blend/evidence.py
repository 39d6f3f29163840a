"""What is known of one or more targets: how the sources did on other targets (pivots), and how alike everything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.likeness import Likeness, mean_of_forms
from taskweb.selectors.blend.standard import peaked_rows, standard_rows
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.transfer_web import nan_mean, without_self

KINDS = ("RoE", "mean of three likenesses")
_CLIPPED_AT = 3.0  # times the median size of T


@dataclass(frozen=True, eq=False)
class Transfers:
    """Measured transfers of a web in some setups, in three forms; NaN = not measured.

    setups: names, `all` for the mean of the web's setups. size: T, standardised over the sources of each pivot. peak: by rank,
    as NDCG counts. gain: T itself, its extremes cut off. All are (setups, pivots, sources), and with `_everywhere`, the mean
    over the web's setups, (pivots, sources). A pair that a setup did not measure takes the mean of those that did.
    """

    setups: tuple[str, ...]
    size: FloatArray = field(repr=False)
    peak: FloatArray = field(repr=False)
    gain: FloatArray = field(repr=False)
    size_everywhere: FloatArray = field(repr=False)
    peak_everywhere: FloatArray = field(repr=False)
    gain_everywhere: FloatArray = field(repr=False)

    @classmethod
    def of(cls, web: TransferWeb, setups: Sequence[str]) -> Transfers:
        """The transfers of a web in these setups."""
        t = without_self(web.t, web.targets, web.sources)
        sizes = np.abs(t[np.isfinite(t)])
        edge = _CLIPPED_AT * float(np.median(sizes)) if len(sizes) else 1.0
        arrays: dict[str, FloatArray] = {}
        for name, form in (
            ("size", standard_rows),
            ("peak", peaked_rows),
            ("gain", lambda values: np.clip(values, -edge, edge)),
        ):
            everywhere = nan_mean(np.array([form(rows) for rows in t]).reshape(t.shape), axis=0)
            own = [form(nan_mean(t, axis=0) if setup == ALL_SETUPS else t[web.setup_index(setup)]) for setup in setups]
            filled = [np.where(np.isnan(rows), everywhere, rows) for rows in own]
            arrays[name] = np.array(filled).reshape(len(setups), *everywhere.shape)
            arrays[f"{name}_everywhere"] = everywhere
        return cls(tuple(setups), **arrays)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of some targets ("queries").

    to_pivots: likeness of queries and pivots in standard deviations, (queries, pivots); None without texts.
    to_sources: likeness with sources by kind, (queries, sources); empty without texts. own, own_pivot: True where a query
    is the source, or the pivot, itself.
    """

    transfers: Transfers
    to_pivots: FloatArray | None = field(repr=False)
    to_sources: Mapping[str, FloatArray] = field(repr=False)
    own: npt.NDArray[np.bool_] = field(repr=False)
    own_pivot: npt.NDArray[np.bool_] = field(repr=False)

    @classmethod
    def of(cls, web: TransferWeb, setups: Sequence[str], queries: Sequence[str], likeness: Likeness | None) -> Evidence:
        """What a web, and texts, tell of the queries; no query is a pivot or a source of its own."""
        own, own_pivot = _same(queries, web.sources), _same(queries, web.targets)
        transfers = Transfers.of(web, setups)
        if likeness is None:
            return cls(transfers, None, {}, own, own_pivot)
        to_sources = np.where(own, np.nan, likeness.of(web.sources))
        to_pivots = mean_of_forms(np.where(own_pivot, np.nan, likeness.of(web.targets)))
        kinds = (standard_rows(to_sources[0]), mean_of_forms(to_sources))
        return cls(transfers, to_pivots, dict(zip(KINDS, kinds, strict=True)), own, own_pivot)

    def pivot_weights(self, width: float) -> FloatArray:
        """What each pivot counts for each query, exp(likeness / width), at most 1; all alike where the width is infinite."""
        if self.to_pivots is None or not np.isfinite(width):
            return (~self.own_pivot).astype(float)
        exponent = np.where(self.own_pivot, -np.inf, np.nan_to_num(self.to_pivots) / width)
        weights: FloatArray = np.exp(exponent - np.maximum(exponent.max(axis=1, keepdims=True, initial=-np.inf), -1e300))
        return weights


def _same(names: Sequence[str], others: Sequence[str]) -> npt.NDArray[np.bool_]:
    return np.array([[name == other for other in others] for name in names], dtype=bool).reshape(len(names), len(others))
