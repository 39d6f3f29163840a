"""Popularity: sources that helped other targets most, whatever the target at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taskweb.selectors.base import FloatArray, SelectionProblem, fill_missing


@dataclass(frozen=True, slots=True)
class PopularitySelector:
    """Mean T of the source over the web's targets; uses nothing about the target at hand."""

    name: str = "popularity"
    meaning: str = "mean transfer score T of the source over the web's other targets; 0 = no effect"

    def parameters(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def score(self, problem: SelectionProblem) -> FloatArray:
        """A source without any measured transfer gets the mean of the others."""
        return fill_missing(problem.popularity)
