"""What a ranking recommends, before its table: what to train on, what to avoid, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from taskweb.selectors import Ranking
from taskweb.selectors.assessment import DEFAULT_K
from taskweb.selectors.recommended_sources import (
    has_measured_gains,
    is_measured,
    sources_to_avoid,
    sources_to_train_on,
    target_is_readable,
)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do with a ranking. train_on: best first. avoid: all sources that are likely to harm, worst first.

    sure: how sure that is, in sentences. suggested_k: how many sources are suggested; reason: why.
    """

    train_on: tuple[str, ...]
    avoid: tuple[str, ...]
    sure: tuple[str, ...]
    suggested_k: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "train_on": list(self.train_on),
            "avoid": list(self.avoid),
            "sure": list(self.sure),
            "suggested_k": self.suggested_k,
            "reason": self.reason,
        }


def recommended(ranking: Ranking, k: int | None = None) -> Recommendation:
    """What a ranking recommends. k: how many sources are taken; None takes as many as are suggested."""
    suggested = sources_to_train_on(ranking)
    taken = suggested if k is None else ranking.top(k)
    return Recommendation(taken, sources_to_avoid(ranking), _sure(ranking), len(suggested), _reason(ranking))


def _reason(ranking: Ranking) -> str:
    """Why as many sources are suggested."""
    if ranking.assessment is not None:
        return ranking.assessment.suggestion.reason
    if has_measured_gains(ranking):
        return f"those of the first {DEFAULT_K} that helped"
    return f"the selector does not say how many, and {DEFAULT_K} are usual"


def _sure(ranking: Ranking) -> tuple[str, ...]:
    known = ranking.assessment
    if is_measured(ranking):
        return ("These transfers are measured, not predicted.",)
    if not target_is_readable(ranking):
        return ("The sentence encoder can hardly read your examples: treat the order and its figures as a guess.",)
    if known is None:
        return (f"The selector '{ranking.selector}' does not say how sure it is: only the order counts.",)
    first = [f"Number 1 is the best source with {100 * known.best_among(1):.0f}% probability"]
    if len(known.p_best) > DEFAULT_K:
        first.append(f"the best one is among the first {DEFAULT_K} with {100 * known.best_among(DEFAULT_K):.0f}%")
    return (f"{'; '.join(first)}.", *(f"{line[:1].upper()}{line[1:]}." for line in known.advice))
