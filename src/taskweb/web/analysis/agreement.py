"""Do setups agree on which sources help? Correlations of pairs of setups, compared with the reliability of rankings.

Finding of the paper (arXiv:2305.13256, section 3): transfers in different setups correlate, moderately.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from taskweb.metrics import rank_correlation
from taskweb.web.analysis.estimate import (
    RESAMPLES,
    UNKNOWN,
    Estimate,
    estimates_of,
    plain_result,
    weighted_correlations,
)
from taskweb.web.analysis.square import TaskSquare, square_of
from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.bootstrap import mean_interval, mean_over_targets, resample_counts
from taskweb.web.transfer_web import TransferWeb

ANY_TWO = "any two"
FEWEST_SOURCES = 3  # two points always correlate perfectly
SAME_MODEL, SAME_METHOD, SAME_FAMILY, OTHER_FAMILY, VARIANT = (
    "same model, other method",
    "same family and method, other size",
    "same family, other size and method",
    "other family",
    "same model and method",
)


class Model(NamedTuple):
    """The family and size of a model, by its short name."""

    family: str
    size: str


MODELS = {
    "t5s": Model("T5", "small"),
    "t5b": Model("T5", "base"),
    "t5l": Model("T5", "large"),
    "gpt2m": Model("GPT-2", "medium"),
    "roberta": Model("RoBERTa", "base"),
}


@dataclass(frozen=True, slots=True)
class SetupParts:
    """The parts of a setup's name, `model/method` or `model/method@variant`; an unknown model is a family of its own."""

    model: str
    family: str
    size: str
    method: str


@dataclass(frozen=True, slots=True)
class SetupPair:
    """Two setups. All correlations are Spearman's, in [-1, 1].

    relation: what the two share. pairs, targets: the numbers of these. of_pairs: of T over all pairs that both measured.
    of_rankings: of a target's ranking of sources, mean over targets. ceiling: the value of of_rankings if the two differed
    only by noise, from the split-half reliability of the same targets; corrected: of_rankings / ceiling.
    """

    first: str
    second: str
    relation: str
    pairs: int
    targets: int
    of_pairs: Estimate
    of_rankings: Estimate
    ceiling: float
    corrected: float


@dataclass(frozen=True, slots=True)
class RelationAgreement:
    """Pairs of setups with one relation: means over its pairs of setups, with intervals over targets.

    beyond_other_family: how much better their rankings agree than those of setups of different families, paired by target.
    """

    relation: str
    setup_pairs: int
    of_pairs: float
    of_rankings: Estimate
    ceiling: float
    corrected: float
    beyond_other_family: Estimate


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of every two setups, and by relation (last: all of them).

    Intervals are 95% bootstrap intervals over targets, drawn alike in all setups. The ceiling is the geometric mean of the
    two reliabilities, each stepped up from half the seeds to all of them (Spearman-Brown) and set to 0 where negative.
    """

    setups: dict[str, SetupParts]
    pairs: tuple[SetupPair, ...]
    relations: tuple[RelationAgreement, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if not self.relations or not self.relations[-1].of_rankings.known:
            return "Agreement between setups is unknown: it needs two setups that share targets and sources."
        every = self.relations[-1]
        sentence = f"Any two setups' rankings of sources correlate at {every.of_rankings.value:.2f}"
        if np.isfinite(every.of_rankings.low):
            sentence += f" ({every.of_rankings.low:.2f} to {every.of_rankings.high:.2f})"
        if np.isfinite(every.ceiling):
            sentence += f", where noise alone would give {every.ceiling:.2f}"
        known = [relation for relation in self.relations[:-1] if relation.of_rankings.known]
        if len(known) > 1:
            best = max(known, key=lambda relation: relation.of_rankings.value)
            worst = min(known, key=lambda relation: relation.of_rankings.value)
            sentence += (
                f"; most with {best.relation} ({best.of_rankings.value:.2f}), "
                f"least with {worst.relation} ({worst.of_rankings.value:.2f})"
            )
        return f"{sentence}."

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return plain_result(self)


def agreement(web: TransferWeb, seed: int = 0, *, resamples: int = RESAMPLES) -> Agreement:
    """Compare the transfers of every two setups of a web."""
    square = square_of(web)
    parts = {name: setup_parts(name) for name in square.setups}
    together = list(combinations(range(len(square.setups)), 2))
    per_target = np.array([_per_target(square, i, j) for i, j in together]).reshape(len(together), len(square.tasks))
    ceilings = _ceilings(web, square, together)
    ceilings[~np.isfinite(per_target)] = np.nan  # use the same targets
    weights = resample_counts(len(square.tasks), resamples=resamples, seed=seed) if square.tasks else np.zeros((0, 0))
    notes = list(square.notes)
    if not together:
        notes.append("there is only one setup, so there is nothing to compare")
    elif not np.isfinite(per_target).any():
        notes.append(f"no two setups share a target with {FEWEST_SOURCES} sources that differ in T")
    if together and not np.isfinite(ceilings).any():
        notes.append("no ceiling: reliability needs two seeds or more in both setups")
    pairs = []
    for row, (i, j) in enumerate(together):
        a, b = np.nonzero(np.isfinite(square.t[i]) & np.isfinite(square.t[j]))
        x, y = square.t[i][a, b], square.t[j][a, b]
        of_pairs = weighted_correlations(x, y, np.ones((1, len(square.tasks))), [b], ranks=True)
        drawn = weighted_correlations(x, y, weights, [b], ranks=True)
        pairs.append(
            SetupPair(
                square.setups[i],
                square.setups[j],
                relation_of(square.setups[i], square.setups[j]),
                len(a),
                int(np.isfinite(per_target[row]).sum()),
                estimates_of(of_pairs, drawn[:, None])[0] if len(set(b.tolist())) > 1 else Estimate(float(of_pairs[0])),
                _mean(per_target[[row]], seed, resamples),
                mean_over_targets(ceilings[[row]]),
                _corrected(per_target[[row]], ceilings[[row]]),
            )
        )
    return Agreement(parts, tuple(pairs), _relations(pairs, per_target, ceilings, seed, resamples), tuple(notes))


def setup_parts(setup: str) -> SetupParts:
    """The parts of a setup's name; a model may have slashes in its own name."""
    named = setup.partition("@")[0]
    model, separator, method = named.rpartition("/") if "/" in named else (named, "", "")
    known = MODELS.get(model, Model(model, ""))
    return SetupParts(model, known.family, known.size, method if separator else "")


def relation_of(first: str, second: str) -> str:
    """What two setups share, as one of five phrases."""
    one, other = setup_parts(first), setup_parts(second)
    if one.family != other.family:
        return OTHER_FAMILY
    if one.model == other.model:
        return VARIANT if one.method == other.method else SAME_MODEL
    return SAME_METHOD if one.method == other.method else SAME_FAMILY


def _relations(
    pairs: Sequence[SetupPair], per_target: FloatArray, ceilings: FloatArray, seed: int, resamples: int
) -> tuple[RelationAgreement, ...]:
    others = [i for i, pair in enumerate(pairs) if pair.relation == OTHER_FAMILY]
    groups = {
        name: [i for i, pair in enumerate(pairs) if pair.relation == name]
        for name in (VARIANT, SAME_MODEL, SAME_METHOD, SAME_FAMILY, OTHER_FAMILY)
    }
    groups[ANY_TWO] = list(range(len(pairs)))
    rows = []
    for name, members in groups.items():
        if not members:
            continue
        known = [pairs[i].of_pairs.value for i in members if pairs[i].of_pairs.known]
        compared = name not in (OTHER_FAMILY, ANY_TWO) and bool(others)
        difference = _by_target(per_target[members]) - _by_target(per_target[others]) if compared else None
        rows.append(
            RelationAgreement(
                name,
                len(members),
                float(np.mean(known)) if known else float("nan"),
                _mean(per_target[members], seed, resamples),
                mean_over_targets(ceilings[members]),
                _corrected(per_target[members], ceilings[members]),
                UNKNOWN if difference is None else _mean(difference, seed, resamples),
            )
        )
    return tuple(rows)


def _per_target(square: TaskSquare, i: int, j: int) -> FloatArray:
    """Spearman correlation of two setups' T over the sources of each target: (tasks,)."""
    found = np.full(len(square.tasks), np.nan)
    for target in range(len(square.tasks)):
        x, y = square.t[i, :, target], square.t[j, :, target]
        if (np.isfinite(x) & np.isfinite(y)).sum() >= FEWEST_SOURCES:
            found[target] = rank_correlation(x, y)
    return found


def _ceilings(web: TransferWeb, square: TaskSquare, together: Sequence[tuple[int, int]]) -> FloatArray:
    """The largest correlation that noise allows: (pairs of setups, tasks), NaN where the reliability is unknown."""
    full = np.full((len(square.setups), len(square.tasks)), np.nan)
    if web.reliability is not None:
        half = np.clip(web.reliability, 0.0, 1.0)
        at = [web.setups.index(name) for name in square.setups]
        full[:, [square.tasks.index(name) for name in web.targets]] = (2 * half / (1 + half))[at]
    return np.array([np.sqrt(full[i] * full[j]) for i, j in together]).reshape(len(together), len(square.tasks))


def _corrected(per_target: FloatArray, ceilings: FloatArray) -> float:
    """Mean correlation over mean ceiling, over the targets that have both."""
    both = np.isfinite(per_target) & np.isfinite(ceilings)
    ceiling = mean_over_targets(np.where(both, ceilings, np.nan))
    return mean_over_targets(np.where(both, per_target, np.nan)) / ceiling if ceiling > 0 else float("nan")


def _by_target(per_target: FloatArray) -> FloatArray:
    """Mean over pairs of setups: (1, tasks)."""
    return nan_mean(per_target, axis=0)[None]


def _mean(per_target: FloatArray, seed: int, resamples: int) -> Estimate:
    return Estimate(mean_over_targets(per_target), *mean_interval(per_target, seed=seed, resamples=resamples))
