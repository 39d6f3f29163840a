"""What a ranking recommends: which sources to train on, and which to avoid."""

from __future__ import annotations

from collections.abc import Mapping

from taskweb.selectors.assessment import DEFAULT_K, HIGH_HARM, PredictedGain
from taskweb.selectors.base import Ranking
from taskweb.selectors.measured import MEASURED

_SHARE_OF_LOSSES = 1 - HIGH_HARM  # a measured source whose share of gains is not above this is to avoid


def sources_to_train_on(ranking: Ranking) -> tuple[str, ...]:
    """The sources to train on, best first; none where the target alone is the better choice.

    As many as the selector suggests, without those to avoid; where it does not say, those of the first five that helped or are
    likely to help.
    """
    if ranking.assessment is not None:
        risky = sources_to_avoid(ranking)
        return tuple(name for name in ranking.top(ranking.assessment.suggestion.k) if name not in risky)
    first = ranking.sources[:DEFAULT_K]
    if has_measured_gains(ranking):
        return tuple(source.task for source in first if source.score > 0)
    known = predicted_gains(ranking)
    return tuple(source.task for source in first if source.task not in known or known[source.task].promising)


def sources_to_avoid(ranking: Ranking) -> tuple[str, ...]:
    """The sources whose probability of harm is high (HIGH_HARM or more), the most harmful first.

    Of measured transfers those with a mean loss, and a loss in as large a share of seeds.
    """
    if has_measured_gains(ranking):
        losses = {source.task: source.details.get("pc") or 0.0 for source in ranking.sources}
        often = [source.task for source in ranking.sources if _share_of_gains(source.details.get("pm")) <= _SHARE_OF_LOSSES]
        return tuple(sorted((task for task in often if losses[task] < 0), key=lambda task: (losses[task], task)))
    risky = {task: gain.harm for task, gain in predicted_gains(ranking).items() if gain.harm >= HIGH_HARM}
    return tuple(sorted(risky, key=lambda task: -risky[task]))


def predicted_gains(ranking: Ranking) -> Mapping[str, PredictedGain]:
    """The predicted gain of each source; empty where the selector predicts none."""
    if ranking.assessment is not None:
        return ranking.assessment.predicted_gains
    found = {}
    for source in ranking.sources:
        gain, low, high, harm = (source.details.get(name) for name in ("gain", "gain_low", "gain_high", "p_harm"))
        if gain is not None and low is not None and high is not None and harm is not None:
            found[source.task] = PredictedGain(gain, low, high, harm)
    return found


def is_measured(ranking: Ranking) -> bool:
    """Whether the scores are the target's own measured transfers."""
    return ranking.selector == MEASURED


def has_measured_gains(ranking: Ranking) -> bool:
    """Whether the scores are measured gains, above 0 where a source helped."""
    return is_measured(ranking) and ranking.scale == "combined" and any("pc" in source.details for source in ranking.sources)


def target_is_readable(ranking: Ranking) -> bool:
    """Whether the sentence encoder can read the target's texts, or read none; otherwise the order is a guess."""
    return ranking.readability is None or ranking.readability.is_target_readable


def _share_of_gains(value: float | None) -> float:
    return 1.0 if value is None else value
