"""As much of a web as a page can contain: beyond a size, setups, then tasks, are left out, and the page says so."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from taskweb.report.words import counted, listed
from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.setup_scores import SetupScores
from taskweb.web.transfer_web import ALL_SETUPS, TransferWeb

MOST_PAIRS = 800_000  # in all setups; about 20 MB
MOST_SCORED_PAIRS = 400_000  # with raw scores
MOST_TASKS = 2000  # as sources, and as targets
_SMALL = "So that the page stays small, this figure, the graph and the story of a task"


@dataclass(frozen=True)
class PageWeb:
    """The web and the scores that a page contains. left_out: a sentence on what else the web has, or nothing."""

    web: TransferWeb
    scores: SetupScores
    left_out: str = ""


def page_web(web: TransferWeb, scores: SetupScores, most: int = MOST_PAIRS) -> PageWeb:
    """The part of a web that a page contains. scores: of this web by `scores_by_setup`; most: pairs of all setups together.

    The mean over setups stays, and the setups with the most pairs; of tasks, those with the strongest transfers.
    """
    left_out: list[str] = []
    targets, sources = _strongest(scores, most // min(2, len(scores.names) or 1))
    setups = _fullest(scores, most // max(1, len(targets) * len(sources)))
    part = scores.restrict(setups, targets, sources)
    if lacking := len(scores.names) - len(setups):
        left_out.append(f"{lacking} of {counted(len(web.setups), 'setup')} (those with the fewest pairs; the mean is over all)")
    for what, kept, every in (("source", sources, web.sources), ("target", targets, web.targets)):
        if lacking := len(every) - len(kept):
            left_out.append(f"{lacking:,} of {counted(len(every), what)} (those with the weakest transfers)")
    if part.score is not None and part.t.size > MOST_SCORED_PAIRS:
        part = replace(part, score=None)
        left_out.append("raw scores")
    smaller = web.restrict(
        setups=[name for name in part.names if name in web.setups],
        targets=[web.targets[i] for i in targets],
        sources=[web.sources[i] for i in sources],
    )
    said = f"{_SMALL} leave out {listed(left_out)}; the command taskweb web scores prints them all." if left_out else ""
    return PageWeb(smaller, part, said)


def _strongest(scores: SetupScores, most: int) -> tuple[list[int], list[int]]:
    """Positions of as many targets and sources as fit, those with the largest mean size of T, in their order."""
    _, targets, sources = scores.t.shape
    side = max(1, math.isqrt(most))
    rows = min(targets, MOST_TASKS, max(side, most // max(1, sources)))
    columns = min(sources, MOST_TASKS, max(1, most // max(1, rows)))
    sizes = np.abs(scores.t[0]) if len(scores.names) else np.empty((targets, sources))
    return _largest(nan_mean(sizes, axis=1), rows), _largest(nan_mean(sizes, axis=0), columns)


def _largest(values: FloatArray, count: int) -> list[int]:
    """Positions of the largest values, in their order; unknown ones last."""
    order = np.argsort(-np.nan_to_num(values, nan=-1.0), kind="stable")
    return sorted(order[:count].tolist())


def _fullest(scores: SetupScores, most: int) -> list[int]:
    """Positions of the mean over setups and of the setups with the most pairs, as many as fit, at least one of them."""
    means = [i for i, name in enumerate(scores.names) if name == ALL_SETUPS]
    own = [i for i, name in enumerate(scores.names) if name != ALL_SETUPS]
    pairs = np.isfinite(scores.t).sum(axis=(1, 2))
    kept = sorted(own, key=lambda i: -pairs[i])[: max(1, most - len(means))]
    return sorted([*means, *kept])
