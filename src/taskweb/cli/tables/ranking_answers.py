"""The answer of a ranking in a few lines: which sources to train on, which to avoid, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taskweb.cli.tables.fitting import listed
from taskweb.cli.tables.formatting import answer
from taskweb.cli.tables.text import Text
from taskweb.selectors import Ranking
from taskweb.selectors.assessment import DEFAULT_K, HIGH_HARM, Assessment
from taskweb.selectors.recommended_sources import (
    has_measured_gains,
    is_measured,
    predicted_gains,
    sources_to_avoid,
    sources_to_train_on,
    target_is_readable,
)

_HARMFUL = f"harm of {100 * HIGH_HARM:.0f}% or more"


def ranking_answer(ranking: Ranking, width: int) -> Iterator[Text]:
    """Three parts, a line each where names are not long: train on, avoid, how sure."""
    yield from answer("Train on", _train_on(ranking), width)
    yield from answer("Avoid", _avoid(ranking), width)
    yield from answer("How sure", _how_sure(ranking).split(), width)


def _train_on(ranking: Ranking) -> Sequence[str | Text]:
    names = sources_to_train_on(ranking)
    return listed(names, "bold green") if names else [Text("no source", style="bold"), *f"({_why_none(ranking)})".split()]


def _why_none(ranking: Ranking) -> str:
    if has_measured_gains(ranking):
        return f"none of {len(ranking)} helped"
    if ranking.assessment is None:
        return f"none of the first {min(DEFAULT_K, len(ranking))} is more likely to help than to harm"
    suggested = ranking.assessment.suggestion
    return suggested.reason if suggested.k == 0 else f"all of the first {suggested.k} have {_HARMFUL}"


def _avoid(ranking: Ranking) -> Sequence[str | Text]:
    rule = "a loss in most seeds" if has_measured_gains(ranking) else _HARMFUL
    if names := sources_to_avoid(ranking):
        return [*listed(names, "red"), *f"({rule})".split()]
    if has_measured_gains(ranking) or predicted_gains(ranking):
        return f"none has {rule}".split()
    return ["not known:", *("no gains were measured" if is_measured(ranking) else "this ranking predicts no gains").split()]


def _how_sure(ranking: Ranking) -> str:
    if is_measured(ranking):
        return "measured, not predicted"
    if not target_is_readable(ranking):
        return "a guess: the sentence encoder can hardly read your examples, see the note"
    if ranking.assessment is None:
        known = bool(predicted_gains(ranking))
        return "as the intervals of the gains say" if known else f"not known: {ranking.selector} does not say, the blend does"
    if not ranking.assessment.distinguishes:
        return "a guess: the evidence does not distinguish these sources"
    best = _best_among(ranking.assessment, sources_to_train_on(ranking))
    return best if ranking.assessment.stands_out else f"a guess, no source stands out; {best}"


def _best_among(known: Assessment, names: Sequence[str]) -> str:
    """The probability that the best source is among these (the first few if empty), beside what a random choice reaches."""
    count = len(known.p_best)
    these = names or list(known.p_best)[:DEFAULT_K]
    k = len(these)
    if k >= count:
        return "these are all sources"
    which = f"one of {'these' if names else 'the first'} {k}" if k > 1 else "this one" if names else "the first"
    sure = sum(known.p_best[name] for name in these)
    return f"{100 * sure:.0f}% that the best source is {which} (of {k} at random: {100 * k / count:.0f}%)"
