"""LLM similarity: a language model's judgement of whether two tasks are similar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from taskweb.errors import WebError
from taskweb.selectors.base import FloatArray, SelectionProblem, fill_missing
from taskweb.selectors.pair_scores import PairScores


@dataclass(frozen=True, slots=True)
class LlmSelector:
    """log P(yes) - log P(no) that target and source are similar, mean of both orders (arXiv:2305.13256, section 3.1).

    scores: the judgements, one direction or both. judge: the judge and its parameters, where it was asked directly.
    """

    scores: PairScores
    judge: Mapping[str, Any] = field(default_factory=dict)
    name: str = "llm"
    meaning: str = "a language model's judgement of similarity: log P(yes) - log P(no), mean of both orders; above 0 = similar"

    def parameters(self) -> Mapping[str, Any]:
        """The table or the model from which the judgements come."""
        return {"judge": self.scores.name, **self.judge} if self.judge else {"pair_scores": self.scores.name}

    def score(self, problem: SelectionProblem) -> FloatArray:
        """A source that was not judged gets the mean of the others. Raises WebError where the target was not judged at all."""
        similarity = self.similarities(problem)
        return fill_missing(np.array([similarity.get(source, np.nan) for source in problem.candidates]))

    def similarities(self, problem: SelectionProblem) -> Mapping[str, float]:
        """The two-way score of the target with every task that was judged with it."""
        name = problem.table_name or problem.target
        found = {source: score for (target, source), score in self.scores.two_way().scores.items() if target == name}
        if not found:
            if self.judge:
                raise WebError(f"{self.scores.name} judged no pair with the target '{name}'. Use --selector taskshop.")
            raise WebError(
                f"The table of pair scores '{self.scores.name}' has no score for the target '{name}'. "
                "Give --name with the target's name in the table."
            )
        return found

    def scales(self) -> tuple[float, float, float, float]:
        """Mean, population standard deviation, minimum and maximum of the directed scores, with which TaskShop scales them."""
        values = np.array(list(self.scores.scores.values()))
        return float(values.mean()), float(values.std()), float(values.min()), float(values.max())
