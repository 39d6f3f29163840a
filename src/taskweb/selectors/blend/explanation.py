"""Why a source has its rank: which pivots speak for and against it, how similar and how popular it is."""

from __future__ import annotations

import numpy as np

from taskweb.selectors.assessment import Assessment, Explanation, PivotVote
from taskweb.selectors.base import FloatArray, SelectionProblem
from taskweb.selectors.blend.evidence import Evidence

WIDTH = 0.8  # the middle one of the kernel widths that ensemble members use


def explanation(
    problem: SelectionProblem, evidence: Evidence, pivots: tuple[str, ...], place: int, assessment: Assessment
) -> Explanation:
    """Explain the candidate at `place` among the problem's candidates; pivots: names of the evidence's pivots."""
    name = problem.candidates[place]
    similarity = np.array([problem.roe.get(task, np.nan) for task in problem.candidates]) if evidence.to_sources else None
    votes = _votes(problem, evidence, pivots, int(problem.source_places[place]))
    return Explanation(
        task=name,
        rank=list(assessment.p_best).index(name) + 1,
        count=len(assessment.p_best),
        similarity=None if similarity is None or not np.isfinite(similarity[place]) else float(similarity[place]),
        similarity_rank=None if similarity is None else _rank_of(similarity, place),
        popularity=float(problem.popularity[place]) if np.isfinite(problem.popularity[place]) else None,
        popularity_rank=_rank_of(problem.popularity, place),
        votes=votes,
        pivot_sum=sum(vote.vote for vote in votes) if votes else None,
        predicted_gain=assessment.predicted_gains.get(name),
        p_best=assessment.p_best[name],
        weights=assessment.weights,
        measured=name not in problem.web.estimated_sources,
        transfers_are_gains=problem.web.scale == "combined",
    )


def _votes(problem: SelectionProblem, evidence: Evidence, pivots: tuple[str, ...], source: int) -> tuple[PivotVote, ...]:
    """The vote of each pivot to which the source's transfer is measured, the strongest first."""
    weights = evidence.pivot_weights(WIDTH)[0]
    size = evidence.transfers.size.own[0][:, source]
    measured = np.isfinite(size) & (weights > 0)
    if not measured.any():
        return ()
    share = np.where(measured, weights, 0.0)
    share /= share.sum()
    transfers = problem.web.transfer(problem.setup)
    found = [
        PivotVote(
            pivots[i], float(share[i]), float(transfers[problem.web.target_index(pivots[i]), source]), float(share[i] * size[i])
        )
        for i in np.flatnonzero(measured)
    ]
    return tuple(sorted(found, key=lambda vote: (-abs(vote.vote), vote.task)))


def _rank_of(values: FloatArray, place: int) -> int | None:
    if not np.isfinite(values[place]):
        return None
    return int((values[np.isfinite(values)] > values[place]).sum()) + 1
