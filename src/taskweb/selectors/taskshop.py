"""TaskShop as published (arXiv:2305.13256, section 3.2): similarity, and transfers through pivots, with fixed weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from taskweb.errors import ParameterError, WebError, unknown_name
from taskweb.selectors.base import FloatArray, SelectionProblem, fill_missing
from taskweb.selectors.llm import LlmSelector
from taskweb.selectors.roe import RoeSelector


class SimilaritySelector(Protocol):
    """A selector that can say how similar the target is to any task of the web, not only to candidates."""

    @property
    def name(self) -> str:
        """The selector's name."""

    def similarities(self, problem: SelectionProblem) -> Mapping[str, float]:
        """Task name -> similarity with the target."""

    def parameters(self) -> Mapping[str, Any]:
        """The parameters."""


@dataclass(frozen=True)
class TaskShopSelector:
    """lam * mean over pivots p of [0.5 T(s -> p) + 0.5 F(p, t)] + (1 - lam) F(s, t).

    base: gives F. lam: weight of the pivots, in [0, 1]; 0.7 was chosen on piqa by the paper.
    pivots: the tasks p; None takes every target of the web with a similarity. n_pivots: only the n_pivots of them most similar
    to the target. With LLM similarity as the base, F is z-scored in the pivot term and min-max scaled in the direct term, over
    all directed judgements, as published.
    """

    base: SimilaritySelector = field(default_factory=RoeSelector)
    lam: float = 0.7
    pivots: tuple[str, ...] | None = None
    n_pivots: int | None = None
    name: str = "taskshop"

    def __post_init__(self) -> None:
        if not 0.0 <= self.lam <= 1.0:
            raise ParameterError(f"The 'lambda' parameter of TaskShop must be between 0 and 1. Got {self.lam} instead.")
        if self.pivots is not None and not self.pivots:
            raise ParameterError("The 'pivots' parameter of TaskShop names no task. Leave it out to use all.")
        if self.n_pivots is not None and self.n_pivots < 1:
            raise ParameterError(f"The 'n_pivots' parameter of TaskShop must be at least 1. Got {self.n_pivots} instead.")

    @property
    def meaning(self) -> str:
        """What the score means."""
        return (
            f"{self.lam:g} x (transfer from the source to pivot tasks + similarity of the pivots to the target) / 2 "
            f"+ {1 - self.lam:g} x similarity of source and target ({self.base.name}); only the order counts"
        )

    def parameters(self) -> Mapping[str, Any]:
        """Base selector, lambda and pivots."""
        pivots = "all" if self.pivots is None else list(self.pivots)
        return {
            "base": self.base.name,
            "lambda": self.lam,
            "pivots": pivots,
            "n_pivots": self.n_pivots,
            **self.base.parameters(),
        }

    def score(self, problem: SelectionProblem) -> FloatArray:
        """A source with no measured transfer to any pivot gets the mean pivot term of the others."""
        similarity = self.similarities_scaled(problem)
        places = self._pivot_places(problem, similarity[0])
        from_pivots = self._pivot_term(problem, places, similarity[0])
        direct = fill_missing(np.array([similarity[1].get(source, np.nan) for source in problem.candidates]))
        return self.lam * from_pivots + (1.0 - self.lam) * direct

    def similarities_scaled(self, problem: SelectionProblem) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """F as it enters the pivot term, and as it enters the direct term."""
        raw = self.base.similarities(problem)
        if not isinstance(self.base, LlmSelector):
            return raw, raw
        mean, deviation, low, high = self.base.scales()
        if high <= low:
            raise WebError(
                "The language model gave every pair the same score, so nothing can be ranked by it. Use --selector "
                "taskshop with RoE."
            )
        return {k: (v - mean) / deviation for k, v in raw.items()}, {k: (v - low) / (high - low) for k, v in raw.items()}

    def _pivot_places(self, problem: SelectionProblem, similarity: Mapping[str, float]) -> list[int]:
        targets = problem.web.targets
        if self.pivots is not None:
            for pivot in self.pivots:
                if pivot not in targets and pivot != problem.target:
                    raise unknown_name("pivot among the web's targets", pivot, targets)
        usable = [i for i, task in enumerate(targets) if task in similarity and (self.pivots is None or task in self.pivots)]
        if not usable:
            raise WebError(
                f"TaskShop has no pivot for '{problem.target}': no target of the web has both transfers and a "
                "similarity. Use --selector roe."
            )
        if self.n_pivots is not None:
            usable = sorted(usable, key=lambda i: (-similarity[targets[i]], targets[i]))[: self.n_pivots]
        return usable

    def _pivot_term(self, problem: SelectionProblem, places: list[int], similarity: Mapping[str, float]) -> FloatArray:
        targets = problem.web.targets
        transfer = problem.transfer if len(places) == len(targets) else problem.transfer[places]
        measured = np.isfinite(transfer)
        pivot_similarity = np.array([similarity[targets[i]] for i in places])
        count = measured.sum(axis=0)
        total = 0.5 * np.where(measured, transfer, 0.0).sum(axis=0) + 0.5 * (pivot_similarity @ measured)
        return fill_missing(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
