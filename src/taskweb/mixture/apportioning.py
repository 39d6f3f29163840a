"""From rates and a budget to whole numbers of examples, by the method of largest remainders."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor


def apportion(rates: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers that sum to `total`, each less than 1 away from its share rate / sum of rates * total.

    Every task gets its share rounded down; what is left goes, one each, to the largest remainders, of equal ones to the task
    that stands first. The arithmetic is exact (rational).
    """
    whole = sum((Fraction(rate) for rate in rates.values()), Fraction(0))
    shares = {task: Fraction(rate) / whole * total for task, rate in rates.items()}
    counts = {task: floor(share) for task, share in shares.items()}
    left = total - sum(counts.values())
    for task in sorted(shares, key=lambda task: counts[task] - shares[task])[:left]:  # stable: of equals, the first
        counts[task] += 1
    return counts


def counts_of(rates: Mapping[str, float], most: Mapping[str, int], budget: int, *, fill: bool) -> dict[str, int]:
    """How many examples each task gives: its part of the budget by `apportion`, or all it has (`most`) where that is fewer.

    fill: what tasks fall short of goes, in proportion to their rates, to those that have more, until the budget is met or
    everything is used; otherwise the total falls short as well. No example is ever used twice.
    """
    counts = {task: min(count, most[task]) for task, count in apportion(rates, budget).items()}
    while fill and (left := budget - sum(counts.values())):
        room = {task: rate for task, rate in rates.items() if counts[task] < most[task]}
        if not room:
            break
        for task, more in apportion(room, left).items():
            counts[task] = min(counts[task] + more, most[task])
    return counts
