"""Prompts that are longer than the model reads: cut, left out or refused, and counted by template and row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

import numpy as np

from taskweb.errors import InputError
from taskweb.evaluation import (
    EvaluationSettings,
    PromptedTask,
    TemplateChoice,
    check_model,
    compare,
    evaluate_task,
    load_prompted,
)
from taskweb.models import Head, TaskModel
from taskweb.tasks import Columns
from tests.evaluation.prompted_tasks import write_rows
from tests.models import tiny

LONG, SHORT = "the cat sat on the mat " * 8, "the dog ran under the tree"
LIMIT = 32


def rows(*premises: str) -> list[dict[str, Any]]:
    return [
        {"premise": premise.strip(), "hypothesis": "is it true that the dog ran ?", "answer": "yes", "options": ["yes", "no"]}
        for premise in premises
    ]


def prompts(where: Path, *premises: str, templates: str | None = None) -> PromptedTask:
    columns = Columns(("premise", "hypothesis"), "answer", "options")
    path = write_rows(where / "mine.jsonl", rows(*premises))
    return load_prompted("mine", path, columns=columns, templates=TemplateChoice.parse(templates))


def model_of(name: str, overflow: str = "trim", head: Head | None = tiny.LABELS) -> TaskModel:
    model = tiny.model(name, head, seed=1)
    model.max_input = LIMIT
    model.text = replace(model.text, overflow=overflow)
    return model


@pytest.mark.parametrize("name", tiny.NAMES)
def test_each_prompt_says_how_much_of_it_was_cut(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    result = evaluate_task(model, prompts(tmp_path, SHORT, LONG, LONG + SHORT))
    for template in result.templates:
        cut = [prediction.tokens_cut for prediction in template.predictions]
        assert cut[0] == 0 < cut[1] < cut[2]
        report = template.cut
        assert (report.inputs, report.cut, report.tokens, report.most, report.limit) == (3, 2, sum(cut), cut[2], LIMIT)
        assert template.to_dict()["cut"] == report.to_dict()
        assert [prediction.to_dict()["tokens_cut"] for prediction in template.predictions] == cut
        assert template.predictions[1].input.count("cat") == 8
    assert result.to_dict()["cut"]["cut"] == result.cut.cut == 2


@pytest.mark.parametrize("name", tiny.NAMES)
def test_the_question_is_never_cut(name: str, tmp_path: Path) -> None:
    """Another question changes the scores, another end of a long premise does not."""
    model = model_of(name)
    found = prompts(tmp_path, LONG + SHORT)
    scores = np.array(evaluate_task(model, found).templates[0].predictions[0].scores)
    other = prompts(tmp_path, LONG + "very bad film")
    np.testing.assert_allclose(np.array(evaluate_task(model, other).templates[0].predictions[0].scores), scores, rtol=1e-6)
    asked = rows(LONG + SHORT)[0] | {"hypothesis": "is it true that the cat sat ?"}
    path = write_rows(tmp_path / "mine.jsonl", [asked])
    question = load_prompted("mine", path, columns=Columns(("premise", "hypothesis"), "answer", "options"))
    assert np.abs(np.array(evaluate_task(model, question).templates[0].predictions[0].scores) - scores).max() > 1e-6


@pytest.mark.parametrize("name", tiny.NAMES)
def test_long_prompts_can_be_left_out(name: str, tmp_path: Path) -> None:
    done: list[int] = []
    found = prompts(tmp_path, SHORT, LONG, SHORT + " .")
    result = evaluate_task(model_of(name, "drop"), found, on_done=done.append)
    assert [prediction.row for prediction in result.templates[0].predictions] == [1, 3]
    assert (result.cut.dropped, result.cut.cut, result.examples) == (1, 0, 2)
    assert sum(done) == found.size
    alone = evaluate_task(model_of(name), prompts(tmp_path, SHORT, SHORT + " ."))
    assert alone.summary["accuracy"].mean == result.summary["accuracy"].mean
    assert compare(alone, result).rows == 1
    with pytest.raises(InputError, match="No prompt of the template 'as given' fits into the 32 tokens"):
        evaluate_task(model_of(name, "drop"), prompts(tmp_path, LONG))


@pytest.mark.parametrize("name", tiny.NAMES)
def test_long_prompts_can_be_an_error_before_anything_is_computed(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'mine': Row 2 \('the cat sat .*\) does not fit into the 32 tokens .* reads\. "):
        check_model(model_of(name, "error"), [prompts(tmp_path, SHORT, LONG)])
    with pytest.raises(InputError, match=r"Row 2 .* tokens that the model reads, nor do 1 more of 3 inputs\. Raise"):
        check_model(model_of(name, "error"), [prompts(tmp_path, SHORT, LONG, LONG + " .")])
    check_model(model_of(name, "error"), [prompts(tmp_path, SHORT)])


def test_a_generated_answer_needs_room(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mine.jsonl", [{"input": " ".join(["cat"] * 20), "output": "dog"}])
    model = tiny.model("gpt2", Head(), seed=1)  # 64 positions
    found = load_prompted("mine", path)
    assert evaluate_task(model, found, EvaluationSettings(max_new_tokens=8)).cut.tokens == 0
    assert evaluate_task(model, found, EvaluationSettings(max_new_tokens=30)).templates[0].predictions[0].tokens_cut == 6


@pytest.mark.parametrize("name", tiny.TEXT)
def test_a_choice_without_tokens_names_its_row(name: str, tmp_path: Path) -> None:
    rows = [{"input": SHORT, "output": "yes", "choices": ["yes", choice]} for choice in ("no", " ")]
    found = load_prompted("mine", write_rows(tmp_path / "mine.jsonl", rows))
    with pytest.raises(InputError, match=r"A choice of row 2 \('the dog .*\) has no tokens"):
        evaluate_task(model_of(name), found)
