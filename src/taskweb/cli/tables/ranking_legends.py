"""What the figures of a ranking mean: at most three lines below the table, everything with `--explain`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from taskweb.cli.tables.formatting import explained
from taskweb.cli.tables.ranking_columns import PIVOTS, columns
from taskweb.cli.tables.text import Text
from taskweb.selectors import RankedSource, Ranking
from taskweb.selectors.assessment import CLEAR_EVIDENCE
from taskweb.selectors.recommended_sources import has_measured_gains, is_measured, predicted_gains
from taskweb.workflows.ranking_from_others import SELECTOR as FROM_OTHERS
from taskweb.workflows.saved_rankings import REFINED

_NUMBERS_SHOWN = (3, 5, 10)
_LEAST_WEIGHT = 0.005
_PREDICTED = "predicted change of the target's score; harm: probability of a loss"
_UNMEASURED = "your own, not measured: estimated from sources with similar texts"
_MORE = "--explain shows every figure, --explain SOURCE why it ranks there"
_MORE_OF_MEASURED = "--explain shows every figure and what it means"
_PREDICTION = (
    "from sources with similar scores, on targets left out: median gain (PC), its 80% interval, and how often they harmed"
)
_AFTER_RUNS = "expected after the runs on the target (PC), its 80% interval, and the probability to harm"
_FROM_OTHERS = (
    "as the other setups have it (PC): its 80% interval and the probability of harm by the errors for setups left out"
)
_POPULARITY = "mean transfer T to the web's tasks: above 0 helps, below 0 harms"
_POPULARITY_OF_Z_SCORES = "mean standardised score over the web's tasks; without baselines it says nothing about gains"
_UNMEASURED_IN_FULL = (
    "your own candidate, not measured: its transfers are estimated from sources with similar texts, "
    "so its score is closer to the average"
)


def short_legend(ranking: Ranking, shown: Sequence[RankedSource], width: int) -> Iterator[Text]:
    """What the figures mean, in at most three lines."""
    if predicted_gains(ranking):
        yield from explained("gain", _PREDICTED, width, lines=1)
    elif has_measured_gains(ranking):
        yield from explained("gain", "mean change of the score; share of gains: seeds above the baseline", width, lines=1)
    else:
        yield from explained("score", re.split("[;:]", ranking.meaning, maxsplit=1)[0], width, lines=1)
    if any(not source.measured for source in shown):
        yield from explained("*", _UNMEASURED, width, lines=1)
    yield from explained("more", _MORE_OF_MEASURED if is_measured(ranking) else _MORE, width, lines=1)


def full_legend(ranking: Ranking, shown: Sequence[RankedSource], width: int) -> Iterator[Text]:
    """What every column means, how many sources to take and why, and what the order is based on."""
    for label, body in (*_meanings(ranking, shown), *_background(ranking)):
        yield from explained(label, body, width)


def _meanings(ranking: Ranking, shown: Sequence[RankedSource]) -> Iterator[tuple[str, str]]:
    names = {column.name for column in columns(ranking)}
    combined = ranking.scale == "combined"
    if predicted_gains(ranking):
        yield "gain, harm", {REFINED: _AFTER_RUNS, FROM_OTHERS: _FROM_OTHERS}.get(ranking.selector, _PREDICTION)
    if has_measured_gains(ranking):
        yield "gain", "mean over seeds of (score - baseline) / baseline (PC); share of gains: seeds above the baseline (PM)"
    yield "score", ranking.meaning
    if "similarity" in names and any(source.similarity is not None for source in shown):
        yield "similarity", "of the texts of source and target, by the sentence encoder: 1 = the same"
    if "popularity" in names:
        yield "popularity", _POPULARITY if combined else _POPULARITY_OF_Z_SCORES
    if PIVOTS in names and any(source.pivots for source in shown):
        effect = "helped or harmed" if combined else "was above or below average for"
        yield "▲ ▼", f"a similar task that it {effect} when trained on before it"
    if any(not source.measured for source in shown):
        yield "*", _UNMEASURED_IN_FULL


def _background(ranking: Ranking) -> Iterator[tuple[str, str]]:
    known = ranking.assessment
    if known is None:
        return
    yield "take", f"{known.suggestion.k or 'none'}: {known.suggestion.reason}"
    among = [f"{100 * known.best_among(k):.0f}% among {k}" for k in _NUMBERS_SHOWN if k < len(known.p_best)]
    yield "the best", "; ".join([f"number 1 is the best source with {100 * known.best_among(1):.0f}% probability", *among])
    yield (
        "evidence",
        f"targets left out were ranked {known.evidence:.1f} standard errors better than by chance; "
        f"from {CLEAR_EVIDENCE:.0f} on it distinguishes sources",
    )
    weights = [f"{name} {100 * weight:.0f}%" for name, weight in known.weights.items() if weight >= _LEAST_WEIGHT]
    if weights:
        yield "weights", f"learned on this web: {', '.join(weights)}"
