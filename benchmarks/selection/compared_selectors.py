"""The selectors that benchmarks compare."""

from __future__ import annotations

from taskweb.selectors import (
    BlendSelector,
    PopularitySelector,
    RandomSelector,
    RoeSelector,
    Selector,
    TaskShopSelector,
    TextEmbeddingSelector,
)

SINGLE_SELECTORS = ("popularity", "roe", "text-embedding")  # those that rest on one kind of evidence


def compared_selectors() -> dict[str, Selector]:
    """All by name; chance (`random`) is exact."""
    built = (TaskShopSelector(), RoeSelector(), TextEmbeddingSelector(), PopularitySelector(), BlendSelector())
    return {"random": RandomSelector()} | {selector.name: selector for selector in built}
