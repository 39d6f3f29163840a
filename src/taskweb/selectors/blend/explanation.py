"""Why a source stands where it does: which pivots speak for and against it, how similar and how popular it is."""

from __future__ import annotations

import numpy as np

from taskweb.selectors.assessment import Assessment, Explanation, PivotVote
from taskweb.selectors.base import FloatArray, SelectionProblem
from taskweb.selectors.blend.evidence import Evidence

WIDTH = 0.8  # the middle one of the kernels that recipes use


def explanation(
    problem: SelectionProblem, evidence: Evidence, pivots: tuple[str, ...], place: int, assessment: Assessment
) -> Explanation:
    """Explain the candidate at `place` among the problem's candidates; pivots: the names behind the evidence's pivots."""
    name = problem.candidates[place]
    similarity = np.array([problem.roe.get(task, np.nan) for task in problem.candidates]) if evidence.to_sources else None
    votes = _votes(problem, evidence, pivots, int(problem.source_places[place]))
    return Explanation(
        name,
        list(assessment.chances).index(name) + 1,
        len(assessment.chances),
        None if similarity is None or not np.isfinite(similarity[place]) else float(similarity[place]),
        None if similarity is None else _rank_of(similarity, place),
        float(problem.popularity[place]) if np.isfinite(problem.popularity[place]) else None,
        _rank_of(problem.popularity, place),
        votes,
        sum(vote.vote for vote in votes) if votes else None,
        assessment.outlooks.get(name),
        assessment.chances[name],
        assessment.weights,
        name not in problem.web.estimated_sources,
        problem.web.scale == "combined",
    )


def _votes(problem: SelectionProblem, evidence: Evidence, pivots: tuple[str, ...], source: int) -> tuple[PivotVote, ...]:
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
