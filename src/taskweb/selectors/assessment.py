"""How far a ranking can be trusted: predicted gains, the probability to be the best source, how many to take, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_K = 5  # the paper's best number of sources (arXiv:2305.13256, section 5)
BEST_AMONG_SHOWN = (1, 3, 5, 10)
HIGH_HARM = 0.6  # probability of harm from which a source is to avoid: three targets harmed for two that gain
CLEAR_EVIDENCE = 2.0  # standard errors above chance: about one in twenty webs of pure noise reaches it by accident
# The first five stand out where they contain the best source clearly more often than five sources taken at random: 1.5 times
# as often, or by this share of what a random choice lacks to certainty.
_TIMES_CHANCE, _SHARE_OF_GAP = 1.5, 0.15
_SIMILARITY_KEY = "likeness"  # in the names of JSON results, which do not change
_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}


@dataclass(frozen=True, slots=True)
class PredictedGain:
    """The gain expected of a source: the median (PC), its 80% prediction interval, and the probability of harm (PC < 0)."""

    gain: float
    low: float
    high: float
    harm: float

    @property
    def promising(self) -> bool:
        """Whether a gain is more likely than harm."""
        return self.gain > 0 and self.harm < 0.5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """How many sources to take, best first; 0 = train on the target alone. reason: why, in one sentence."""

    k: int
    reason: str


@dataclass(frozen=True)
class Assessment:
    """How far a ranking can be trusted. Sources are in the order of the ranking.

    evidence: by how many standard errors the targets left out were ranked better than chance. p_best: the probability of each
    source to be the best one; sums to 1. predicted_gains: by source, empty where gains are not known. weights: how much each
    family of ensemble members counts in the scores; sums to 1.
    """

    evidence: float
    p_best: Mapping[str, float] = field(repr=False)
    predicted_gains: Mapping[str, PredictedGain] = field(repr=False)
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def distinguishes(self) -> bool:
        """Whether the web's evidence distinguishes sources by more than chance."""
        return self.evidence >= CLEAR_EVIDENCE

    def best_among(self, k: int) -> float:
        """The probability that the truly best source is among the first k."""
        return min(1.0, sum(list(self.p_best.values())[:k]))

    @property
    def suggestion(self) -> Suggestion:
        """How many sources to take."""
        return suggest(list(self.predicted_gains.values()), len(self.p_best), distinguishes=self.distinguishes)

    @property
    def stands_out(self) -> bool:
        """Whether the first five contain the best source clearly more often than five sources taken at random."""
        count = len(self.p_best)
        at_random = min(DEFAULT_K, count) / count if count else 1.0
        enough = min(_TIMES_CHANCE * at_random, at_random + _SHARE_OF_GAP * (1 - at_random))
        return count <= DEFAULT_K or self.best_among(DEFAULT_K) >= enough

    @property
    def advice(self) -> tuple[str, ...]:
        """What to know before acting on the ranking, one sentence each."""
        found = []
        if not self.distinguishes:
            why = "when targets of this web were left out, they were not ranked clearly better than by chance"
            if self.evidence == 0.0:  # no target could be judged
                why = "too few transfers are measured, or too few differ, to learn from"
            found = [f"the evidence does not distinguish sources: {why}. Treat the order as a guess"]
        elif not self.stands_out:
            found.append("no source stands out for this target: treat the order as a guess")
        if self.predicted_gains and self.suggestion.k == 0:
            found.append(f"using no source is the best advice: {self.suggestion.reason}")
        return tuple(found)

    def of_source(self, name: str) -> dict[str, float | None]:
        """The assessment of one source as plain JSON values; empty for a source that was not assessed."""
        if name not in self.p_best:
            return {}
        predicted = self.predicted_gains.get(name)
        return {
            "gain": None if predicted is None else predicted.gain,
            "gain_low": None if predicted is None else predicted.low,
            "gain_high": None if predicted is None else predicted.high,
            "p_harm": None if predicted is None else predicted.harm,
            "p_best": self.p_best[name],
        }

    def to_dict(self) -> dict[str, Any]:
        """The assessment as plain JSON values."""
        return {
            "tells_apart": self.distinguishes,
            "evidence": self.evidence,
            "best_among": {str(k): self.best_among(k) for k in BEST_AMONG_SHOWN if k <= len(self.p_best)},
            "suggested_k": self.suggestion.k,
            "reason": self.suggestion.reason,
            "advice": list(self.advice),
            "weights": {name.replace("similarity", _SIMILARITY_KEY): weight for name, weight in self.weights.items()},
        }


def suggest(predicted_gains: Sequence[PredictedGain], count: int, *, distinguishes: bool) -> Suggestion:
    """How many of `count` sources to take, from the predicted gains of the best (best first; empty where not known).

    Five, as the paper found, unless gains say otherwise: no source where none of the first five is more likely to help than to
    harm, else those before the first that is not. Where the order is a guess, no source only if that is true of all of them.
    Small gains are no reason to stop (benchmarks/selection/how_many.py).
    """
    most = min(DEFAULT_K, count)
    usual = f"{_WORDS[most]} sources did best in the paper" if most == DEFAULT_K else "there are no more"
    if not distinguishes and predicted_gains and not any(gain.promising for gain in predicted_gains):
        return Suggestion(0, "none of the sources is more likely to help than to harm")
    if not distinguishes:
        return Suggestion(most, f"the evidence cannot say more, and {usual}")
    if not predicted_gains:
        return Suggestion(most, f"gains are not known, and {usual}")
    first = list(predicted_gains[:most])
    if not any(gain.promising for gain in first):
        return Suggestion(0, f"none of the first {most} is more likely to help than to harm")
    if not first[0].promising:
        return Suggestion(most, f"the first is as likely to harm as to help, but others are not, and {usual}")
    for k, gain in enumerate(first[1:], start=1):
        if not gain.promising:
            harms = gain.harm >= 0.5
            reason = f"as likely to harm as to help ({100 * gain.harm:.0f}%)" if harms else "not expected to help"
            return Suggestion(k, f"the next is {reason}")
    return Suggestion(most, f"all of them are expected to help, and {usual}")


@dataclass(frozen=True, slots=True)
class PivotVote:
    """A pivot that speaks for or against a source.

    weight: its share among all such pivots, in [0, 1], by similarity with the target. transfer: T from the source to it. vote:
    weight x how far that transfer is above (or below) those of other sources to it, in standard deviations.
    """

    task: str
    weight: float
    transfer: float
    vote: float


@dataclass(frozen=True)
class Explanation:
    """Why a source has its rank. Ranks count from 1; None where something is not known.

    transfers_are_gains: whether transfers are gains, above 0 where a source helps; otherwise they only compare sources.
    """

    task: str
    rank: int
    count: int
    similarity: float | None
    similarity_rank: int | None
    popularity: float | None
    popularity_rank: int | None
    votes: tuple[PivotVote, ...]
    pivot_sum: float | None
    predicted_gain: PredictedGain | None
    p_best: float
    weights: Mapping[str, float]
    measured: bool = True
    transfers_are_gains: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain JSON values."""
        return {
            "task": self.task,
            "rank": self.rank,
            "of": self.count,
            "measured": self.measured,
            "similarity": self.similarity,
            "similarity_rank": self.similarity_rank,
            "popularity": self.popularity,
            "popularity_rank": self.popularity_rank,
            "pivots": [
                {"task": vote.task, "weight": vote.weight, "transfer": vote.transfer, "vote": vote.vote} for vote in self.votes
            ],
            "pivot_sum": self.pivot_sum,
            "p_best": self.p_best,
            "p_harm": None if self.predicted_gain is None else self.predicted_gain.harm,
            "words": list(self.words()),
        }

    def words(self, most: int = 4) -> tuple[str, ...]:
        """The explanation in sentences; most: how many pivots to name for the source, and how many against it."""
        sentences = [f"{self.task} is number {self.rank} of {self.count} sources"]
        if not self.measured:
            sentences.append("none of its transfers is measured: they are estimated from sources with similar texts")
        if self.similarity is not None:
            sentences.append(
                f"by similarity of its texts with the target's it is number {self.similarity_rank} ({self.similarity:.2f})"
            )
        if self.popularity is not None:
            helps = self.popularity > 0
            effect = f"was {'above' if helps else 'below'} average for the web's other tasks"
            if self.transfers_are_gains:
                effect = f"{'helped' if helps else 'harmed'} the web's other tasks on average"
            sentences.append(f"it {effect} (T {self.popularity:+.3f}), number {self.popularity_rank} by popularity")
        for side, level, sign in (("for", "above", 1), ("against", "below", -1)):
            chosen = sorted((vote for vote in self.votes if sign * vote.vote > 0), key=lambda vote: -sign * vote.vote)[:most]
            if chosen:
                listed = ", ".join(f"{v.task} (weight {100 * v.weight:.0f}%, T {v.transfer:+.3f})" for v in chosen)
                sentences.append(f"similar tasks that speak {side} it (its transfers to them are {level} average): {listed}")
        if self.pivot_sum is not None:
            sentences.append(f"together, similar tasks put it {self.pivot_sum:+.2f} standard deviations from the mean source")
        if self.predicted_gain is not None:
            low, high = 100 * self.predicted_gain.low, 100 * self.predicted_gain.high
            sentences.append(
                f"predicted gain {100 * self.predicted_gain.gain:+.1f}% (80% interval: {low:+.1f}% to {high:+.1f}%), "
                f"probability of harm {100 * self.predicted_gain.harm:.0f}%"
            )
        sentences.append(f"it is the best source with {100 * self.p_best:.0f}% probability")
        weights = ", ".join(f"{name} {100 * weight:.0f}%" for name, weight in self.weights.items() if weight >= 0.005)
        sentences.append(f"weights learned on this web: {weights}")
        return tuple(sentences)
