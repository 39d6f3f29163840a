"""Learning the weights of ensemble members from the web at hand: each of its targets is left out in turn and judges them.

The weight of a member is its prior times exp(rate x the sum of its utilities over the targets left out): on a small web the
weights stay near the prior, on a large one those of the members that work on it grow. The ensemble itself is judged in the same
way, each time with weights learned without that target; then popularity, similarity, and both with equal weights are added as
baselines, each weighted by the probability that it ranks better (`margin.shares`). Learning is slow, because the member that is
best for the other targets may not be best for the one at hand while the margin is small.

A model whose weights of plain evidence are fitted to the same targets (`conditional_logit`) is added to the ensemble: the more
targets there are, the more it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.conditional_logit import fit
from taskweb.selectors.blend.evidence import Evidence
from taskweb.selectors.blend.margin import margin_in_standard_errors, shares, shares_without_own
from taskweb.selectors.blend.members import (
    BASELINES,
    FAMILIES,
    FAMILIES_FOR_GAIN,
    EnsembleMember,
    features,
    gain_members,
    prior,
    ranking_members,
    scores_by_member,
)
from taskweb.selectors.blend.text_similarity import MEASURES, TextSimilarity, similarity_within
from taskweb.selectors.blend.utility import HarmTruth, OrderTruth
from taskweb.web import ALL_SETUPS, ExampleBank, TransferWeb
from taskweb.web.arrays import nan_mean
from taskweb.web.transfer_web import without_self

QUERY_EXAMPLES = (1, 2, 4, 8, 16, 32)
MOST_TARGETS, MOST_SOURCES, MOST_SETUPS = 32, 128, 8
FEWEST_SOURCES = 3  # measured for a target, to judge an order by it
EVEN_TARGETS = 10.0  # with this many targets the fitted model counts as much as the ensemble
FULL_SPREAD = 0.5  # of fitted scores: with less, they count less
GAIN_PACE = 3.0  # times the rate, for gain: the AUC varies less between members than the utility of a ranking
_NOISE = 1e-6


@dataclass(frozen=True, eq=False)
class Validation:
    """What was learned from leaving out each target of a web.

    targets, sources, setups: what was learned from; the setups end in `all` where there are several. ranking, gain: weight of
    each member, in the order of `ranking_members` and `gain_members`. fitted: weight of each of `features` in the ranking.
    scores, gain_scores: the blend's scores for each target left out, (targets, setups, sources), 0 for a target itself. ndcg,
    chance: NDCG of the blend and of a random order for each target, mean over setups; NaN where a target cannot be judged.
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
        return margin_in_standard_errors(self.ndcg - self.chance)


@dataclass(frozen=True, slots=True)
class UsableMembers:
    """Members that a web and texts allow: for ranking, for gain, and those whose weights are fitted."""

    ranking: tuple[EnsembleMember, ...]
    gain: tuple[EnsembleMember, ...]
    fitted: tuple[EnsembleMember, ...]


def members_for(web: TransferWeb, *, texts: bool) -> UsableMembers:
    """The members that a web and texts allow."""
    allowed = {"texts": texts, "measured": _has_transfers(web), "setups": len(web.setups) > 1}
    return UsableMembers(ranking_members(**allowed), gain_members(**allowed), features(**allowed))


def _has_transfers(web: TransferWeb) -> bool:
    """Whether a transfer between two different tasks is measured; target by target, since the first usually has one."""
    column = {source: j for j, source in enumerate(web.sources)}
    rows = (np.delete(web.t[:, i], column.get(target, []), axis=-1) for i, target in enumerate(web.targets))
    return any(np.isfinite(row).any() for row in rows)


def validate(web: TransferWeb, bank: ExampleBank | None, *, rate: float, examples: int = QUERY_EXAMPLES[-1]) -> Validation:
    """Leave out each target of a web (see `thinned`) in turn and learn the weights of members.

    examples: how many examples of each target are used when it is left out, as many as there are of the target at hand.
    """
    texts = None if bank is None else _texts(web, bank, examples)
    usable = members_for(web, texts=texts is not None)
    setups = (*web.setups, ALL_SETUPS) if len(web.setups) > 1 else web.setups
    evidence = Evidence.of(web, setups, web.targets, texts)
    left_out = _TargetsLeftOut(np.moveaxis(without_self(web.t, web.targets, web.sources), 0, 1))

    ranking, scores = _learn(evidence, usable.ranking, prior(usable.ranking, FAMILIES), left_out.utility, rate)
    gain, gain_scores = _learn(evidence, usable.gain, prior(usable.gain, FAMILIES_FOR_GAIN), left_out.auc, GAIN_PACE * rate)
    share, fitted, fitted_scores = _fit(evidence, usable.fitted, left_out.truth, left_out.ordered & (rate > 0))
    ranking, scores = (1 - share) * ranking, (1 - share) * scores + fitted_scores
    ranking, fitted, scores = _add_baselines(evidence, usable.ranking, left_out.ndcg, ranking, fitted, scores)
    return Validation(
        web.targets, web.sources, setups, ranking, gain, fitted, scores, gain_scores, left_out.ndcg(scores), left_out.chance
    )


class _TargetsLeftOut:
    """The truth about all targets, and figures of scores for them, (targets, setups, sources) -> (targets,), setups averaged.

    truth: T, (targets, setups, sources), NaN = not measured. ordered: which rows have enough sources and an order to find,
    (targets, setups). chance: NDCG of a random order, (targets,). Scores may have further setups at the end, such as `all`.
    """

    def __init__(self, truth: FloatArray) -> None:
        self.truth = truth
        self._order, self._harm = OrderTruth(truth), HarmTruth(truth)
        self._judged = np.isfinite(truth).sum(axis=-1) >= FEWEST_SOURCES
        self.ordered: npt.NDArray[np.bool_] = self._judged & self._order.varies
        self.chance = self._mean(np.where(self._order.varies, self._order.chance, np.nan))

    def ndcg(self, scores: FloatArray) -> FloatArray:
        return self._mean(self._order.ndcg_and_regret(self._measured(scores))[0])

    def utility(self, scores: FloatArray) -> FloatArray:
        return self._mean(self._order.utility(self._measured(scores)))

    def auc(self, scores: FloatArray) -> FloatArray:
        return nan_mean(self._harm.auc(self._measured(scores)), axis=1)

    def _measured(self, scores: FloatArray) -> FloatArray:
        return scores[:, : self.truth.shape[1]]

    def _mean(self, figures: FloatArray) -> FloatArray:
        return nan_mean(np.where(self._judged, figures, np.nan), axis=1)


def blended(evidence: Evidence, members: Sequence[EnsembleMember], weights: FloatArray) -> FloatArray:
    """The weighted sum of the members' scores: (queries, setups, sources)."""
    total = np.zeros((len(evidence.own), len(evidence.transfers.setups), evidence.own.shape[1]))
    for weight, scores in zip(weights.tolist(), scores_by_member(evidence, members), strict=True):
        total += weight * scores
    return total


def _learn(
    evidence: Evidence,
    members: Sequence[EnsembleMember],
    prior_weights: FloatArray,
    utility: Callable[[FloatArray], FloatArray],
    rate: float,
) -> tuple[FloatArray, FloatArray]:
    """The weights of members, and the ensemble's scores for each query with weights learned without it.

    utility: of scores, by query; NaN counts as 0.
    """
    judged: list[FloatArray] = []
    stored: list[npt.NDArray[np.float32]] = []  # in single precision, since this is by far the largest array here
    for of_member in scores_by_member(evidence, members):
        judged.append(utility(of_member))
        stored.append(of_member.astype(np.float32))
    utilities = np.nan_to_num(np.array(judged).reshape(len(members), len(evidence.own)))
    log_prior = np.log(prior_weights)[:, None]
    total = utilities.sum(axis=1, keepdims=True)
    weights = _normalised(log_prior + rate * total)[:, 0]
    without_own = _normalised(log_prior + rate * (total - utilities))
    scores = np.zeros((len(evidence.own), len(evidence.transfers.setups), evidence.own.shape[1]))
    for weight, of_one in zip(without_own, stored, strict=True):
        scores += weight[:, None, None] * of_one
    return weights, scores


def _fit(
    evidence: Evidence, members: Sequence[EnsembleMember], truth: FloatArray, judged: npt.NDArray[np.bool_]
) -> tuple[float, FloatArray, FloatArray]:
    """The share of the fitted model, its weights of plain members, and its scores for each query, fitted without it.

    Weights and scores are scaled so that the root mean square of the scores is the model's share. Where scores are near 0,
    because nothing could be learned from the targets, they stay small.
    """
    shape = (len(evidence.own), len(evidence.transfers.setups), evidence.own.shape[1], len(members))
    table = np.stack(list(scores_by_member(evidence, members)), axis=-1) if members else np.zeros(shape)
    found = fit(table[:, : truth.shape[1]], truth, judged)
    scores = np.einsum("qmsf,qf->qms", table, found.without_own)
    others = ~np.broadcast_to(evidence.own[:, None, :], scores.shape)
    spread = float(np.sqrt((scores[others] ** 2).mean())) if others.any() else 0.0
    if spread < _NOISE:
        return 0.0, np.zeros(len(members)), np.zeros(shape[:-1])
    scale = 1.0 / max(spread, FULL_SPREAD)
    targets = float(judged.any(axis=1).sum())
    share = targets**2 / (targets**2 + EVEN_TARGETS**2)
    return share, share * scale * found.weights, share * scale * scores


def _add_baselines(
    evidence: Evidence,
    members: Sequence[EnsembleMember],
    ndcg: Callable[[FloatArray], FloatArray],
    weights: FloatArray,
    fitted: FloatArray,
    scores: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Both kinds of weights, and the scores for each query, after baselines were added with their shares."""
    places = [members.index(member) for member in BASELINES if member in members]
    baselines = list(scores_by_member(evidence, [members[place] for place in places]))
    of_blend, of_each = ndcg(scores), np.array([ndcg(one) for one in baselines]).reshape(len(places), len(scores))
    blend_share, *baseline_shares = shares_without_own(of_blend, of_each)[:, :, None, None]
    scores = blend_share * scores + sum(share * one for share, one in zip(baseline_shares, baselines, strict=True))
    share = shares(of_blend, of_each)
    weights = share[0] * weights
    weights[places] += share[1:]
    return weights, share[0] * fitted, scores


def _normalised(logarithms: FloatArray) -> FloatArray:
    weights = np.exp(logarithms - logarithms.max(axis=0, initial=-np.inf))
    total: FloatArray = weights / weights.sum(axis=0)
    return total


def thinned(web: TransferWeb) -> TransferWeb:
    """The part of a web that is learned from: at most MOST_TARGETS, MOST_SOURCES and MOST_SETUPS, evenly spread over the names.

    Chosen targets that are sources remain both; estimated sources are left out.
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


def _texts(web: TransferWeb, bank: ExampleBank, examples: int) -> TextSimilarity:
    """Similarity of the web's targets with all its tasks that have texts; NaN rows for targets without texts."""
    tasks = [task for task in web.tasks if task in bank]
    queries = [target for target in web.targets if target in bank]
    values = np.full((len(MEASURES), len(web.targets), len(tasks)), np.nan)
    if queries:
        found = similarity_within(bank, queries, tasks, examples=examples)
        values[:, [web.targets.index(query) for query in queries]] = found.values
    return TextSimilarity(tuple(tasks), values)
