"""Ensemble members: ways to combine popularity, pivots and similarity into one score. The blend learns their weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.evidence import AGREEING, EVERYWHERE, KINDS, OWN, Evidence, Form
from taskweb.selectors.blend.standardise import pooled
from taskweb.selectors.blend.text_similarity import MEASURES

EVERY_PIVOT = float("inf")
WIDTHS = (0.5, 0.8, 1.3)
FITTED_WIDTH = 0.8
CAUTION = 0.05
_NOISE = 1e-12
POPULARITY, PIVOTS, SIMILARITY = "popularity", "pivots", "similarity"
# Prior weights of the families in a ranking: similarity together with transfers is safer than either alone, whether all tasks
# count equally as pivots (popularity) or similar ones count more.
FAMILIES = {
    POPULARITY: 0.1,
    SIMILARITY: 0.2,
    f"{POPULARITY} + {SIMILARITY}": 0.3,
    PIVOTS: 0.05,
    f"{PIVOTS} + {SIMILARITY}": 0.35,
}
# And for separating gain from harm, about which similarity says little.
FAMILIES_FOR_GAIN = {
    POPULARITY: 0.3,
    SIMILARITY: 0.1,
    f"{POPULARITY} + {SIMILARITY}": 0.1,
    PIVOTS: 0.2,
    f"{PIVOTS} + {SIMILARITY}": 0.3,
}


@dataclass(frozen=True, slots=True)
class EnsembleMember:
    """One way to score sources.

    family: which kinds of evidence it uses. form: of the transfers, `ranking` (size and peak) or `gain`. peak: weight of the
    peak form against the size, in [0, 1]. own: weight of the setup at hand against other setups, in [0, 1]. width: of the
    kernel over pivots, in standard deviations of similarity; infinite = popularity. popularity: weight of popularity, that of
    the pivots being 1. similarity: weight of similarity, that of the transfers being 1. kind: of similarity, see KINDS and
    MEASURES. others: the mean of all setups (`everywhere`), or that mean with setups weighted by how far they agree with the
    one at hand (`agreeing`).
    """

    family: str
    form: str = "ranking"
    peak: float = 0.0
    own: float = 1.0
    width: float = EVERY_PIVOT
    popularity: float = 0.0
    similarity: float = 0.0
    kind: str = KINDS[0]
    others: str = EVERYWHERE


# What the blend is compared with: single kinds of evidence, and both together with equal weights.
BASELINES = (
    EnsembleMember(POPULARITY),
    EnsembleMember(SIMILARITY, similarity=1.0, kind=KINDS[-1]),
    EnsembleMember(f"{POPULARITY} + {SIMILARITY}", similarity=1.0, kind=KINDS[-1]),
)


@cache
def ranking_members(*, texts: bool = True, measured: bool = True, setups: bool = True) -> tuple[EnsembleMember, ...]:
    """The members for ranking, given whether there are texts, measured transfers, and several setups."""
    found = []
    for peak, own in product((0.0, 0.3, 0.6), (0.5, 1.0) if setups else (1.0,)):
        found += _with_similarity(EnsembleMember(POPULARITY, peak=peak, own=own), (0.25, 0.5, 1.0, 2.0))
        for width, popularity in product(WIDTHS, (0.0, 0.5)):
            found += _with_similarity(
                EnsembleMember(PIVOTS, peak=peak, own=own, width=width, popularity=popularity), (0.25, 0.5, 1.0, 2.0)
            )
    return _usable(found, texts=texts, measured=measured)


@cache
def gain_members(*, texts: bool = True, measured: bool = True, setups: bool = True) -> tuple[EnsembleMember, ...]:
    """The members for separating gain from harm: T itself counts, with extremes clipped, and popularity counts more."""
    found = []
    for own in (0.5, 0.75, 1.0) if setups else (1.0,):
        found += _with_similarity(EnsembleMember(POPULARITY, "gain", own=own), (0.1, 0.3, 1.0))
        for width, popularity in product(WIDTHS, (0.0, 1.0)):
            found += _with_similarity(
                EnsembleMember(PIVOTS, "gain", own=own, width=width, popularity=popularity), (0.1, 0.3, 1.0)
            )
    return _usable(found, texts=texts, measured=measured)


@cache
def features(*, texts: bool = True, measured: bool = True, setups: bool = True) -> tuple[EnsembleMember, ...]:
    """The plain members whose weights are fitted.

    Size and peak of transfers, through all pivots and through similar ones, in the setup at hand and in setups that agree with
    it; and similarity by each measure.
    """
    found = []
    for peak, own in product((0.0, 1.0), (1.0, 0.0) if setups else (1.0,)):
        found += [
            EnsembleMember(POPULARITY, peak=peak, own=own, others=AGREEING),
            EnsembleMember(PIVOTS, peak=peak, own=own, width=FITTED_WIDTH, others=AGREEING),
        ]
    return _usable(found, texts=texts, measured=measured, kinds=MEASURES)


def _with_similarity(plain: EnsembleMember, weights: Sequence[float]) -> list[EnsembleMember]:
    family = f"{plain.family} + {SIMILARITY}"
    return [
        plain,
        *(
            EnsembleMember(family, plain.form, plain.peak, plain.own, plain.width, plain.popularity, weight, kind)
            for weight, kind in product(weights, KINDS)
        ),
    ]


def _usable(
    found: list[EnsembleMember], *, texts: bool, measured: bool, kinds: Sequence[str] = KINDS
) -> tuple[EnsembleMember, ...]:
    """The members whose evidence is available; without texts that is only popularity, since the kernel needs similarity."""
    alone = [EnsembleMember(SIMILARITY, similarity=1.0, kind=kind) for kind in kinds] if texts else []
    if not measured:
        return tuple(alone)
    return (*(member for member in found if texts or member.family == POPULARITY), *alone)


def prior(members: Sequence[EnsembleMember], families: Mapping[str, float]) -> FloatArray:
    """The weights before anything is learned: each family's weight, shared equally by its members; sums to 1."""
    count = Counter(member.family for member in members)
    weights = np.array([families[member.family] / count[member.family] for member in members])
    total: FloatArray = weights / weights.sum()
    return total


def scores_by_member(evidence: Evidence, members: Sequence[EnsembleMember]) -> Iterator[FloatArray]:
    """The scores of each member in turn: (queries, setups, sources), standardised over the sources; 0 for a query itself."""
    parts = _Parts(evidence, sorted({EVERY_PIVOT, *(member.width for member in members)}))
    for member in members:
        similarity = 0.0 if member.similarity == 0 else member.similarity * parts.similarity(member.kind)
        if member.family == SIMILARITY:
            yield np.broadcast_to(similarity, parts.shape)
            continue
        score = parts.transfers(member, member.width)
        if member.popularity:
            score = parts.standard(score + member.popularity * parts.transfers(member, EVERY_PIVOT))
        yield parts.standard(score + similarity) if member.similarity else score


class _Parts:
    """What members are computed from, each part computed once."""

    def __init__(self, evidence: Evidence, widths: Sequence[float]) -> None:
        self._evidence = evidence
        self._widths = widths
        self._pooled: dict[tuple[str, str], FloatArray] = {}
        self._mixed: dict[tuple[str, float, float, float, str], FloatArray] = {}
        self._others = (~evidence.own).astype(float)[:, None, :]
        self._count = np.maximum(self._others.sum(axis=-1, keepdims=True), 1.0)
        self._similarity = {kind: np.nan_to_num(values)[:, None, :] for kind, values in evidence.to_sources.items()}
        self.shape = (len(evidence.own), len(evidence.transfers.setups), evidence.own.shape[1])

    def standard(self, scores: FloatArray) -> FloatArray:
        """Scores in standard deviations over the sources other than the query itself, which gets 0."""
        scores = scores * self._others
        centred: FloatArray = (scores - scores.sum(axis=-1, keepdims=True) / self._count) * self._others
        deviation = np.sqrt((centred * centred).sum(axis=-1, keepdims=True) / self._count)
        centred /= np.where(deviation > _NOISE, deviation, np.inf)
        return centred

    def similarity(self, kind: str) -> FloatArray:
        return self._similarity[kind]

    def transfers(self, member: EnsembleMember, width: float) -> FloatArray:
        """Transfers through pivots: setup at hand and others, size and peak, weighted as the member says; standardised."""
        key = (member.form, member.peak, member.own, width, member.others)
        if key not in self._mixed:
            forms = {"gain": 1.0} if member.form == "gain" else {"size": 1 - member.peak, "peak": member.peak}
            shares = {OWN: member.own, member.others: 1 - member.own}
            at = self._widths.index(width)
            mixed = sum(
                weight * share * self._through_pivots(form, setups)[at]
                for (form, weight), (setups, share) in product(forms.items(), shares.items())
                if weight * share
            )
            self._mixed[key] = self.standard(np.asarray(mixed))
        return self._mixed[key]

    def _through_pivots(self, form: str, setups: str) -> FloatArray:
        """Transfers pooled with the kernels of all widths at once: (widths, queries, setups, sources)."""
        transfers: Form = getattr(self._evidence.transfers, form)
        if np.shares_memory(transfers.own, transfers.everywhere):
            setups = EVERYWHERE
        if (form, setups) not in self._pooled:
            weights = np.concatenate([self._evidence.pivot_weights(width) for width in self._widths])
            rows: FloatArray = getattr(transfers, setups)
            found = [pooled(weights, one, caution=CAUTION) for one in (rows[None] if rows.ndim == 2 else rows)]
            shape = (len(self._widths), len(self._evidence.own), rows.shape[-1])
            self._pooled[form, setups] = np.stack([one.reshape(shape) for one in found], axis=2)
        return self._pooled[form, setups]
