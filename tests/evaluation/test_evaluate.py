"""Evaluation from prompts to figures, for every family and kind of task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

import numpy as np

from taskweb.errors import InputError, NameNotFoundError
from taskweb.evaluation import (
    EvaluationSettings,
    PromptedTask,
    check_model,
    evaluate_task,
    load_prompted,
    save_predictions,
    save_results,
)
from taskweb.metrics import accuracy, macro_f1
from taskweb.models import Head
from taskweb.tasks.templates import Prompt
from tests.evaluation.prompted_tasks import entailment, prompted_rows, write_rows
from tests.models import tiny


@pytest.mark.parametrize("name", tiny.TEXT)
def test_figures_follow_from_the_predictions(name: str, tmp_path: Path) -> None:
    done: list[int] = []
    result = evaluate_task(tiny.model(name, seed=2), entailment(tmp_path), on_done=done.append)
    assert sum(done) == 72
    assert (result.examples, len(result.templates)) == (12, 6)
    for template in result.templates:
        answered = [one.choices.index(one.predicted) for one in template.predictions]
        right = [one.choices.index(one.expected[0]) for one in template.predictions]
        assert answered == [int(np.argmax(one.scores)) for one in template.predictions]
        assert template.metrics["accuracy"] == pytest.approx(accuracy(answered, right))
        assert template.metrics["macro_f1"] == pytest.approx(macro_f1(answered, right))
        assert template.metrics["accuracy"] == pytest.approx(np.mean([one.correct for one in template.predictions]))
        assert [sum(row) for row in template.confusion] == [6, 6]
    means = [template.metrics["accuracy"] for template in result.templates]
    summary = result.summary["accuracy"]
    assert (summary.mean, summary.spread) == pytest.approx((np.mean(means), np.std(means, ddof=1)))
    assert summary.low <= summary.mean <= summary.high
    assert np.array_equal(result.confusion, np.sum([template.confusion for template in result.templates], axis=0))


@pytest.mark.parametrize("name", tiny.TEXT)
def test_the_batch_size_changes_nothing_but_rounding(name: str, tmp_path: Path) -> None:
    model, prompted = tiny.model(name, seed=2), entailment(tmp_path)
    results = [evaluate_task(model, prompted, EvaluationSettings(batch_size=size)) for size in (1, 7, None)]
    for template in zip(*(result.templates for result in results), strict=True):
        scores = np.array([[one.scores for one in each.predictions] for each in template])
        assert np.ptp(scores, axis=0).max() < 1e-5
        assert len({tuple(one.predicted for one in each.predictions) for each in template}) == 1


def test_classes_are_matched_by_label_where_the_order_of_choices_differs(tmp_path: Path) -> None:
    rows = prompted_rows(10)
    turned = [{**row, "choices": row["choices"][:: 1 if i % 2 else -1]} for i, row in enumerate(rows)]
    model = tiny.model("t5", seed=2)
    plain, mixed = (
        evaluate_task(model, load_prompted("mine", write_rows(tmp_path / f"{i}.jsonl", own)))
        for i, own in enumerate((rows, turned))
    )
    assert {*plain.labels} == {*mixed.labels} == {"no", "yes"}
    assert plain.summary["macro_f1"].mean == pytest.approx(mixed.summary["macro_f1"].mean)
    assert sum(map(sum, mixed.confusion)) == 10


def test_an_encoder_answers_in_the_labels_of_its_head(tmp_path: Path) -> None:
    prompted = load_prompted("mine", write_rows(tmp_path / "mine.jsonl", prompted_rows()))
    result = evaluate_task(tiny.model("bert", seed=2), prompted)
    assert set(result.labels) == {"no", "yes"}
    named = tiny.model("bert", Head("classification", labels=("not_entailment", "entailment")), seed=2)
    found = evaluate_task(named, entailment(tmp_path))
    one = found.templates[0].predictions[0]
    assert one.predicted in one.choices
    scores = named.score_choices([_with_head_labels(entailment(tmp_path).prompts["backed by the text"][0])])[0]
    assert one.scores == pytest.approx(tuple(scores[[1, 0]]), abs=1e-6)


def _with_head_labels(prompt: Prompt):
    from taskweb.tasks import Example

    return Example(prompt.example.input, None, ("not_entailment", "entailment"))


def test_what_an_encoder_cannot_answer_is_listed_at_once(tmp_path: Path) -> None:
    free = load_prompted("mine", write_rows(tmp_path / "mine.jsonl", [{"input": "Who?", "output": "Ada"}]))
    with pytest.raises(InputError) as error:
        check_model(tiny.model("bert"), [entailment(tmp_path), free])
    assert "'rte': The model answers with no, yes, but the choices are true, not known to be true" in str(error.value)
    assert "'mine': The model's head is for classification, but the task is generation" in str(error.value)
    with pytest.raises(InputError, match="cannot choose among answers"):
        evaluate_task(tiny.model("bert", Head("regression")), entailment(tmp_path))


@pytest.mark.parametrize("name", tiny.TEXT)
def test_free_answers_are_compared_with_all_that_are_right(name: str, tmp_path: Path) -> None:
    rows = [
        {"context": "the cat sat .", "question": f"is it {i} ?", "answers": {"text": ["cat", "the cat"] if i else []}}
        for i in range(4)
    ]
    prompted = load_prompted("squad_v2", write_rows(tmp_path / "squad_v2.jsonl", rows))
    result = evaluate_task(tiny.model(name, Head(), seed=1), prompted, EvaluationSettings(max_new_tokens=3))
    assert set(result.summary) == {"exact_match", "token_f1"}
    assert result.templates[0].predictions[0].expected == ()
    assert result.templates[0].predictions[1].expected == ("cat", "the cat")
    assert result.confusion == ()


def test_numbers_are_correlated(tmp_path: Path) -> None:
    rows = [{"sentence1": "the cat", "sentence2": f"a dog {i}", "label": float(i)} for i in range(5)]
    prompted = load_prompted("stsb", write_rows(tmp_path / "stsb.jsonl", rows))
    result = evaluate_task(tiny.model("bert", Head("regression"), seed=1), prompted)
    assert set(result.summary) == {"pearson", "spearmanr"}
    assert -1 <= result.summary["pearson"].low <= result.summary["pearson"].high <= 1


def test_some_with_choices_and_some_without_are_refused() -> None:
    from taskweb.tasks import Example, find_task

    prompts = (Prompt(1, Example("a", "x", ("x", "y")), 0), Prompt(2, Example("b", "x")))
    with pytest.raises(InputError, match="Row 2 of here has no choices, but other rows have"):
        evaluate_task(tiny.model("t5"), PromptedTask(find_task("rte"), {"t": prompts}, (), "here"))


@pytest.mark.parametrize("setting", [{"reduction": "median"}, {"normalisation": "pmi"}])
def test_unknown_settings_are_named(setting: dict[str, str]) -> None:
    with pytest.raises(NameNotFoundError, match="Known:"):
        EvaluationSettings(**setting)  # type: ignore[arg-type]


def test_what_is_saved_can_be_read_again(tmp_path: Path) -> None:
    result = evaluate_task(tiny.model("t5"), entailment(tmp_path))
    save_predictions([result], tmp_path / "answers.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == 72
    assert {"task", "template", "row", "input", "choices", "scores", "predicted", "expected", "correct"} | {
        "tokens_cut",
        "aligned",
    } == set(lines[0])
    save_results(result.to_dict(), tmp_path / "results.json")
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["metrics"]["accuracy"]["mean"] == result.summary["accuracy"].mean
    with pytest.raises(InputError, match="cannot be written"):
        save_results({}, tmp_path / "none" / "results.json")
