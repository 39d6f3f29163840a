from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskweb.selectors.judge.answer_parsing import (
    MISSING_LOGPROB,
    floored,
    log_odds_of_tokens,
    positions_of,
    smoothed_log_odds,
    text_of,
    word_of_text,
)
from tests.selectors.judge.endpoint_server import chat


def test_a_missing_log_probability_is_minus_fifteen() -> None:
    assert log_odds_of_tokens([(" Yes", {" Yes": -0.25})]) == pytest.approx(14.75)
    assert log_odds_of_tokens([("No", {"No": -0.5, "Perhaps": -1.0})]) == pytest.approx(-14.5)
    assert log_odds_of_tokens([("Yes", {"Yes": -0.25, "No": -9999.0})]) == pytest.approx(14.75)
    assert log_odds_of_tokens([("Yes", {"Yes": -0.25, "No": -math.inf})]) == pytest.approx(14.75)
    assert floored(None) == floored(-99) == floored(math.nan) == MISSING_LOGPROB == -15.0


def test_spellings_are_added_up() -> None:
    top = {"Yes": math.log(0.4), " yes": math.log(0.2), "YES.": math.log(0.1), "No": math.log(0.2), "\u2581no": math.log(0.05)}
    assert log_odds_of_tokens([("Yes", top)]) == pytest.approx(math.log(0.7 / 0.25))


def test_the_word_may_come_after_marks_and_thoughts() -> None:
    yes = {"Yes": -0.5, "No": -1.5}
    assert log_odds_of_tokens([("**", {"**": -0.1, "Yes": -3.0}), ("Yes", yes)]) == pytest.approx(1.0)
    thought = [("<think>", {}), ("no", {"no": -0.1}), ("</", {}), ("think>", {}), ("\n", {}), ("Yes", yes)]
    assert log_odds_of_tokens(thought) == pytest.approx(1.0)
    assert log_odds_of_tokens([("Well", {"Well": -0.5, "Yes": -2.0, "No": -1.0})]) == pytest.approx(-1.0)


def test_neither_is_none() -> None:
    assert log_odds_of_tokens([("Hmm", {"Hmm": -0.1}), ("nothing", {"nothing": -0.1})]) is None
    assert log_odds_of_tokens([("<think>", {}), ("</think>", {})]) is None


def test_both_forms_of_log_probabilities_are_read() -> None:
    as_chat = chat(("Yes", {"Yes": -0.5, "No": -2.5}))["choices"][0]
    assert positions_of(as_chat) == [("Yes", {"Yes": -0.5, "No": -2.5})]
    as_completion = {"text": " Yes", "logprobs": {"tokens": [" Yes"], "top_logprobs": [{" Yes": -0.5, " No": -2.5}]}}
    assert positions_of(as_completion) == [(" Yes", {" Yes": -0.5, " No": -2.5})]
    assert positions_of({"logprobs": {"top_logprobs": [{" No": -2.5, " Yes": -0.5}, None]}}) == [
        (" Yes", {" No": -2.5, " Yes": -0.5}),
        ("", {}),
    ]


@pytest.mark.parametrize("logprobs", [None, {}, {"content": []}, {"content": None}, [], "yes"])
def test_no_log_probabilities(logprobs: object) -> None:
    assert positions_of({"message": {"content": "Yes"}, "logprobs": logprobs}) is None
    assert positions_of({"message": {"content": "Yes"}}) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Yes", "yes"),
        ("**No**, they differ. Yes they do", "no"),
        ("<think>No... yes</think>\nno", "no"),
        ("Nothing alike; yesterday", None),
        ("", None),
    ],
)
def test_the_first_word_of_an_answer(text: str, word: str | None) -> None:
    assert word_of_text(text) == word


@pytest.mark.parametrize("choice", [{}, {"message": None}, {"message": {"content": None}}, {"text": 3}])
def test_no_text(choice: dict[str, object]) -> None:
    assert text_of(choice) == ""


@given(st.integers(0, 50), st.integers(0, 50))
def test_smoothed_log_odds_are_finite_and_odd(yes: int, no: int) -> None:
    value = smoothed_log_odds(yes, no)
    assert math.isfinite(value)
    assert value == pytest.approx(-smoothed_log_odds(no, yes))
    assert (value > 0) == (yes > no)


tokens = st.text(max_size=6) | st.sampled_from(["Yes", " No", "</think>", "no"])


@given(st.lists(st.tuples(tokens, st.dictionaries(tokens, st.floats(max_value=0.0)))))
def test_any_tokens_give_a_finite_value_or_none(positions: list[tuple[str, dict[str, float]]]) -> None:
    value = log_odds_of_tokens(positions)
    assert value is None or abs(value) <= 15.0 + 1.0
