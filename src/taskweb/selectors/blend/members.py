"""Recipes: ways to mix popularity, pivots and likeness into one score. Which to trust is learned from the web at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.evidence import AGREEING, EVERYWHERE, KINDS, OWN, Evidence, Form
from taskweb.selectors.blend.standard import pooled
from taskweb.selectors.blend.text_similarity import FORMS

EVERY_PIVOT = float("inf")
WIDTHS = (0.5, 0.8, 1.3)
FITTED_WIDTH = 0.8
CAUTION = 0.05
_NOISE = 1e-12
POPULARITY, PIVOTS, LIKENESS = "popularity", "pivots", "likeness"
# What a family weighs in a ranking before anything is learned: likeness beside transfers is safer than either alone, whether
# all tasks count as pivots (popularity) or like ones the more.
FAMILIES = {POPULARITY: 0.1, LIKENESS: 0.2, f"{POPULARITY} + {LIKENESS}": 0.3, PIVOTS: 0.05, f"{PIVOTS} + {LIKENESS}": 0.35}
# And for telling gain from harm, of which likeness knows little.
FAMILIES_FOR_GAIN = {
    POPULARITY: 0.3,
    LIKENESS: 0.1,
    f"{POPULARITY} + {LIKENESS}": 0.1,
    PIVOTS: 0.2,
    f"{PIVOTS} + {LIKENESS}": 0.3,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to score sources.

    family: which kinds of evidence it uses. form: of the transfers, `ranking` (size and peak) or `gain`. peak: weight of the
    peak form beside the size, in [0, 1]. own: weight of the setup at hand beside other setups, in [0, 1]. width: of the kernel
    over pivots, in standard deviations of likeness; infinite = popularity. popularity: weight of popularity beside the pivots.
    likeness: weight of likeness beside the transfers. kind: of likeness, see KINDS and FORMS. others: the mean of all setups
    (`everywhere`), or that with setups weighted by how far they agree with the one at hand (`agreeing`).
    """

    family: str
    form: str = "ranking"
    peak: float = 0.0
    own: float = 1.0
    width: float = EVERY_PIVOT
    popularity: float = 0.0
    likeness: float = 0.0
    kind: str = KINDS[0]
    others: str = EVERYWHERE


# What the blend is held against: single ingredients, and both together with the same weight.
BASELINES = (
    Recipe(POPULARITY),
    Recipe(LIKENESS, likeness=1.0, kind=KINDS[-1]),
    Recipe(f"{POPULARITY} + {LIKENESS}", likeness=1.0, kind=KINDS[-1]),
)


@cache
def ranking_recipes(*, texts: bool = True, measured: bool = True, setups: bool = True) -> tuple[Recipe, ...]:
    """The recipes for ranking, where there are texts, measured transfers, and several setups."""
    found = []
    for peak, own in product((0.0, 0.3, 0.6), (0.5, 1.0) if setups else (1.0,)):
        found += _with_likeness(Recipe(POPULARITY, peak=peak, own=own), (0.25, 0.5, 1.0, 2.0))
        for width, popularity in product(WIDTHS, (0.0, 0.5)):
            found += _with_likeness(
                Recipe(PIVOTS, peak=peak, own=own, width=width, popularity=popularity), (0.25, 0.5, 1.0, 2.0)
            )
    return _usable(found, texts=texts, measured=measured)


@cache
def gain_recipes(*, texts: bool = True, measured: bool = True, setups: bool = True) -> tuple[Recipe, ...]:
    """The recipes for telling gain from harm: T itself counts, its extremes cut off, and popularity counts more."""
    found = []
    for own in (0.5, 0.75, 1.0) if setups else (1.0,):
        found += _with_likeness(Recipe(POPULARITY, "gain", own=own), (0.1, 0.3, 1.0))
        for width, popularity in product(WIDTHS, (0.0, 1.0)):
            found += _with_likeness(Recipe(PIVOTS, "gain", own=own, width=width, popularity=popularity), (0.1, 0.3, 1.0))
    return _usable(found, texts=texts, measured=measured)


@cache
def features(*, texts: bool = True, measured: bool = True, setups: bool = True) -> tuple[Recipe, ...]:
    """The plain recipes whose weights are fitted: size and peak of transfers, through all pivots and through like ones, in the
    setup at hand and in setups that agree with it; and likeness in each form.
    """
    found = []
    for peak, own in product((0.0, 1.0), (1.0, 0.0) if setups else (1.0,)):
        found += [
            Recipe(POPULARITY, peak=peak, own=own, others=AGREEING),
            Recipe(PIVOTS, peak=peak, own=own, width=FITTED_WIDTH, others=AGREEING),
        ]
    return _usable(found, texts=texts, measured=measured, kinds=FORMS)


def _with_likeness(plain: Recipe, weights: Sequence[float]) -> list[Recipe]:
    family = f"{plain.family} + {LIKENESS}"
    return [
        plain,
        *(
            Recipe(family, plain.form, plain.peak, plain.own, plain.width, plain.popularity, weight, kind)
            for weight, kind in product(weights, KINDS)
        ),
    ]


def _usable(found: list[Recipe], *, texts: bool, measured: bool, kinds: Sequence[str] = KINDS) -> tuple[Recipe, ...]:
    """Those whose evidence is there; without likeness there is one width only, since it is what the kernel rests on."""
    alone = [Recipe(LIKENESS, likeness=1.0, kind=kind) for kind in kinds] if texts else []
    if not measured:
        return tuple(alone)
    return (*(recipe for recipe in found if texts or recipe.family == POPULARITY), *alone)


def prior(recipes: Sequence[Recipe], families: Mapping[str, float]) -> FloatArray:
    """What each recipe weighs before anything is learned: as much as its family, shared by its recipes; sums to 1."""
    count = Counter(recipe.family for recipe in recipes)
    weights = np.array([families[recipe.family] / count[recipe.family] for recipe in recipes])
    total: FloatArray = weights / weights.sum()
    return total


def scores_by_recipe(evidence: Evidence, recipes: Sequence[Recipe]) -> Iterator[FloatArray]:
    """Scores of each recipe in turn: (queries, setups, sources), standardised over the sources; 0 for a query itself."""
    parts = _Parts(evidence, sorted({EVERY_PIVOT, *(recipe.width for recipe in recipes)}))
    for recipe in recipes:
        likeness = 0.0 if recipe.likeness == 0 else recipe.likeness * parts.likeness(recipe.kind)
        if recipe.family == LIKENESS:
            yield np.broadcast_to(likeness, parts.shape)
            continue
        score = parts.transfers(recipe, recipe.width)
        if recipe.popularity:
            score = parts.standard(score + recipe.popularity * parts.transfers(recipe, EVERY_PIVOT))
        yield parts.standard(score + likeness) if recipe.likeness else score


class _Parts:
    """The ingredients of recipes, each computed once."""

    def __init__(self, evidence: Evidence, widths: Sequence[float]) -> None:
        self._evidence = evidence
        self._widths = widths
        self._pooled: dict[tuple[str, str], FloatArray] = {}
        self._mixed: dict[tuple[str, float, float, float, str], FloatArray] = {}
        self._others = (~evidence.own).astype(float)[:, None, :]
        self._count = np.maximum(self._others.sum(axis=-1, keepdims=True), 1.0)
        self._likeness = {kind: np.nan_to_num(values)[:, None, :] for kind, values in evidence.to_sources.items()}
        self.shape = (len(evidence.own), len(evidence.transfers.setups), evidence.own.shape[1])

    def standard(self, scores: FloatArray) -> FloatArray:
        """Scores in standard deviations over the sources that are not the query itself, which gets 0."""
        scores = scores * self._others
        centred: FloatArray = (scores - scores.sum(axis=-1, keepdims=True) / self._count) * self._others
        deviation = np.sqrt((centred * centred).sum(axis=-1, keepdims=True) / self._count)
        centred /= np.where(deviation > _NOISE, deviation, np.inf)
        return centred

    def likeness(self, kind: str) -> FloatArray:
        return self._likeness[kind]

    def transfers(self, recipe: Recipe, width: float) -> FloatArray:
        """Transfers through pivots: setup at hand and all setups, size and peak, in the recipe's shares; standardised."""
        key = (recipe.form, recipe.peak, recipe.own, width, recipe.others)
        if key not in self._mixed:
            forms = {"gain": 1.0} if recipe.form == "gain" else {"size": 1 - recipe.peak, "peak": recipe.peak}
            shares = {OWN: recipe.own, recipe.others: 1 - recipe.own}
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
