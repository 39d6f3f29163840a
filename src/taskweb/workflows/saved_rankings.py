"""Rankings that `taskweb rank --format json` printed or `taskweb refine` saved, read again.

A saved ranking has a `checksum`. One without was made by hand, and is used as it is; one that does not match its checksum was
changed or damaged, and is refused unless the caller accepts that.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from taskweb.errors import InputError
from taskweb.selectors import Ranking
from taskweb.selectors.assessment import Assessment, PredictedGain
from taskweb.selectors.base import PivotEvidence, RankedSource
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.sealed import has_checksum, is_intact, with_checksum
from taskweb.tasks.small_files import content_of

RANKING_FILE = "ranking.json"
"""What `taskweb refine` calls the ranking in its folder."""
REFINED = "refine"
"""The selector of a ranking after runs on the target."""
Parsed = TypeVar("Parsed")
_MOST_BYTES = 256 << 20
_OF_SOURCE = ("rank", "task", "score", "measured", "similarity", "popularity", "pivots")
_KEPT = ("cut", "readability", "explanation", "next", "stopped")  # figures that nothing computes with
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


def ranking_json(ranking: Ranking, top: int | None = None) -> dict[str, Any]:
    """A ranking as it is saved, with its checksum. top: only the best ones."""
    return with_checksum(ranking.to_dict(top))


def read_ranking(where: str | Path, *, accept_changed: bool = False) -> UsedRanking:
    """A saved ranking, from a file, `-` (standard input), or a folder of `refine`.

    accept_changed: whether one that does not match its checksum is used, too. Raises InputError for anything else.
    """
    return _parsed(where, lambda saved, sha256: _used(saved, {"file": str(_file_of(where)), "sha256": sha256}), accept_changed)


def read_full_ranking(where: str | Path, *, accept_changed: bool = False) -> Ranking:
    """A saved ranking with its evidence, as it was made; arguments and errors as of `read_ranking`."""
    return _parsed(where, lambda saved, _: _ranking(saved), accept_changed)


def reasons(ranking: Ranking) -> tuple[str, tuple[str, ...]] | None:
    """The source that a ranking explains, just made or saved, and why it has its rank, in sentences; None where it does not."""
    if ranking.explanation is not None:
        return ranking.explanation.task, ranking.explanation.words()
    saved = ranking.kept.get("explanation")
    if not isinstance(saved, Mapping) or not isinstance(saved.get("words"), list):
        return None
    return str(saved.get("task")), tuple(map(str, saved["words"]))


def _parsed(where: str | Path, parse: Callable[[Mapping[str, Any], str], Parsed], accept_changed: bool) -> Parsed:
    content = sys.stdin.buffer.read() if str(where) == "-" else content_of(_file_of(where), _MOST_BYTES)
    shown = "standard input" if str(where) == "-" else str(where)
    try:
        saved = json.loads(content)
        if not accept_changed and has_checksum(saved) and not is_intact(saved):
            raise InputError(
                f"The ranking {shown} does not match its checksum: it was changed or damaged after it was saved. Make it "
                "again, or use it as it is with --accept-changed."
            )
        return parse(saved, hashlib.sha256(content).hexdigest())
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError, OverflowError):
        raise InputError(
            f"{shown} is not a saved ranking. Make one with: taskweb rank TARGET --format json > ranking.json"
        ) from None


def _file_of(where: str | Path) -> Path:
    """The file of a ranking; of a folder, the one in it."""
    if str(where) == "-" or kind_of_path(Path(where)) != "folder":
        return Path(where)
    if kind_of_path(Path(where) / RANKING_FILE) == "missing":
        raise InputError(f"{where} is a folder without {RANKING_FILE}. Give the folder of taskweb refine, or a saved ranking.")
    return Path(where) / RANKING_FILE


def _ranking(saved: Mapping[str, Any]) -> Ranking:
    _used(saved, {})  # raises for what is no ranking
    sources = tuple(_ranked_source(own) for own in sorted(saved["sources"], key=lambda own: int(own["rank"])))
    target, selector, setup, meaning, web = (
        str(saved.get(name, "")) for name in ("target", "selector", "setup", "meaning", "web")
    )
    return Ranking(
        target,
        selector,
        setup,
        sources,
        meaning,
        web=web,
        parameters=dict(saved.get("parameters", {})),
        n_examples=int(saved.get("n_examples", 0)),
        notes=tuple(map(str, saved.get("notes", ()))),
        assessment=_assessment(saved, sources),
        kept={name: saved[name] for name in _KEPT if name in saved},
    )


def _ranked_source(saved: Mapping[str, Any]) -> RankedSource:
    details = {name: None if value is None else float(value) for name, value in saved.items() if name not in _OF_SOURCE}
    pivots = tuple(PivotEvidence(str(p["task"]), float(p["similarity"]), float(p["transfer"])) for p in saved.get("pivots", ()))
    similarity, popularity = (None if saved.get(name) is None else float(saved[name]) for name in ("similarity", "popularity"))
    measured, score = bool(saved.get("measured", True)), math.nan if saved["score"] is None else float(saved["score"])
    return RankedSource(int(saved["rank"]), str(saved["task"]), score, measured, popularity, similarity, pivots, details)


def _assessment(saved: Mapping[str, Any], sources: Sequence[RankedSource]) -> Assessment | None:
    found = saved.get("doubt")
    if found is None:
        return None
    gains = {source.task: gain for source in sources if (gain := _predicted_gain(source.details)) is not None}
    p_best = {source.task: float(source.details["p_best"] or 0.0) for source in sources}
    weights = {str(name): float(weight) for name, weight in found.get("weights", {}).items()}
    return Assessment(float(found["evidence"]), p_best, gains, weights)


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
