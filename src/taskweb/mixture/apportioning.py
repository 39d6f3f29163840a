"""Numbers of examples from rates and a budget, by the method of largest remainders."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor


def apportion(rates: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers that sum to `total`, each less than 1 away from its share rate / sum of rates * total.

    Every task gets its share rounded down. The rest goes, one each, to the largest remainders; of equal remainders to the first
    task. The arithmetic is exact (rational).
    """
    whole = sum((Fraction(rate) for rate in rates.values()), Fraction(0))
    shares = {task: Fraction(rate) / whole * total for task, rate in rates.items()}
    counts = {task: floor(share) for task, share in shares.items()}
    left = total - sum(counts.values())
    for task in sorted(shares, key=lambda task: counts[task] - shares[task])[:left]:  # stable: the first of equals
        counts[task] += 1
    return counts


def counts_of(rates: Mapping[str, float], most: Mapping[str, int], budget: int, *, fill: bool) -> dict[str, int]:
    """The number of examples of each task: its part of the budget by `apportion`, at most all it has (`most`).

    fill: where tasks have too few examples, the others give more, in proportion to their rates, until the budget is met or all
    examples are used. Otherwise the total is below the budget. No example is used twice.
    """
    counts = {task: min(count, most[task]) for task, count in apportion(rates, budget).items()}
    while fill and (left := budget - sum(counts.values())):
        room = {task: rate for task, rate in rates.items() if counts[task] < most[task]}
        if not room:
            break
        for task, more in apportion(room, left).items():
            counts[task] = min(counts[task] + more, most[task])
    return counts
