"""Transfers of a setup from those of other setups, by how far setups agree, which is learned from the web itself.

For one target, the sources are scored by a weighted sum of four parts, all in standard deviations over sources: the setup's own
popularity (its other targets, where some are measured), the popularity in other setups, what the other setups measured for this
very target beyond that, and the same with the setups weighted by how far they agree with the one at hand. The weights are those
that predict every other setup best when it is left out in turn (ridge regression with weights of at least 0), together with the
setup's own rows where there are some. Where setups do not agree, their parts get no weight, and popularity remains.

An interval comes from the errors of the same predictions for the setups that were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from taskweb.errors import WebError
from taskweb.selectors.assessment import PredictedGain
from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.prediction_intervals import widening
from taskweb.selectors.blend.standardise import standardised_rows
from taskweb.web import TransferWeb
from taskweb.web.arrays import BoolArray, nan_mean
from taskweb.web.transfer_web import without_self

PARTS = ("own popularity", "popularity elsewhere", "this target elsewhere", "in setups that agree")
LEVEL = 0.8
FEWEST_SOURCES = 3  # of a row, to compare it
_RIDGE_ROWS = 2.0  # rows of evidence that the ridge counts as
_OWN_ROWS = 30.0  # a row of the setup itself counts as this many rows of others
_FEWEST_ERRORS = 20


@dataclass(frozen=True)
class Prediction:
    """The sources of one target in one setup, predicted from other setups.

    scores: in standard deviations over sources, (sources,); 0 for a source of which nothing is known. known: which sources
    another setup measured for any target. gains: PC with its 80% interval; empty where the web has no gains, or too few
    setups to learn errors from. weights: of PARTS. setups: how many others measured this target. own_targets: rows of the
    setup that were used.
    """

    scores: FloatArray = field(repr=False)
    known: BoolArray = field(repr=False)
    gains: tuple[PredictedGain, ...] = field(repr=False)
    weights: dict[str, float]
    setups: int
    own_targets: int


class OtherSetups:
    """Predicts rows of one setup from the other setups of a web.

    web: with at least two setups beside the one at hand to learn agreement from; with fewer, popularity elsewhere and the row
    elsewhere count alike. setup: a name; where the web lacks it, nothing of it is known. use_own: whether its own other rows
    may be used; if not, the setup is treated as new. A row that is predicted is never used for its own prediction.
    """

    def __init__(self, web: TransferWeb, setup: str, *, use_own: bool = True) -> None:
        others = [i for i, name in enumerate(web.setups) if name != setup]
        if not others:
            raise WebError(f"The web '{web.name}' has no setup beside '{setup}', so nothing can be predicted from others.")
        own = web.setups.index(setup) if setup in web.setups and use_own else None
        self._web = web
        self._order = [*others, *([own] if own is not None else [])]
        t = without_self(web.t, web.targets, web.sources)[self._order]
        self._z = standardised_rows(t)
        few = np.isfinite(self._z).sum(axis=-1) < FEWEST_SOURCES
        self._z[few] = np.nan
        self._has_own = own is not None and bool(np.isfinite(self._z[-1]).any())
        if own is not None and not self._has_own:
            self._z, self._order = self._z[:-1], others
        self._others = len(others)
        self._gain = None if web.pc is None else without_self(web.pc, web.targets, web.sources)[self._order]
        self._agreement = _Agreement(self._z)
        self._sums, self._counts = np.nan_to_num(self._z).sum(axis=1), np.isfinite(self._z).sum(axis=1)
        self._of_others = [self._rows_of(setup) for setup in range(self._others)] if self._others > 1 else []

    def predict(self, target: str) -> Prediction:
        """The sources of a target of the web. Raises NameNotFoundError, and WebError where no other setup measured it."""
        place = self._web.target_index(target)
        measured = np.isfinite(self._z[: self._others, place]).any(axis=-1)
        if not measured.any():
            raise WebError(
                f"No other setup of the web '{self._web.name}' measured transfers from {FEWEST_SOURCES} sources to '{target}'. "
                "Give its examples as a file."
            )
        weights = self._weights(place)
        own = self._others if self._has_own else None
        features = self._features(own, place, hidden=own)
        scores = features @ weights
        known: BoolArray = np.asarray(np.isfinite(self._z[: self._others]).any(axis=(0, 1)))
        own_targets = 0 if own is None else int(np.isfinite(np.delete(self._z[own], place, axis=0)).any(axis=-1).sum())
        named = dict(zip(PARTS, weights.tolist(), strict=True))
        return Prediction(scores, known, self._gains(place, scores), named, int(measured.sum()), own_targets)

    def _features(self, setup: int | None, place: int, *, hidden: int | None, also: int | None = None) -> FloatArray:
        """The parts for one row, (sources, parts), 0 where unknown. setup: at hand, None for a new one; hidden: not an other.

        also: another row of the setup that must not be used.
        """
        others = [i for i in range(self._others) if i not in (setup, hidden)]
        row = self._z[others, place]
        present, filled = np.isfinite(row), np.nan_to_num(row)
        count, sums = present.sum(axis=0), filled.sum(axis=0)
        elsewhere = _mean(self._sums[others].sum(axis=0) - sums, self._counts[others].sum(axis=0) - count)
        beyond = np.where(count > 0, _mean(sums, count) - elsewhere, 0.0)
        own, agreeing = np.zeros_like(elsewhere), np.zeros_like(elsewhere)
        if setup is not None:
            left_out = [place, *([also] if also is not None else [])]
            away = self._z[setup, left_out]
            own = _mean(
                self._sums[setup] - np.nan_to_num(away).sum(axis=0), self._counts[setup] - np.isfinite(away).sum(axis=0)
            )
            weighted = np.where(present, self._agreement.of(setup, others, left_out)[:, None], 0.0)
            total = weighted.sum(axis=0)
            mean = np.divide((weighted * filled).sum(axis=0), total, out=elsewhere + beyond, where=total > 0)
            agreeing = mean - elsewhere - beyond
        return np.stack([own, elsewhere, beyond * count / (count + 1.0), agreeing], axis=-1)

    def _rows_of(self, setup: int) -> _Rows:
        """The rows of another setup, predicted as the setup at hand is: as a known one, or as a new one."""
        as_known = setup if self._has_own else None
        features = np.stack([self._features(as_known, place, hidden=setup) for place in range(self._z.shape[1])])
        return _Rows.of(features, self._z[setup])

    def _own_rows(self, place: int) -> _Rows:
        """The own rows of the setup at hand but one, and nothing of that one in their features."""
        own = self._others
        rows = [i for i in range(self._z.shape[1]) if i != place and np.isfinite(self._z[own, i]).any()]
        features = [self._features(own, row, hidden=own, also=place) for row in rows]
        return _Rows.of(np.array(features).reshape(len(rows), self._z.shape[-1], len(PARTS)), self._z[own, rows])

    def _weights(self, place: int | None, left_out: int | None = None) -> FloatArray:
        """The weights for a row of the setup at hand; without a place, those for another setup that is left out."""
        gram, product = np.zeros((len(PARTS), len(PARTS))), np.zeros(len(PARTS))
        for setup, rows in enumerate(self._of_others):
            if setup != left_out:
                gram, product = gram + rows.gram, product + rows.product
        if place is not None and self._has_own:
            rows = self._own_rows(place)
            gram, product = gram + _OWN_ROWS * rows.gram, product + _OWN_ROWS * rows.product
        if not gram.any():
            return np.array([1.0 if self._has_own else 0.0, 1.0, 1.0, 0.0])
        return _not_negative(gram + _RIDGE_ROWS * self._z.shape[-1] * np.diag(_PENALTY), product)

    def _gains(self, place: int, scores: FloatArray) -> tuple[PredictedGain, ...]:
        """PC and its interval for each source, from the errors of the same predictions for the setups left out."""
        if self._gain is None:
            return ()
        level, scale = self._level_and_scale(place, None)
        errors = self._errors
        if not np.isfinite(level) or len(errors) < _FEWEST_ERRORS:
            return ()
        middle = level + scale * scores
        ordered = np.sort(errors) * widening(self._others)
        low, high = scale * np.quantile(ordered, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        harm = np.searchsorted(ordered, -middle / scale) / len(ordered) if scale > 0 else (middle < 0).astype(float)
        return tuple(
            PredictedGain(float(m), float(m + min(low, 0.0)), float(m + max(high, 0.0)), float(h))
            for m, h in zip(middle, harm, strict=True)
        )

    @cached_property
    def _errors(self) -> FloatArray:
        """Errors of predicted gains of the other setups, each left out, relative to the predicted spread of a row's gains."""
        assert self._gain is not None
        found = []
        for setup, rows in enumerate(self._of_others):
            weights = self._weights(None, left_out=setup)
            for place, features in enumerate(rows.features):
                gain = self._gain[setup, place]
                known = np.isfinite(gain) & np.isfinite(self._z[setup, place])
                level, scale = self._level_and_scale(place, setup)
                if known.any() and scale > 0:
                    found.append(((gain - level - scale * (features @ weights)) / scale)[known])
        return np.concatenate(found) if found else np.zeros(0)

    def _level_and_scale(self, place: int, left_out: int | None) -> tuple[float, float]:
        """Mean and standard deviation of a target's gains over sources, as the other setups have them."""
        assert self._gain is not None
        rows = np.delete(self._gain[: self._others, place], [] if left_out is None else left_out, axis=0)
        mean = nan_mean(rows, axis=-1)
        spread = np.sqrt(nan_mean((rows - mean[:, None]) ** 2, axis=-1))
        usable = np.isfinite(mean)
        if not usable.any():
            return float("nan"), float("nan")
        return float(np.median(mean[usable])), float(np.median(spread[usable]))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of one setup: features (rows, sources, parts), and the sums that a regression on them needs."""

    features: FloatArray
    gram: FloatArray
    product: FloatArray

    @classmethod
    def of(cls, features: FloatArray, truth: FloatArray) -> _Rows:
        """Rows with these features and truth, (rows, sources), NaN = not measured."""
        known = np.isfinite(truth)
        used, wanted = features[known], truth[known]
        return cls(features, used.T @ used, used.T @ wanted)


class _Agreement:
    """How far setups agree: the correlation of their rows, shrunk to the mean of all setups where few rows are shared."""

    def __init__(self, z: FloatArray) -> None:
        filled, known = np.nan_to_num(z), np.isfinite(z).astype(float)
        self._products = np.einsum("ats,bts->abt", filled, filled)
        self._counts = np.einsum("ats,bts->abt", known, known)
        self._prior = float(z.shape[-1])

    def of(self, setup: int, others: Sequence[int], without: Sequence[int]) -> FloatArray:
        """The agreement of one setup with others, in [0, 1], without some rows: (others,)."""
        products = np.delete(self._products[setup, others], list(without), axis=1).sum(axis=1)
        counts = np.delete(self._counts[setup, others], list(without), axis=1).sum(axis=1)
        mean = products.sum() / max(counts.sum(), 1.0)
        shrunk: FloatArray = np.clip((products + self._prior * mean) / (counts + self._prior), 0.0, 1.0)
        return shrunk


def _mean(sums: FloatArray, counts: FloatArray) -> FloatArray:
    """Means, 0 where there is nothing."""
    found: FloatArray = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return found


_PENALTY = np.array([0.02, 0.02, 0.2, 1.0])  # popularity needs less evidence than agreement on single targets


def _not_negative(gram: FloatArray, product: FloatArray) -> FloatArray:
    """The weights of at least 0 that solve a regression, by leaving out the most negative one after another."""
    used = list(range(len(product)))
    weights = np.zeros(len(product))
    while used:
        solved = np.linalg.solve(gram[np.ix_(used, used)], product[used])
        if (solved >= 0).all():
            weights[used] = solved
            break
        used.pop(int(np.argmin(solved)))
    return weights
