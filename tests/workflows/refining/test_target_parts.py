from __future__ import annotations

import numpy as np
import pytest

from taskweb.errors import InputError
from taskweb.tasks import Example
from taskweb.workflows.refining.target_parts import divided, least_difference, rows_needed


def rows(count: int, first: int = 0) -> list[Example]:
    return [Example(f"row {i}", "yes") for i in range(first, first + count)]


def test_a_row_stays_in_its_part_when_others_are_added() -> None:
    few, many = divided(rows(100), "classification"), divided(rows(400)[::-1], "classification")
    for part in ("train", "choose", "report"):
        assert set(getattr(few, part)) <= set(getattr(many, part))
    assert len(many.labelled) == 400
    assert len(many.train) == pytest.approx(200, abs=40)
    assert len(many.choose) == pytest.approx(100, abs=35)
    assert set(many.seen).isdisjoint(many.report)


def test_many_rows_are_limited_by_content() -> None:
    whole = divided(rows(400), "classification")
    found = divided(rows(400), "classification", most_trained=50, most_evaluated=30)
    assert (len(found.train), len(found.choose), len(found.report), len(found.unused)) == (50, 30, 30, 290)
    assert set(found.train) < set(whole.train)
    assert len(found.labelled) == 400
    assert "290 further labelled rows" in found.notes()[1]
    assert set(divided(rows(300), "classification", most_trained=400).train) < set(whole.train)


def test_the_same_text_is_in_one_part_only() -> None:
    found = divided([*rows(100), *(Example(f"ROW {i}.", "no") for i in range(100))], "classification")
    assert len(found.labelled) == 100
    assert all(example.output == "yes" for example in found.labelled)


def test_unlabelled_rows_only_help_to_rank() -> None:
    found = divided([*rows(50), Example("open")], "classification")
    assert found.unlabelled == (Example("open"),)
    assert Example("open") in found.seen
    assert Example("open") not in found.labelled
    assert len(divided([*rows(50), Example("no answer")], "span_qa").labelled) == 51


def test_too_few_rows_are_refused_and_few_are_said() -> None:
    with pytest.raises(InputError, match="5 different labelled rows, too few"):
        divided([*rows(5), *rows(5)], "classification")
    notes = divided(rows(100), "classification").notes()
    assert "100 labelled rows" in notes[0]
    assert "points of accuracy" in notes[1]
    assert len(divided(rows(7500), "classification", most_trained=9000).notes()) == 1


@pytest.mark.parametrize(("rows", "score"), [(100, 0.5), (400, 0.8)])
def test_the_least_difference_is_found_in_four_of_five_tests(rows: int, score: float) -> None:
    draw, repeats = np.random.default_rng(0), 20_000
    difference = least_difference(rows, score)
    first = draw.binomial(rows, score - difference / 2, repeats) / rows
    second = draw.binomial(rows, score + difference / 2, repeats) / rows
    both = (first + second) / 2
    found = np.abs(second - first) / np.sqrt(2 * both * (1 - both) / rows) > 1.96

    assert found.mean() == pytest.approx(0.8, abs=0.03)
    assert rows_needed(difference, score) == pytest.approx(rows, abs=1)
