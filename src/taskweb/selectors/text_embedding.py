"""TextEmb: sources whose mean embedding is close to the target's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from taskweb.selectors.base import FloatArray, SelectionProblem, fill_missing
from taskweb.selectors.similarity import mean_embedding_cosine


@dataclass(frozen=True, slots=True)
class TextEmbeddingSelector:
    """Cosine between mean embeddings (Vu et al., 2020, arXiv:2005.00770)."""

    name: str = "text-embedding"
    meaning: str = "similarity of texts: cosine between the mean embedding of the target's examples and that of the source's"

    def parameters(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def score(self, problem: SelectionProblem) -> FloatArray:
        """A source without texts gets the mean of the others. Raises WebError where there are no texts at all."""
        similarity = self.similarities(problem)
        return fill_missing(np.array([similarity.get(source, np.nan) for source in problem.candidates]))

    def similarities(self, problem: SelectionProblem) -> Mapping[str, float]:
        """The cosine with every task of the web that has texts."""
        bank, vectors = problem.texts
        known = [task for task in problem.web.tasks if task in bank]
        return dict(zip(known, mean_embedding_cosine(vectors, bank, known).tolist(), strict=True))
