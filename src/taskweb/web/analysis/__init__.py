"""Analyses of a web: what its transfers say about tasks and setups, each with intervals and a summary sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from taskweb.errors import unknown_name
from taskweb.web.analysis.agreement import Agreement, agreement
from taskweb.web.analysis.commutativity import Commutativity, commutativity
from taskweb.web.analysis.shares import TransferShares, shares
from taskweb.web.analysis.structure import Structure, structure
from taskweb.web.analysis.transitivity import Transitivity, transitivity
from taskweb.web.transfer_web import TransferWeb


class Analysis(Protocol):
    """The result of one analysis."""

    @property
    def verdict(self) -> str:
        """The result in one sentence."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader: what was left out and why."""

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values; NaN becomes null."""


ANALYSES: dict[str, Callable[[TransferWeb, int], Analysis]] = {
    "shares": shares,
    "commutativity": commutativity,
    "transitivity": transitivity,
    "agreement": agreement,
    "structure": structure,
}


@dataclass(frozen=True)
class WebAnalysis:
    """Results of the chosen analyses by name, and the web, seed, setups and tasks that they were made from."""

    web: str
    seed: int
    setups: tuple[str, ...]
    tasks: tuple[str, ...]
    results: Mapping[str, Analysis]

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of all results, each once."""
        return tuple(dict.fromkeys(note for result in self.results.values() for note in result.notes))

    def to_dict(self) -> dict[str, Any]:
        """All results as plain JSON values; NaN becomes null."""
        return {
            "web": self.web,
            "seed": self.seed,
            "setups": list(self.setups),
            "tasks": list(self.tasks),
            "analyses": {name: result.to_dict() for name, result in self.results.items()},
        }


def analyze(web: TransferWeb, *, seed: int = 0, analyses: Sequence[str] | None = None) -> WebAnalysis:
    """Run analyses of a web; None runs all of them. Raises NameNotFoundError for a name that is not in `ANALYSES`."""
    names = tuple(ANALYSES) if analyses is None else tuple(dict.fromkeys(analyses))
    for name in names:
        if name not in ANALYSES:
            raise unknown_name("analysis", name, ANALYSES)
    return WebAnalysis(web.name, seed, web.setups, web.tasks, {name: ANALYSES[name](web, seed) for name in names})


__all__ = [
    "ANALYSES",
    "Agreement",
    "Analysis",
    "Commutativity",
    "Structure",
    "TransferShares",
    "Transitivity",
    "WebAnalysis",
    "agreement",
    "analyze",
    "commutativity",
    "shares",
    "structure",
    "transitivity",
]
