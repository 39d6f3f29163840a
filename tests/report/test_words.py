"""Numbers in the sentences of a report."""

from __future__ import annotations

import pytest

from taskweb.report.words import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"),
        (0.19, "0.2 s"),
        (0.004, "0.004 s"),
        (40.2, "40 s"),
        (720.0, "12 min"),
        (12_600.0, "3.5 h"),
        (777_600.0, "9 days"),
    ],
)
def test_a_duration_has_the_unit_in_which_it_is_easiest_to_read(seconds: float, said: str) -> None:
    assert duration(seconds) == said
