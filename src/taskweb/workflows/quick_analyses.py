"""Analyses of a web with as many random draws as leave a person waiting for seconds, not minutes."""

from __future__ import annotations

from dataclasses import dataclass

from taskweb.web.analysis import Agreement, Commutativity, Transitivity, agreement, commutativity, transitivity
from taskweb.web.analysis.estimate import RESAMPLES
from taskweb.web.transfer_web import TransferWeb

_WORK = 1.6e9  # draws * (setups + 1) * chains of tasks that take less than 20 s on one core
_FEWEST_DRAWS = 50  # enough for p-values below 0.05
_MOST_COST = 2e8


@dataclass(frozen=True)
class QuickAnalyses:
    """What was analysed, None for an analysis that was left out; notes: what was left out or drawn less often, and why."""

    transitivity: Transitivity | None
    commutativity: Commutativity | None
    agreement: Agreement | None
    notes: tuple[str, ...]


def quick_analyses(web: TransferWeb, seed: int = 0) -> QuickAnalyses:
    """The analyses of a web, of a large one with fewer draws; as `analyze` where the web has less than about 60 tasks."""
    chains = len(web.sources) * len(set(web.sources) & set(web.targets)) * len(web.targets)
    cost = (len(web.setups) + 1) * chains
    if cost > _MOST_COST:
        note = "The web is too large to analyse within a minute: taskweb web analyze does it in its own time."
        return QuickAnalyses(None, None, None, (note,))
    draws = RESAMPLES if cost == 0 else min(RESAMPLES, max(_FEWEST_DRAWS, int(_WORK / cost)))
    found = transitivity(web, seed, resamples=draws, permutations=draws)
    reverse = commutativity(web, seed, resamples=draws, permutations=draws)
    agreed = agreement(web, seed, resamples=draws) if len(web.setups) > 1 else None
    told = None if found.finding == "unknown" else found  # where it is, its verdict says why
    notes = [note for one in (told, reverse, agreed) if one is not None for note in one.notes]
    if draws < RESAMPLES:
        why = f"as the web is large; taskweb web analyze makes {RESAMPLES:,}"
        notes.append(f"intervals and null models are from {draws} draws, {why}")
    return QuickAnalyses(found, reverse, agreed, tuple(dict.fromkeys(notes)))
