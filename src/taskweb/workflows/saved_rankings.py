"""Rankings that `taskweb rank --format json` printed, read again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.selectors import Ranking
from taskweb.selectors.assessment import PredictedGain
from taskweb.tasks.paths import unreadable

_FACTS = ("target", "selector", "setup", "web", "n_examples", "parameters")


@dataclass(frozen=True, slots=True)
class UsedRanking:
    """A ranking as a mixture uses it.

    scores: by task, best first; NaN where a score is null. record: what the mixture's manifest says about the ranking.
    predicted_gains: by task, where they are known. distinguishes_sources: whether the evidence does; None where the selector
    does not say.
    """

    target: str
    scores: Mapping[str, float]
    record: Mapping[str, Any]
    predicted_gains: Mapping[str, PredictedGain] = field(default_factory=dict)
    distinguishes_sources: bool | None = None

    def without(self, tasks: Iterable[str]) -> UsedRanking:
        """The ranking without these tasks."""
        left = {task: score for task, score in self.scores.items() if task not in set(tasks)}
        return dataclasses.replace(self, scores=left)


def used_ranking(ranking: Ranking) -> UsedRanking:
    """A ranking just made."""
    return _used(ranking.to_dict(), {})


def read_ranking(where: str | Path) -> UsedRanking:
    """A saved ranking, from a file or `-` (standard input). Raises InputError for anything else."""
    try:
        content = sys.stdin.buffer.read() if str(where) == "-" else Path(where).read_bytes()
    except (OSError, ValueError) as error:
        raise unreadable(Path(where), error) from None
    shown = "standard input" if str(where) == "-" else str(where)
    try:
        return _used(json.loads(content), {"file": str(where), "sha256": hashlib.sha256(content).hexdigest()})
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        raise InputError(
            f"{shown} is not a saved ranking. Make one with: taskweb rank TARGET --format json > ranking.json"
        ) from None


def _used(ranking: Mapping[str, Any], origin: Mapping[str, str]) -> UsedRanking:
    sources = sorted(ranking["sources"], key=lambda source: int(source["rank"]))
    scores = {str(s["task"]): math.nan if s["score"] is None else float(s["score"]) for s in sources}
    if not scores or len(scores) < len(sources):
        raise ValueError("no sources, or a source twice")
    facts = {name: ranking[name] for name in _FACTS if name in ranking}
    ranked = [
        {"rank": rank, "task": task, "score": None if math.isnan(score) else score}
        for rank, (task, score) in enumerate(scores.items(), 1)
    ]
    gains = {str(s["task"]): gain for s in sources if (gain := _predicted_gain(s)) is not None}
    distinguishes = bool(ranking["doubt"]["tells_apart"]) if "doubt" in ranking else None
    return UsedRanking(str(ranking["target"]), scores, {**origin, **facts, "sources": ranked}, gains, distinguishes)


def _predicted_gain(source: Mapping[str, Any]) -> PredictedGain | None:
    """The predicted gain of a source, as `Assessment.of_source` wrote it; None where it is not known."""
    figures = [source.get(name) for name in ("gain", "gain_low", "gain_high", "p_harm")]
    return None if None in figures else PredictedGain(*map(float, figures))  # type: ignore[arg-type]
