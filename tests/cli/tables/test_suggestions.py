"""What is next, as people read it."""

from __future__ import annotations

import pytest

from taskweb.cli.tables.suggestions import next_runs
from taskweb.cli.tables.text import Text
from taskweb.workflows.suggesting import NextRun


@pytest.mark.parametrize(
    ("run", "shown"),
    [
        (NextRun("rte", 3, 0.53, None), "rte with seed 3 (expected to improve the choice by 0.5%)"),
        (NextRun("rte", 3, 1800.0, 2.0), "rte with seed 3 (about 2 s, expected to improve the choice by 1.0%)"),
        (NextRun("rte", 3, 0.02, 7200.0), "rte with seed 3 (about 2.0 h, expected to improve the choice by less than 0.1%)"),
        (NextRun(None, 1, 1800.0, 90.0), "the baseline with seed 1 (about 1.5 min)"),
        (NextRun(None, 1, 0.5, None), "the baseline with seed 1"),
    ],
)
def test_a_run_is_shown_with_what_it_improves_itself_and_not_per_hour(run: NextRun, shown: str) -> None:
    assert as_text([run]) == shown


def test_of_the_runs_after_the_next_source_and_seed_are_shown() -> None:
    runs = [NextRun("rte", 3, 0.5, None), NextRun("two\nlines", 1, 0.4, None), NextRun(None, 2, 0.4, None)]
    first = "rte with seed 3 (expected to improve the choice by 0.5%)"
    assert as_text(runs) == f"{first}; then two lines (seed 1), the baseline (seed 2)"


def as_text(runs: list[NextRun]) -> str:
    return " ".join(piece.plain if isinstance(piece, Text) else piece for piece in next_runs(runs))
