"""Ranking for a setup of which a web knows little or nothing, from its other setups: what `taskweb rank --from-others` does."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from taskweb.errors import ParameterError, unknown_name
from taskweb.selectors import RankedSource, Ranking, SelectionProblem, Selector
from taskweb.selectors import rank as rank_problem
from taskweb.selectors.assessment import PredictedGain
from taskweb.selectors.other_setups import LEVEL, OtherSetups, Prediction
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.workflows.rank_settings import RankSettings

SELECTOR = "other-setups"
_MEANING = "predicted from the web's other setups, in standard deviations over the sources; only the order counts"
_QUANTILE = NormalDist().inv_cdf((1 + LEVEL) / 2)

Prepared = tuple[Selector, SelectionProblem, Callable[[Ranking], Ranking]]


def check_setup(settings: RankSettings, web: TransferWeb) -> None:
    """Raise ParameterError where no setup is named, and WebError where the web has none beside it."""
    if settings.setup == ALL_SETUPS:
        raise ParameterError("--from-others predicts for one setup. Name it: --setup MODEL/METHOD.")
    if not [name for name in web.setups if name != settings.setup]:
        raise unknown_name("other setup to predict from", settings.setup, web.setups)


def rank_task_from_others(web: TransferWeb, task: str, setup: str) -> Ranking:
    """The sources of a task of the web that other setups measured. Raises WebError where none did."""
    found = OtherSetups(web, setup).predict(task)
    places = [i for i, name in enumerate(web.sources) if found.known[i] and name != task]
    places.sort(key=lambda i: (-found.scores[i], web.sources[i]))
    return Ranking(
        target=task,
        selector=SELECTOR,
        setup=setup,
        sources=tuple(
            RankedSource(rank, web.sources[i], float(found.scores[i]), details=_details(found, i))
            for rank, i in enumerate(places, start=1)
        ),
        meaning=_MEANING,
        parameters=found.weights,
        web=web.name,
        scale=web.scale,
        notes=_notes(web, task, setup, found),
    )


def rank_unseen_from_others(
    web: TransferWeb, settings: RankSettings, prepare: Callable[[RankSettings], Prepared], explain: str | None
) -> Ranking:
    """The sources of a target that is not in the web: for the mean of its setups where it lacks the one at hand.

    Gains then have the spread between setups in their intervals, too. prepare: makes the problem, and finishes a ranking.
    """
    known = settings.setup in web.setups
    selector, problem, finish = prepare(dataclasses.replace(settings, setup=settings.setup if known else ALL_SETUPS))
    ranking = rank_problem(selector, problem, explain=explain)
    if known:
        note = f"the web knows {settings.setup}: its own rows count beside those of the other setups"
        return finish(dataclasses.replace(ranking, notes=(*ranking.notes, note)))
    of_setups = [rank_problem(selector, problem.in_setup(setup)) for setup in web.setups] if len(web.setups) > 1 else []
    note = f"the web has no run of {settings.setup}: sources are ranked for the mean of its {len(web.setups)} setups" + (
        ", and the intervals of gains contain the differences between them" if of_setups else ""
    )
    widened = _with_spread(ranking, of_setups)
    return finish(dataclasses.replace(widened, setup=settings.setup, notes=(*widened.notes, note)))


def _with_spread(ranking: Ranking, of_setups: Sequence[Ranking]) -> Ranking:
    """The ranking with gains as of a setup drawn from these: their mean, and the spread within and between them."""
    assessments = [one.assessment for one in of_setups if one.assessment is not None and one.assessment.predicted_gains]
    if ranking.assessment is None or not ranking.assessment.predicted_gains or not assessments:
        return ranking
    gains = {}
    for task in ranking.assessment.predicted_gains:
        found = [one.predicted_gains[task] for one in assessments if task in one.predicted_gains]
        gains[task] = _of_a_new_setup(found) if found else ranking.assessment.predicted_gains[task]
    assessment = dataclasses.replace(ranking.assessment, predicted_gains=gains)
    sources = tuple(
        dataclasses.replace(source, details={**source.details, **assessment.of_source(source.task)})
        for source in ranking.sources
    )
    return dataclasses.replace(ranking, assessment=assessment, sources=sources)


def _of_a_new_setup(found: Sequence[PredictedGain]) -> PredictedGain:
    middle = float(np.mean([gain.gain for gain in found]))
    within = float(np.mean([((gain.high - gain.low) / 2) ** 2 for gain in found]))
    between = float(np.var([gain.gain for gain in found], ddof=1)) if len(found) > 1 else 0.0
    half = math.sqrt(within + _QUANTILE**2 * between)
    return PredictedGain(middle, middle - half, middle + half, float(np.mean([gain.harm for gain in found])))


def _details(found: Prediction, place: int) -> dict[str, float | None]:
    if not found.gains:
        return {}
    gain = found.gains[place]
    return {"gain": gain.gain, "gain_low": gain.low, "gain_high": gain.high, "p_harm": gain.harm}


def _notes(web: TransferWeb, task: str, setup: str, found: Prediction) -> tuple[str, ...]:
    own = f"{found.own_targets} other targets of its own" if found.own_targets else "nothing of its own"
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in found.weights.items())
    notes = [
        f"'{task}' is predicted for {setup} from {found.setups} other setups that measured it, and {own}",
        f"weights, learned by leaving out each setup of the web: {weights}",
    ]
    if not any(weight for name, weight in found.weights.items() if name != "own popularity"):
        notes.append("the setups of this web do not agree: other setups say nothing here")
    if setup in web.setups and np.isfinite(web.t[web.setup_index(setup), web.target_index(task)]).any():
        notes.append(f"{setup} has runs on '{task}' itself, which are not used here. Leave out --from-others to see them")
    return tuple(notes)
