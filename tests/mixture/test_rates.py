from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.mixture.rates import RATE_SCHEMES, rates_of

SIZES = {"a": 100, "b": 400, "c": 2500}
SCORES = {"a": 0.1, "b": -0.2, "c": 0.4}


@given(
    st.dictionaries(st.text(min_size=1), st.tuples(st.integers(1, 10**6), st.floats(-5, 5)), min_size=1, max_size=8),
    st.sampled_from(RATE_SCHEMES),
    st.floats(0.3, 20),
)
def test_rates_are_above_zero_and_sum_to_one(tasks: dict[str, tuple[int, float]], scheme, temperature: float) -> None:
    sizes, scores = ({name: value[i] for name, value in tasks.items()} for i in (0, 1))
    rates = rates_of(list(tasks), scheme, sizes=sizes, scores=scores, temperature=temperature)
    assert list(rates) == list(tasks)
    assert all(rate > 0 for rate in rates.values())
    assert math.fsum(rates.values()) == pytest.approx(1)


def test_what_the_schemes_mean() -> None:
    def found(scheme, temperature: float = 2.0) -> list[float]:
        return list(rates_of(["a", "b", "c"], scheme, sizes=SIZES, scores=SCORES, temperature=temperature).values())

    assert found("uniform") == [1 / 3] * 3
    assert found("proportional") == pytest.approx([1 / 30, 4 / 30, 25 / 30])
    assert found("temperature") == pytest.approx([10 / 80, 20 / 80, 50 / 80])
    assert found("temperature", 1) == pytest.approx(found("proportional"))
    spread = math.sqrt(((0.1 - 0.1) ** 2 + 0.3**2 + 0.3**2) / 3)
    weights = [math.exp(x / spread / 2) for x in (0, -0.3, 0.3)]
    assert found("score") == pytest.approx([weight / sum(weights) for weight in weights])


def test_equal_scores_give_uniform_rates() -> None:
    assert rates_of(["a", "b"], "score", sizes=SIZES, scores={"a": 0.3, "b": 0.3}) == {"a": 0.5, "b": 0.5}


def test_explicit_rates() -> None:
    assert rates_of(["a", "b"], {"b": 0.25, "a": 0.75}, sizes=SIZES) == {"a": 0.75, "b": 0.25}
    thirds = rates_of(["a", "b", "c"], {"a": 0.3333333, "b": 0.3333333, "c": 0.3333333}, sizes=SIZES)
    assert math.fsum(thirds.values()) == pytest.approx(1, abs=1e-12)
    with pytest.raises(ParameterError, match=r"sum to 0\.9 instead of 1"):
        rates_of(["a", "b"], {"a": 0.5, "b": 0.4}, sizes=SIZES)
    with pytest.raises(ParameterError, match=r"no rate is given for b; .*not a = 1\.2; they sum to 1\.2"):
        rates_of(["a", "b"], {"a": 1.2}, sizes=SIZES)
    with pytest.raises(ParameterError, match=r"not b = 0"):
        rates_of(["a", "b"], {"a": 1, "b": 0}, sizes=SIZES)
    with pytest.raises(ParameterError, match=r"not b = nan"):
        rates_of(["a", "b"], {"a": 1, "b": math.nan}, sizes=SIZES)
    with pytest.raises(NameNotFoundError, match="Did you mean 'rte'"):
        rates_of(["rte", "b"], {"rtee": 1}, sizes=SIZES)


def test_invalid_rates() -> None:
    with pytest.raises(ParameterError, match="at least one task"):
        rates_of([], "uniform", sizes={})
    with pytest.raises(ParameterError, match="temperature of rates must be above 0"):
        rates_of(["a"], "uniform", sizes=SIZES, temperature=0)
    with pytest.raises(ParameterError, match="there is none for b"):
        rates_of(["a", "b"], "score", sizes=SIZES, scores={"a": 1, "b": math.nan})
    with pytest.raises(ParameterError, match="there is none for a"):
        rates_of(["a"], "score", sizes=SIZES)
    with pytest.raises(NameNotFoundError, match="Did you mean 'uniform'"):
        rates_of(["a"], "unifrom", sizes=SIZES)  # type: ignore[arg-type]
