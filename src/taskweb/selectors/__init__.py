"""Selectors: which sources to use for a target, one algorithm per file, and the benchmark that compares them.

The names load when they are first used, so that those of the selectors cost nothing (the shell completes them).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskweb.selectors.base import CutTexts, PivotEvidence, RankedSource, Ranking, SelectionProblem, Selector, rank
    from taskweb.selectors.blend import BlendSelector
    from taskweb.selectors.llm import LlmSelector
    from taskweb.selectors.pair_scores import PairScores, read_pair_scores
    from taskweb.selectors.popularity import PopularitySelector
    from taskweb.selectors.random import RandomSelector
    from taskweb.selectors.readable_texts import ReadableTexts
    from taskweb.selectors.roe import RoeSelector
    from taskweb.selectors.taskshop import TaskShopSelector
    from taskweb.selectors.text_embedding import TextEmbeddingSelector

DEFAULT_SELECTOR = "blend"
SELECTOR_NAMES = ("blend", "taskshop", "taskshop-llm", "roe", "text-embedding", "llm", "popularity", "random")

__all__ = [
    "DEFAULT_SELECTOR",
    "SELECTOR_NAMES",
    "BlendSelector",
    "CutTexts",
    "LlmSelector",
    "PairScores",
    "PivotEvidence",
    "PopularitySelector",
    "RandomSelector",
    "RankedSource",
    "Ranking",
    "ReadableTexts",
    "RoeSelector",
    "SelectionProblem",
    "Selector",
    "TaskShopSelector",
    "TextEmbeddingSelector",
    "rank",
    "read_pair_scores",
]

_HOMES = {
    "BlendSelector": "blend",
    "LlmSelector": "llm",
    "PairScores": "pair_scores",
    "PopularitySelector": "popularity",
    "RandomSelector": "random",
    "ReadableTexts": "readable_texts",
    "RoeSelector": "roe",
    "TaskShopSelector": "taskshop",
    "TextEmbeddingSelector": "text_embedding",
    "read_pair_scores": "pair_scores",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'taskweb.selectors' has no attribute '{name}'")
    return getattr(import_module(f"taskweb.selectors.{_HOMES.get(name, 'base')}"), name)
