"""Retrieval of experts: sources whose examples are similar to the target's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from taskweb.selectors.base import FloatArray, SelectionProblem, fill_missing


@dataclass(frozen=True, slots=True)
class RoeSelector:
    """Mean over the target's examples of the closest source example (arXiv:2305.13256, section 3.1)."""

    name: str = "roe"
    meaning: str = (
        "similarity of texts: mean cosine of each target example with the closest example of the source, 1 = the same"
    )

    def parameters(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def score(self, problem: SelectionProblem) -> FloatArray:
        """A source without texts gets the mean of the others. Raises WebError where there are no texts at all."""
        similarity = problem.roe
        return fill_missing(np.array([similarity.get(source, np.nan) for source in problem.candidates]))

    def similarities(self, problem: SelectionProblem) -> Mapping[str, float]:
        """RoE of the target with every task of the web that has texts."""
        return problem.roe
