"""The ranking of the sources after runs on the target, in the form of every ranking."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from taskweb.selectors import Ranking
from taskweb.selectors.assessment import Assessment, PredictedGain
from taskweb.selectors.posterior import Posterior, order_of
from taskweb.workflows.saved_rankings import REFINED
from taskweb.workflows.suggesting import Suggester

_MEANING = "the gain (PC) expected after the runs on the target, as a fraction of its score"


def refined_ranking(before: Ranking, found: Suggester) -> Ranking:
    """The ranking by expected gain. before: the selector's, whose evidence on each source is kept.

    Predicted gains, their 80% intervals and probabilities are those of the posterior.
    """
    posterior = found.posterior
    (low, high), harm, top, measured = posterior.interval(), posterior.p_harm, posterior.p_top(found.k), posterior.measured()
    best = np.bincount(posterior.draws.argmax(axis=1), minlength=len(posterior.sources)) / len(posterior.draws)
    order = order_of(posterior)
    names = [posterior.sources[i] for i in order]
    gains = {posterior.sources[i]: PredictedGain(*map(float, (posterior.mean[i], low[i], high[i], harm[i]))) for i in order}
    assessment = Assessment(
        max(_evidence(posterior, order[: found.k]), 0.0 if before.assessment is None else before.assessment.evidence),
        {posterior.sources[i]: float(best[i]) for i in order},
        gains,
        {} if before.assessment is None else before.assessment.weights,
    )
    known = {source.task: source for source in before.sources}
    sources = []
    for rank, (name, i) in enumerate(zip(names, order, strict=True), start=1):
        runs, mean = measured.get(name, (0, None))
        details = {**assessment.of_source(name), "p_top": float(top[i]), "runs": float(runs), "measured_gain": mean}
        sources.append(
            dataclasses.replace(
                known[name], rank=rank, score=gains[name].gain, measured=known[name].measured or runs > 0, details=details
            )
        )
    return dataclasses.replace(
        before,
        selector=REFINED,
        sources=tuple(sources),
        meaning=_MEANING,
        parameters={"prior": before.selector, "k": found.k, "runs": len(found.runs), **before.parameters},
        notes=tuple(note for note in before.notes if before.assessment is None or note not in before.assessment.advice)
        + assessment.advice,
        assessment=assessment,
    )


def _evidence(posterior: Posterior, best: list[int]) -> float:
    """By how many posterior standard deviations the mean gain of the best sources is above that of the others."""
    count = len(posterior.sources)
    if not posterior.runs or len(best) >= count:
        return 0.0
    weights = np.full(count, -1 / (count - len(best)))
    weights[best] = 1 / len(best)
    variance = float(weights @ posterior.covariance @ weights)
    return float(weights @ posterior.mean) / math.sqrt(max(variance, 1e-18))
