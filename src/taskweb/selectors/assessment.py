"""What a ranking says of its own doubt: outlooks of sources, chances to hold the best one, how many to take, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_K = 5  # the paper's best number of sources (arXiv:2305.13256, section 5)
CHANCES_SHOWN = (1, 3, 5, 10)
CLEAR_EVIDENCE = 2.0  # standard errors above chance: of webs of pure noise about one in twenty shows as much by accident
# The first five stand out where they hold the best source more likely than five taken blindly: half as likely again, or by so
# much of what those lack.
_TIMES_CHANCE, _OF_WHAT_LACKS = 1.5, 0.15
_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What may come of a source: the median gain (PC), its 80% interval, and the probability that it harms (PC < 0)."""

    gain: float
    low: float
    high: float
    harm: float

    @property
    def promising(self) -> bool:
        """Whether gain is likelier than harm."""
        return self.gain > 0 and self.harm < 0.5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """How many sources to take, best first; 0 = train on the target alone. reason: why, in one sentence."""

    k: int
    reason: str


@dataclass(frozen=True)
class Assessment:
    """How far a ranking can be trusted. Sources stand in the order of the ranking.

    evidence: by how many standard errors targets left out were ranked better than chance. chances: of each source to be the
    best one; they sum to 1. outlooks: by source, empty where gains are not known. weights: what the scores rest on, sums to 1.
    """

    evidence: float
    chances: Mapping[str, float] = field(repr=False)
    outlooks: Mapping[str, Outlook] = field(repr=False)
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def tells_apart(self) -> bool:
        """Whether the web tells sources apart better than chance does."""
        return self.evidence >= CLEAR_EVIDENCE

    def best_among(self, k: int) -> float:
        """The probability that the k best hold the truly best source."""
        return min(1.0, sum(list(self.chances.values())[:k]))

    @property
    def suggestion(self) -> Suggestion:
        """How many sources to take."""
        return suggest(list(self.outlooks.values()), len(self.chances), tells_apart=self.tells_apart)

    @property
    def advice(self) -> tuple[str, ...]:
        """What a person should know before acting on the ranking, one sentence each."""
        count = len(self.chances)
        first = min(DEFAULT_K, count)
        if not self.tells_apart:
            why = "targets of this web that were left out were not ranked clearly better than by chance"
            if self.evidence == 0.0:  # nothing could be judged
                why = "too few transfers are measured, or too few differ, to learn from"
            found = [f"the evidence cannot tell sources apart: {why}. Take the order as a guess"]
        else:
            blindly = first / count
            enough = min(_TIMES_CHANCE * blindly, blindly + _OF_WHAT_LACKS * (1 - blindly))
            found = []
            if count > DEFAULT_K and self.best_among(first) < enough:
                found.append("no source stands out for this target: take the order as a guess")
        if self.outlooks and self.suggestion.k == 0:
            found.append(f"using no source is the best advice: {self.suggestion.reason}")
        return tuple(found)

    def of_source(self, name: str) -> dict[str, float | None]:
        """What stands beside a source's score, as plain JSON values; empty for a source that was not assessed."""
        if name not in self.chances:
            return {}
        outlook = self.outlooks.get(name)
        return {
            "gain": None if outlook is None else outlook.gain,
            "gain_low": None if outlook is None else outlook.low,
            "gain_high": None if outlook is None else outlook.high,
            "p_harm": None if outlook is None else outlook.harm,
            "p_best": self.chances[name],
        }

    def to_dict(self) -> dict[str, Any]:
        """The assessment as plain JSON values."""
        return {
            "tells_apart": self.tells_apart,
            "evidence": self.evidence,
            "best_among": {str(k): self.best_among(k) for k in CHANCES_SHOWN if k <= len(self.chances)},
            "suggested_k": self.suggestion.k,
            "reason": self.suggestion.reason,
            "advice": list(self.advice),
            "weights": dict(self.weights),
        }


def suggest(outlooks: Sequence[Outlook], count: int, *, tells_apart: bool) -> Suggestion:
    """How many of `count` sources to take, from the outlooks of the best (best first; none where gains are not known).

    Five, as the paper found, unless gains say otherwise: no source where none of the first five is likelier to help than to
    harm, else those before the first that is not. Where the order is a guess, no source only if that holds for all of them.
    Small gains are no reason to stop (benchmarks/selection/how_many.py).
    """
    most = min(DEFAULT_K, count)
    usual = f"{_WORDS[most]} sources did best in the paper" if most == DEFAULT_K else "there are no more"
    if not tells_apart and outlooks and not any(outlook.promising for outlook in outlooks):
        return Suggestion(0, "none of the sources is likelier to help than to harm")
    if not tells_apart:
        return Suggestion(most, f"the evidence cannot say more, and {usual}")
    if not outlooks:
        return Suggestion(most, f"gains are not known, and {usual}")
    first = list(outlooks[:most])
    if not any(outlook.promising for outlook in first):
        return Suggestion(0, f"none of the first {most} is likelier to help than to harm")
    if not first[0].promising:
        return Suggestion(most, f"the first is as likely to harm as to help, but others are not, and {usual}")
    for k, outlook in enumerate(first[1:], start=1):
        if not outlook.promising:
            harms = outlook.harm >= 0.5
            reason = f"as likely to harm as to help ({100 * outlook.harm:.0f}%)" if harms else "not expected to help"
            return Suggestion(k, f"the next is {reason}")
    return Suggestion(most, f"all of them are expected to help, and {usual}")


@dataclass(frozen=True, slots=True)
class PivotVote:
    """A task that speaks for or against a source.

    weight: its share among all such tasks, in [0, 1], by likeness with the target. transfer: T from the source to it. vote:
    weight x how far that transfer lies above (or below) what other sources did for it, in standard deviations.
    """

    task: str
    weight: float
    transfer: float
    vote: float


@dataclass(frozen=True)
class Explanation:
    """Why a source stands where it does. Places count from 1; None where something is not known.

    tells_gain: whether transfers are gains, above 0 where a source helps; otherwise they only compare sources.
    """

    task: str
    place: int
    count: int
    similarity: float | None
    similarity_place: int | None
    popularity: float | None
    popularity_place: int | None
    votes: tuple[PivotVote, ...]
    pivot_sum: float | None
    outlook: Outlook | None
    chance: float
    weights: Mapping[str, float]
    measured: bool = True
    tells_gain: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain JSON values."""
        return {
            "task": self.task,
            "rank": self.place,
            "of": self.count,
            "measured": self.measured,
            "similarity": self.similarity,
            "similarity_rank": self.similarity_place,
            "popularity": self.popularity,
            "popularity_rank": self.popularity_place,
            "pivots": [
                {"task": vote.task, "weight": vote.weight, "transfer": vote.transfer, "vote": vote.vote} for vote in self.votes
            ],
            "pivot_sum": self.pivot_sum,
            "p_best": self.chance,
            "p_harm": None if self.outlook is None else self.outlook.harm,
            "words": list(self.words()),
        }

    def words(self, most: int = 4) -> tuple[str, ...]:
        """The explanation in sentences; at most so many pivots for, and against."""
        said = [f"{self.task} is number {self.place} of {self.count} sources"]
        if not self.measured:
            said.append("none of its transfers is measured: what is said of them is estimated from sources with similar texts")
        if self.similarity is not None:
            said.append(f"its texts are number {self.similarity_place} in likeness with the target's ({self.similarity:.2f})")
        if self.popularity is not None:
            helps = self.popularity > 0
            effect = f"was {'above' if helps else 'below'} average for the web's other tasks"
            if self.tells_gain:
                effect = f"{'helped' if helps else 'hurt'} the web's other tasks on average"
            said.append(f"it {effect} (T {self.popularity:+.3f}), which is number {self.popularity_place}")
        for title, deed, sign in (("for", "more", 1), ("against", "less", -1)):
            chosen = sorted((vote for vote in self.votes if sign * vote.vote > 0), key=lambda vote: -sign * vote.vote)[:most]
            if chosen:
                listed = ", ".join(f"{v.task} (weight {100 * v.weight:.0f}%, T {v.transfer:+.3f})" for v in chosen)
                said.append(f"{title} it speak tasks like the target, for which it did {deed} than most: {listed}")
        if self.pivot_sum is not None:
            said.append(f"in sum, tasks like the target put it {self.pivot_sum:+.2f} standard deviations from the mean source")
        if self.outlook is not None:
            low, high = 100 * self.outlook.low, 100 * self.outlook.high
            said.append(
                f"expected gain {100 * self.outlook.gain:+.1f}% (80%: {low:+.1f}% to {high:+.1f}%), "
                f"{100 * self.outlook.harm:.0f}% likely to harm"
            )
        said.append(f"{100 * self.chance:.0f}% likely to be the best source of all")
        rests = ", ".join(f"{name} {100 * weight:.0f}%" for name, weight in self.weights.items() if weight >= 0.005)
        said.append(f"on this web scores rest on: {rests}")
        return tuple(said)
