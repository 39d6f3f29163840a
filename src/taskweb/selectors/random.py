"""Chance: the baseline that every selector must beat."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from taskweb.selectors.base import FloatArray, SelectionProblem


@dataclass(frozen=True, slots=True)
class RandomSelector:
    """Scores drawn uniformly from [0, 1), fixed by the seed and the source's name."""

    seed: int = 0
    name: str = "random"
    meaning: str = "a random number: any order is as likely as any other"

    def parameters(self) -> Mapping[str, Any]:
        """The seed."""
        return {"seed": self.seed}

    def score(self, problem: SelectionProblem) -> FloatArray:
        """Independent of the candidates' order, since each number comes from the source's name."""
        digests = (hashlib.sha256(f"{self.seed}\0{source}".encode()).digest() for source in problem.candidates)
        return np.array([int.from_bytes(digest[:7], "big") / 2**56 for digest in digests])
