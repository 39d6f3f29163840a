"""From an endpoint's answer to the log-odds of yes against no."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

MISSING_LOGPROB = -15.0  # as published, for a word that is not among the most likely tokens
_LARGEST_LOGPROB = 0.01
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_END_OF_THOUGHT = "</think>"
_TAIL = 64  # characters in which the end of thoughts is looked for, with white space after it

# The token that was generated at one place of an answer, and the log-probabilities of the most likely ones.
Position = tuple[str, Mapping[str, float]]


def positions_of(choice: Mapping[str, Any]) -> list[Position] | None:
    """The tokens of a choice with their alternatives, in either of the two known forms; None without log-probabilities.

    Raises ValueError, TypeError, LookupError, AttributeError or ArithmeticError for other forms.
    """
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, Mapping):
        return None
    content = logprobs.get("content")
    if isinstance(content, list) and content:
        return [(str(place["token"]), _alternatives(place)) for place in content]
    tops = logprobs.get("top_logprobs")
    if isinstance(tops, list) and tops:
        tokens = logprobs.get("tokens") or [max(top, key=top.__getitem__) if top else "" for top in tops]
        alternatives = [{str(k): _logprob(v) for k, v in (top or {}).items()} for top in tops]
        return [(str(token), others) for token, others in zip(tokens, alternatives, strict=False)]
    return None


def log_odds_of_tokens(positions: Sequence[Position]) -> float | None:
    """The log-odds of yes against no at the token that answers; None where neither word is among its alternatives.

    That token is the first generated one that is yes or no, after the model's thoughts if there are any, else the first of
    all. Probabilities of spellings that differ in spaces and case are added. A word that is missing, or has less than -15,
    counts as -15.
    """
    start, text = 0, ""
    for place, (token, _) in enumerate(positions):
        text = (text + token)[-_TAIL:]
        if text.rstrip().endswith(_END_OF_THOUGHT):
            start = place + 1
    places = [place for place in range(start, len(positions)) if _word(positions[place][0])] or [start]
    if places[0] >= len(positions):
        return None
    alternatives = positions[places[0]][1]
    yes, no = (_log_sum([value for token, value in alternatives.items() if _word(token) == word]) for word in ("yes", "no"))
    return None if yes is None and no is None else floored(yes) - floored(no)


def floored(logprob: float | None) -> float:
    """The log-probability, or MISSING_LOGPROB where it is missing or smaller."""
    return MISSING_LOGPROB if logprob is None or not logprob > MISSING_LOGPROB else logprob


def word_of_text(text: str) -> str | None:
    """`yes` or `no`, whichever comes first in an answer after its thoughts; None without either."""
    found = _WORD.search(text.rpartition(_END_OF_THOUGHT)[2])
    return None if found is None else found.group(1).lower()


def smoothed_log_odds(yes: int, no: int) -> float:
    """log((yes + 1/2) / (no + 1/2)), which is finite even where all answers agree."""
    return math.log((yes + 0.5) / (no + 0.5))


def text_of(choice: Mapping[str, Any]) -> str:
    """The answer's text, of a chat or of a completion; "" where there is none."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    return content if isinstance(content, str) else ""


def _alternatives(place: Mapping[str, Any]) -> dict[str, float]:
    own = {str(place["token"]): _logprob(place["logprob"])}
    return own | {str(other["token"]): _logprob(other["logprob"]) for other in place.get("top_logprobs") or ()}


def _logprob(value: Any) -> float:
    """A log-probability. Raises ValueError for one of a probability above 1, beyond what rounding explains."""
    number = float(value)
    if number > _LARGEST_LOGPROB:
        raise ValueError(f"{number:g} is no log-probability")
    return number


def _word(token: str) -> str | None:
    bare = token.strip(" \t\r\n\"'.,*▁Ġ").lower()
    return bare if bare in ("yes", "no") else None


def _log_sum(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return None
    top = max(known)
    return top + math.log(sum(math.exp(value - top) for value in known))
