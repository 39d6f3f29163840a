"""Numbers in the sentences of a report."""

from __future__ import annotations

import pytest

from taskweb.report.words import as_sentence, duration


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


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("no transfer is above 0", "No transfer is above 0."),
        ("left out: a, b.", "Left out: a, b."),
        ("t5l/finetune has one seed", "t5l/finetune has one seed."),
        ("my_task is new", "my_task is new."),
        ("21 rows have no input", "21 rows have no input."),
        ("<b>x</b>", "<b>x</b>."),
    ],
)
def test_a_note_becomes_a_sentence_whose_names_stay_as_they_are(note: str, said: str) -> None:
    assert as_sentence(note) == said
