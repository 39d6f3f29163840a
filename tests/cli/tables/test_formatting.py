"""Figures as every table writes them."""

from __future__ import annotations

import math

import pytest

from taskweb.cli.tables.formatting import counted, duration, explained, interval, number, signed, with_interval

NAN = math.nan


def test_a_figure_that_is_not_known_is_an_empty_cell() -> None:
    assert [number(NAN, ".1f"), with_interval(NAN, NAN, NAN, ".1f")] == ["", ""]
    assert [signed(None).plain, signed(NAN).plain, interval(NAN, NAN, ".1f").plain] == ["", "", ""]


def test_signs_and_intervals() -> None:
    assert (signed(0.012, percent=True).plain, str(signed(0.012).style)) == ("+1.2%", "green")
    assert (signed(-0.5).plain, str(signed(-0.5).style)) == ("-0.500", "red")
    assert interval(1, 2.25, ".1f", "%").plain == "1.0 to 2.2%"
    assert with_interval(1.5, -1, 4, "+.1f") == "+1.5 (-1.0 to +4.0)"
    assert with_interval(1.5, NAN, NAN, "+.1f") == "+1.5"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.01, "0.1 s"),
        (0.42, "0.4 s"),
        (1.4, "1 s"),
        (59, "59 s"),
        (90, "1.5 min"),
        (7200, "2.0 h"),
        (86400, "1.0 days"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_counts_in_words() -> None:
    assert (counted(1, "task"), counted(1200, "task")) == ("1 task", "1,200 tasks")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_explanations_fit_the_width(width: int) -> None:
    lines = [line.plain for line in explained("score", "many words " * 30, width)]
    assert lines[0].startswith("     score  many")
    assert all(len(line) <= width for line in lines)
