"""Scores per character and byte, with and without the end mark, by values computed by hand."""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

import numpy as np
import torch

from taskweb.errors import InputError, ParameterError
from taskweb.evaluation import EvaluationSettings, check_model, evaluate_task, load_prompted
from taskweb.evaluation.batching import BatchSize
from taskweb.evaluation.rank_classification import ChoiceRanker
from taskweb.models import TaskModel
from taskweb.tasks import Example
from tests.evaluation.prompted_tasks import entailment, write_rows
from tests.models import tiny

QUESTION = Example("the cat sat on", "no", ("the mat", "no", "très bon"))
# Of a uniform model: log-probability of a choice = - tokens * log(vocabulary).
CHARACTERS, BYTES = (7, 2, 8), (7, 2, 9)


def uniform(name: str, *, end_mark: bool) -> TaskModel:
    """A model for which every token is as likely as any other."""
    model = tiny.model(name)
    with torch.no_grad():
        model.module.get_output_embeddings().weight.zero_()
    model.text = replace(model.text, end_mark=end_mark)
    return model


def tokens_of(model: TaskModel, choice: str) -> int:
    text = choice if model.family == "seq2seq" else f" {choice}"
    return len(model.tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("name", tiny.TEXT)
@pytest.mark.parametrize("end_mark", [True, False])
def test_sums_are_divided_by_characters_or_bytes_without_delimiter_and_end_mark(name: str, end_mark: bool) -> None:
    model = uniform(name, end_mark=end_mark)
    surprise = log(model.module.config.vocab_size)
    counts = [tokens_of(model, choice) + end_mark for choice in QUESTION.choices or ()]
    sums = [-count * surprise for count in counts]
    for normalisation, reduction, expected in (
        ("none", "mean", [-surprise] * 3),
        ("none", "sum", sums),
        ("unconditional", "sum", [0.0] * 3),
        ("chars", "sum", np.divide(sums, CHARACTERS)),
        ("chars", "mean", np.divide(sums, CHARACTERS)),
        ("bytes", "mean", np.divide(sums, BYTES)),
    ):
        ranker = ChoiceRanker(model, BatchSize(model.module, 8), reduction=reduction, normalisation=normalisation)  # type: ignore[arg-type]
        assert ranker.scores([QUESTION])[0] == pytest.approx(expected, abs=1e-4)


def test_each_way_to_score_may_take_another_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of -4, -6 and -7.2; 2, 6 and 3 characters; 2, 6 and 8 bytes."""
    model = tiny.model("gpt2")
    asked: list[str] = []

    def sums(examples: list[Example], *, reduction: str, **_: object) -> list[np.ndarray]:
        asked.append(reduction)
        return [np.array([-4.0, -6.0, -7.2]) for _ in examples]

    monkeypatch.setattr(model, "score_choices", sums)
    question = Example("which ?", "ab", ("ab", "abcdef", "草莓é"))
    found = {
        name: ChoiceRanker(model, BatchSize(model.module), normalisation=name).scores([question])[0]  # type: ignore[arg-type]
        for name in ("none", "chars", "bytes")
    }
    assert asked == ["mean", "sum", "sum"]
    assert found["chars"].tolist() == pytest.approx([-2.0, -1.0, -2.4])
    assert found["bytes"].tolist() == pytest.approx([-2.0, -1.0, -0.9])
    assert [int(np.argmax(values)) for values in found.values()] == [0, 1, 2]


def test_an_encoder_has_no_score_per_character(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no scores per chars"):
        check_model(tiny.model("bert"), [entailment(tmp_path)], EvaluationSettings(normalisation="chars"))


def test_rows_with_one_choice_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        {"input": "is it true ?", "choices": ["yes", "no"], "output": "no"},
        {"input": "it is", "choices": ["true"], "output": "true"},
        {"input": "is it bad ?", "choices": ["yes", "no"], "output": "yes"},
        {"input": "it was", "choices": ["bad"], "output": None},
    ]
    prompted = load_prompted("mine", write_rows(tmp_path / "mine.jsonl", rows))
    assert (prompted.single_choice, prompted.skipped, prompted.labels) == (1, 1, ("yes", "no"))
    assert prompted.task.kind == "classification"
    result = evaluate_task(tiny.model("t5", seed=1), prompted)
    alone = evaluate_task(tiny.model("t5", seed=1), load_prompted("mine", write_rows(tmp_path / "a.jsonl", rows[::2])))
    assert (result.examples, result.single_choice) == (2, 1)
    assert result.to_dict()["metrics"] == alone.to_dict()["metrics"]
    assert result.to_dict()["single_choice"] == 1
    with pytest.raises(InputError, match=r"Every row of .* has only one choice under the template 'as given'"):
        load_prompted("mine", write_rows(tmp_path / "one.jsonl", rows[1:2]))


def test_prompts_as_given_keep_their_white_space(tmp_path: Path) -> None:
    row = {"input": "\nis it true ?\nanswer: \n", "choices": [" yes", "no "], "output": "no "}
    (prompt,) = load_prompted("mine", write_rows(tmp_path / "mine.jsonl", [row])).prompts["as given"]
    assert (prompt.example.input, prompt.example.choices, prompt.answer) == (row["input"], (" yes", "no "), 1)
