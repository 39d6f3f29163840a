from __future__ import annotations

import pytest

from taskweb.selectors.judge.cost import Cost, cost_of


def test_the_cost_counts_every_request() -> None:
    cost = cost_of(["a" * 400, "b" * 802], 10, 8)
    assert cost == Cost(20, 10 * (101 + 201), 160)
    assert cost_of([], 10, 8) == Cost(0, 0, 0)


def test_the_price_is_per_million_tokens() -> None:
    assert Cost(1, 2_000_000, 500_000).price(0.5, 4.0) == pytest.approx(3.0)


def test_it_is_told_in_words() -> None:
    assert Cost(1, 1500, 8).shown() == "1 request, about 1,500 tokens read and at most 8 written"
    shown = Cost(2000, 600_000, 16_000).shown((0.15, 0.6))
    assert shown == "2,000 requests, about 600,000 tokens read and at most 16,000 written, about 0.1 at the prices given"
