from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskweb.mixture.cleaning import (
    DUPLICATE_BETWEEN,
    DUPLICATE_WITHIN,
    TARGET_EXACT,
    TARGET_NORMALISED,
    UNLABELLED,
    TargetTexts,
    clean_sources,
    label_errors,
    normalised,
)
from taskweb.tasks import Example, Task

CHOICES = ("yes", "no")


def task(name: str = "a", kind: str = "classification") -> Task:
    return Task(name, kind, ("accuracy",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The tide is out.", "the  TIDE is out"),
        ("Straße ﬁve", "strasse five"),
        ('He said: "no" (twice).', "he said no twice"),
        ("Hello , world !", "Hello, world!"),
        ("wide\u200b now", "wide now"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_spellings_of_one_text(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("2 + 3", "2 - 3"), ("a/b", "a*b"), ("???", "!!!"), ("2.5", "25"), ("कि", "की")])
def test_different_texts_stay_apart(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once


def test_rows_are_dropped_for_one_reason_each_and_the_first_of_equals_stays() -> None:
    a = [
        Example("Is it?", "yes", CHOICES),
        Example("in the target", "yes", CHOICES),
        Example("IN the target!", "no", CHOICES),
        Example("is it", "no", CHOICES),
        Example("is it", "left", ("left", "right")),
        Example("unlabelled", None, CHOICES),
    ]
    b = [Example("Is it?", "yes", CHOICES), Example("own", "yes", CHOICES)]
    target = TargetTexts.of([Example("in the target")])
    clean = clean_sources({"a": (task(), a), "b": (task("b"), b)}, target)
    assert clean["a"].examples == (a[0], a[4])
    assert clean["a"].dropped == {TARGET_EXACT: 1, TARGET_NORMALISED: 1, DUPLICATE_WITHIN: 1, UNLABELLED: 1}
    assert clean["b"].examples == (b[1],)
    assert clean["b"].dropped == {DUPLICATE_BETWEEN: 1}
    assert clean["a"].texts == ("is it", "is it")


def test_a_question_without_an_answer_is_an_example_of_span_qa() -> None:
    clean = clean_sources({"a": (task(kind="span_qa"), [Example("Who?", None)])}, TargetTexts())
    assert len(clean["a"].examples) == 1


def test_errors_of_labels() -> None:
    examples = [Example("x", "maybe", CHOICES), Example("y", "yes", CHOICES), Example("z", "perhaps", CHOICES)]
    (error,) = label_errors(task(), examples)
    assert error == "in 'x' of a (classification), the label 'maybe' is not among its choices, and likewise in 1 more"
    (error,) = label_errors(task(kind="multiple_choice"), [Example("x", "yes")])
    assert "it has no choices" in error
    (error,) = label_errors(task(kind="regression"), [Example("x", "4.5"), Example("y", "high")])
    assert "the label 'high' is not a number" in error
    assert not list(label_errors(task(), [Example("x", None, CHOICES), Example("x", "free")]))
