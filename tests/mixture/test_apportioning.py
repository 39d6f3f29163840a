from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from taskweb.mixture.apportioning import apportion, counts_of

RATES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(1e-6, 1), min_size=1)
TOTALS = st.integers(0, 10**6)


@given(RATES, TOTALS)
def test_counts_sum_to_the_total_and_stay_within_one_of_their_share(rates: dict[str, float], total: int) -> None:
    counts = apportion(rates, total)
    assert list(counts) == list(rates)
    assert sum(counts.values()) == total
    whole = sum(map(Fraction, rates.values()))
    for task, count in counts.items():
        assert abs(count - Fraction(rates[task]) / whole * total) < 1


@given(RATES, TOTALS)
def test_a_higher_rate_never_gives_fewer(rates: dict[str, float], total: int) -> None:
    counts = apportion(rates, total)
    for one in rates:
        for other in rates:
            if rates[one] > rates[other]:
                assert counts[one] >= counts[other]


def test_the_largest_remainders_get_what_is_left() -> None:
    assert apportion({"a": 0.47, "b": 0.16, "c": 0.158, "d": 0.12, "e": 0.061, "f": 0.031}, 10) == {
        "a": 5, "b": 2, "c": 1, "d": 1, "e": 1, "f": 0,
    }  # fmt: skip
    assert apportion({"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}, 6) == {"a": 2, "b": 2, "c": 1, "d": 1}
    assert apportion({"a": 0.29, "b": 0.71}, 100) == {"a": 29, "b": 71}


@given(RATES, st.data())
def test_no_task_gives_more_than_it_has_and_filling_uses_all_it_can(rates: dict[str, float], data: st.DataObject) -> None:
    most = {task: data.draw(st.integers(0, 5000)) for task in rates}
    budget = data.draw(st.integers(0, 20_000))
    plain = counts_of(rates, most, budget, fill=False)
    filled = counts_of(rates, most, budget, fill=True)
    parts = apportion(rates, budget)
    for task in rates:
        assert plain[task] == min(parts[task], most[task])
        assert plain[task] <= filled[task] <= most[task]
    assert sum(filled.values()) == min(budget, sum(most.values()))


def test_what_falls_short_goes_to_the_others_in_proportion() -> None:
    rates = {"a": 0.5, "b": 0.25, "c": 0.25}
    most = {"a": 10, "b": 1000, "c": 60}
    assert counts_of(rates, most, 200, fill=False) == {"a": 10, "b": 50, "c": 50}
    assert counts_of(rates, most, 200, fill=True) == {"a": 10, "b": 130, "c": 60}
