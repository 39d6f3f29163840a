"""Learning from the web at hand which recipes to trust: each of its targets is left out in turn, and recipes are judged by it.

The weight of a recipe is its prior times exp(rate x the sum of its utilities over the targets left out): a small web leaves
the weights near the prior, a large one picks what works on it. The blend itself is judged in the same way, each time with
weights to which the utilities for that target did not add, and popularity, likeness, and both with the same weight come to
its side, each as far as it may rank better (`lead.shares`). Learning is slow: the ingredient that served the other targets
best is no safe guess for the one at hand, as long as the lead is small.

Beside the mixture of recipes stands a model whose weights of plain evidence are fitted to the same targets (`fitted`): the
more targets there are, the more it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.evidence import Evidence
from taskweb.selectors.blend.fitted import fit
from taskweb.selectors.blend.margin import shares, shares_without_own, standard_errors
from taskweb.selectors.blend.members import (
    BASELINES,
    FAMILIES,
    FAMILIES_FOR_GAIN,
    Recipe,
    features,
    gain_recipes,
    prior,
    ranking_recipes,
    scores_by_recipe,
)
from taskweb.selectors.blend.text_similarity import FORMS, Likeness, likeness_within
from taskweb.selectors.blend.utility import HarmTruth, OrderTruth
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.transfer_web import without_self

QUERY_EXAMPLES = (1, 2, 4, 8, 16, 32)
MOST_TARGETS, MOST_SOURCES, MOST_SETUPS = 32, 128, 8
FEWEST_SOURCES = 3  # of a target, to judge an order by
EVEN_TARGETS = 10.0  # with so many, what is fitted counts about as much as the mixture of recipes
SURE_SPREAD = 0.5  # of fitted scores, from which on they count in full
GAIN_PACE = 3.0  # times the rate, for gain: an AUC differs less from recipe to recipe than what a ranking is worth
_NOISE = 1e-6


@dataclass(frozen=True, eq=False)
class Validation:
    """What was learned from leaving out each target of a web.

    targets, sources, setups: who was looked at; the setups end in `all` where there are several. ranking, gain: weight of each
    recipe, in the order of `ranking_recipes` and `gain_recipes`. fitted: weight of each of `features`, in the ranking beside
    the recipes. scores, gain_scores: what the blend said of each target left out, (targets, setups, sources), 0 for a target
    itself. ndcg, chance: how well the blend ranked for each target, and what chance would give, mean over setups; NaN where a
    target cannot be judged.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    setups: tuple[str, ...]
    ranking: FloatArray = field(repr=False)
    gain: FloatArray = field(repr=False)
    fitted: FloatArray = field(repr=False)
    scores: FloatArray = field(repr=False)
    gain_scores: FloatArray = field(repr=False)
    ndcg: FloatArray = field(repr=False)
    chance: FloatArray = field(repr=False)

    @property
    def evidence(self) -> float:
        """By how many standard errors the blend ranks better than chance; 0 where no target can be judged."""
        return standard_errors(self.ndcg - self.chance)


@dataclass(frozen=True, slots=True)
class Usable:
    """What a web and texts allow: recipes for ranking and for gain, and plain evidence whose weights are fitted."""

    ranking: tuple[Recipe, ...]
    gain: tuple[Recipe, ...]
    fitted: tuple[Recipe, ...]


def recipes_for(web: TransferWeb, *, texts: bool) -> Usable:
    """The recipes that a web and texts allow."""
    allowed = {"texts": texts, "measured": _has_transfers(web), "setups": len(web.setups) > 1}
    return Usable(ranking_recipes(**allowed), gain_recipes(**allowed), features(**allowed))


def _has_transfers(web: TransferWeb) -> bool:
    """Whether a transfer between two different tasks is measured; target by target, since the first mostly settles it."""
    column = {source: j for j, source in enumerate(web.sources)}
    rows = (np.delete(web.t[:, i], column.get(target, []), axis=-1) for i, target in enumerate(web.targets))
    return any(np.isfinite(row).any() for row in rows)


def validate(web: TransferWeb, bank: ExampleBank | None, *, rate: float, examples: int = QUERY_EXAMPLES[-1]) -> Validation:
    """Leave out each target of a web (see `thinned`) in turn and learn the weights of recipes.

    examples: how many each target is seen by when it is left out, as few as there are of the target at hand.
    """
    texts = None if bank is None else _texts(web, bank, examples)
    usable = recipes_for(web, texts=texts is not None)
    setups = (*web.setups, ALL_SETUPS) if len(web.setups) > 1 else web.setups
    truth = np.moveaxis(without_self(web.t, web.targets, web.sources), 0, 1)
    evidence = Evidence.of(web, setups, web.targets, texts)
    judged = np.isfinite(truth).sum(axis=-1) >= FEWEST_SOURCES
    count = len(web.setups)

    order, harm = OrderTruth(truth), HarmTruth(truth)

    def over_setups(figures: FloatArray) -> FloatArray:
        return nan_mean(np.where(judged, figures, np.nan), axis=1)

    def ndcg(scores: FloatArray) -> FloatArray:
        return over_setups(order.judge(scores[:, :count])[0])

    def worth(scores: FloatArray) -> FloatArray:
        return over_setups(order.worth(scores[:, :count]))

    def auc(scores: FloatArray) -> FloatArray:
        return nan_mean(harm.auc(scores[:, :count]), axis=1)

    ranking, scores = _learn(evidence, usable.ranking, prior(usable.ranking, FAMILIES), worth, rate)
    gain, gain_scores = _learn(evidence, usable.gain, prior(usable.gain, FAMILIES_FOR_GAIN), auc, GAIN_PACE * rate)
    share, fitted, fitted_scores = _fitted(evidence, usable.fitted, truth, judged & order.varies & (rate > 0))
    ranking, scores = (1 - share) * ranking, (1 - share) * scores + fitted_scores
    ranking, fitted, scores = _beside_baselines(evidence, usable.ranking, ndcg, ranking, fitted, scores)
    by_chance = over_setups(np.where(order.varies, order.chance, np.nan))
    return Validation(web.targets, web.sources, setups, ranking, gain, fitted, scores, gain_scores, ndcg(scores), by_chance)


def blended(evidence: Evidence, recipes: Sequence[Recipe], weights: FloatArray) -> FloatArray:
    """The weighted sum of all recipes' scores: (queries, setups, sources)."""
    total = np.zeros((len(evidence.own), len(evidence.transfers.setups), evidence.own.shape[1]))
    for weight, scores in zip(weights.tolist(), scores_by_recipe(evidence, recipes), strict=True):
        total += weight * scores
    return total


def _learn(
    evidence: Evidence,
    recipes: Sequence[Recipe],
    before: FloatArray,
    utility: Callable[[FloatArray], FloatArray],
    rate: float,
) -> tuple[FloatArray, FloatArray]:
    """The weights of recipes, and what the blend says of each query with weights that were learned without it.

    before: what the recipes weigh before anything is learned.
    """
    judged: list[FloatArray] = []
    held: list[npt.NDArray[np.float32]] = []  # in half the precision: by far the largest thing here
    for of_recipe in scores_by_recipe(evidence, recipes):
        judged.append(utility(of_recipe))
        held.append(of_recipe.astype(np.float32))
    utilities = np.nan_to_num(np.array(judged).reshape(len(recipes), len(evidence.own)))
    log_prior = np.log(before)[:, None]
    total = utilities.sum(axis=1, keepdims=True)
    weights = _normalised(log_prior + rate * total)[:, 0]
    without_own = _normalised(log_prior + rate * (total - utilities))
    scores = np.zeros((len(evidence.own), len(evidence.transfers.setups), evidence.own.shape[1]))
    for weight, kept in zip(without_own, held, strict=True):
        scores += weight[:, None, None] * kept
    return weights, scores


def _fitted(
    evidence: Evidence, recipes: Sequence[Recipe], truth: FloatArray, judged: npt.NDArray[np.bool_]
) -> tuple[float, FloatArray, FloatArray]:
    """What the fitted model counts, its weights of plain recipes, and what it says of each query, fitted without it.

    Weights and scores are scaled so that the root mean square of the scores is the model's share; but where they hardly differ
    from 0, because the targets taught nothing, they stay small.
    """
    shape = (len(evidence.own), len(evidence.transfers.setups), evidence.own.shape[1], len(recipes))
    table = np.stack(list(scores_by_recipe(evidence, recipes)), axis=-1) if recipes else np.zeros(shape)
    found = fit(table[:, : truth.shape[1]], truth, judged)
    scores = np.einsum("qmsf,qf->qms", table, found.without_own)
    others = ~np.broadcast_to(evidence.own[:, None, :], scores.shape)
    spread = float(np.sqrt((scores[others] ** 2).mean())) if others.any() else 0.0
    if spread < _NOISE:
        return 0.0, np.zeros(len(recipes)), np.zeros(shape[:-1])
    scale = 1.0 / max(spread, SURE_SPREAD)
    targets = float(judged.any(axis=1).sum())
    share = targets**2 / (targets**2 + EVEN_TARGETS**2)
    return share, share * scale * found.weights, share * scale * scores


def _beside_baselines(
    evidence: Evidence,
    recipes: Sequence[Recipe],
    ndcg: Callable[[FloatArray], FloatArray],
    weights: FloatArray,
    fitted: FloatArray,
    scores: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Both kinds of weights, and what is said of each query, when baselines count beside the blend."""
    places = [recipes.index(recipe) for recipe in BASELINES if recipe in recipes]
    baselines = list(scores_by_recipe(evidence, [recipes[place] for place in places]))
    of_blend, of_each = ndcg(scores), np.array([ndcg(by_one) for by_one in baselines]).reshape(len(places), len(scores))
    own_share, *own_shares = shares_without_own(of_blend, of_each)[:, :, None, None]
    scores = own_share * scores + sum(share * by_one for share, by_one in zip(own_shares, baselines, strict=True))
    share = shares(of_blend, of_each)
    weights = share[0] * weights
    weights[places] += share[1:]
    return weights, share[0] * fitted, scores


def _normalised(logarithms: FloatArray) -> FloatArray:
    weights = np.exp(logarithms - logarithms.max(axis=0, initial=-np.inf))
    total: FloatArray = weights / weights.sum(axis=0)
    return total


def thinned(web: TransferWeb) -> TransferWeb:
    """The part of a web that is learned from: at most so many targets, sources and setups, evenly spread over their names.

    Targets that are sources stay both; estimated sources take no part.
    """
    targets = _evenly(web.targets, MOST_TARGETS)
    chosen = set(targets)
    measured = [source for source in web.sources if source not in web.estimated_sources]
    both = [source for source in measured if source in chosen]
    rest = [source for source in measured if source not in chosen]
    sources = sorted((*both, *_evenly(rest, max(0, MOST_SOURCES - len(both)))))
    return web.restrict(setups=_evenly(web.setups, MOST_SETUPS), targets=targets, sources=sources)


def _evenly(names: Sequence[str], most: int) -> list[str]:
    ordered = sorted(names)
    if len(ordered) <= most:
        return ordered
    return [ordered[i] for i in np.linspace(0, len(ordered) - 1, most).astype(int)] if most else []


def _texts(web: TransferWeb, bank: ExampleBank, examples: int) -> Likeness:
    """Likeness of the web's targets with all its tasks that have texts; NaN rows for targets without."""
    tasks = [task for task in web.tasks if task in bank]
    queries = [target for target in web.targets if target in bank]
    values = np.full((len(FORMS), len(web.targets), len(tasks)), np.nan)
    if queries:
        found = likeness_within(bank, queries, tasks, examples=examples)
        values[:, [web.targets.index(query) for query in queries]] = found.values
    return Likeness(tuple(tasks), values)
