"""The sections about trained models say what their histories and answers say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from taskweb.errors import InputError
from taskweb.report.figure import Figure
from taskweb.report.section import Section
from taskweb.report.sections.answered_prompts import Answered, answered_prompts, share_right
from taskweb.report.sections.trained_models import CurvePoint, MixedTask, ModelFindings, trained_models
from taskweb.workflows.saved_answers import read_answers
from taskweb.workflows.trained_folders import read_trained

SHARES = (MixedTask("a", "accuracy", 0.6, 0.5, 50, 5), MixedTask("b", "f1", 0.4, 0.5, 50, 5))
POINTS = tuple(
    CurvePoint(step, task, metric, value)
    for step in (10, 20)
    for task, metric, value in (("a", "accuracy", step / 40), ("a", "loss", 9.0), ("b", "f1", 0.9), ("", "score", 0.7))
)
MODEL = ModelFindings("m", "tiny:t5", "lora", 1, 20, 90.0, 1000, SHARES, ((1, 5.0), (20, 2.5)), POINTS)


def figure(section: Section, name: str) -> Figure:
    return next(part for part in section.parts if isinstance(part, Figure) and part.name == name)


def test_the_mixture_and_the_curves_of_a_model() -> None:
    section = trained_models([MODEL])
    assert figure(section, "losses").sentence == "The loss of m goes from 5.00 at update 1 to 2.50 at update 20."
    mixture = figure(section, "mixture-1")
    assert "the largest share was requested for a, 60%" in mixture.sentence
    assert "that of a, requested 60.0% and realised 50.0%." in mixture.sentence
    curves = figure(section, "curves-1")
    assert curves.sentence == "After 20 updates, b scores highest, 90%, and a lowest, 50%."
    assert ("a", "accuracy", 20, 0.5) in curves.table.rows
    assert all(row[1] != "loss" for row in curves.table.rows)
    assert section.notes == ()


def test_a_model_without_a_known_mixture_says_so() -> None:
    section = trained_models([ModelFindings("m", "tiny:t5", "lora", 1, 0, 0.0, 0, (), (), ())])
    assert [part.name for part in section.parts] == ["trained"]  # type: ignore[union-attr]
    assert section.notes == ("Not known, as an earlier version trained it: the mixture of m.",)


def test_answers_are_compared_on_the_rows_and_prompts_that_both_answered() -> None:
    rows = {(row, "x"): float(row % 2) for row in range(40)}
    better = dict.fromkeys(rows, 1.0) | {(99, "x"): 0.0}
    other_examples = {(0, "other"): 0.0}
    section = answered_prompts(
        [Answered("one", "t", "p", rows), Answered("two", "t", "p", better), Answered("two", "t", "q", other_examples)]
    )
    pairs = figure(section, "pairs")
    assert pairs.table.rows[0][:5] == ("one", "two", "t", 40, 0.5)
    assert pairs.sentence.startswith("On the same 40 rows of t, two answers 50.0 points more right than one (95% interval")
    assert [row[4] for row in figure(section, "prompts").table.rows] == pytest.approx([0.5, 40 / 41, 0.0])
    same = answered_prompts([Answered("one", "t", "p", rows), Answered("two", "t", "p", dict(rows))])
    assert figure(same, "pairs").sentence == "On the same 40 rows of t, two answers as many right as one."
    assert not [part for part in answered_prompts([Answered("one", "t", "p", rows)]).parts if part.name == "pairs"]  # type: ignore[union-attr]


def test_an_interval_contains_the_true_share_as_often_as_it_says() -> None:
    stream, truth = np.random.default_rng(0), 0.9
    found = [share_right((stream.random(60) < truth).astype(float).tolist()) for _ in range(400)]
    inside = sum(one.low <= truth <= one.high for one in found)
    assert 0.92 < inside / len(found) < 0.99
    assert share_right([1.0] * 10).low < 1
    partly = share_right([0.5, 0.7, 0.9])
    assert partly.low < partly.value < partly.high
    assert math.isnan(share_right([0.5]).low)


def test_answers_are_read_by_model_task_and_prompt(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    line = {"task": "t", "template": "p", "row": 3, "input": "x", "correct": 1.0}
    path.write_text(json.dumps(line) + "\n\n" + json.dumps({**line, "model": "other", "input": "y"}) + "\n")
    mine, other = read_answers(path)
    assert (mine.model, mine.task, mine.prompt, list(mine.right.values())) == ("mine", "t", "p", [1.0])
    assert other.model == "other"
    assert mine.right.keys().isdisjoint(other.right)


@pytest.mark.parametrize("content", ["", "\n", "{}", "[1]", '{"task": "t"}', "\x00", "[" * 99_999])
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "training.json"
    path.write_text(content)
    with pytest.raises(InputError, match="answer"):
        read_answers(path)
    with pytest.raises(InputError, match="is not the history of a training"):
        read_trained(tmp_path)
    with pytest.raises(InputError, match=r"nowhere is not a folder of taskweb train: it has no training\.json"):
        read_trained(tmp_path / "nowhere")
