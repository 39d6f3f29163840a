"""A causal model on this machine as a judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from taskweb.errors import InputError, JudgeError
from taskweb.models.local_judge import LocalJudge, load_judge
from taskweb.tasks import Example
from taskweb.workflows.llm_similarity import JudgeSettings
from taskweb.workflows.ranking import rank
from taskweb.workflows.selector_settings import SelectorSettings
from tests.models import tiny

PROMPTS = ["the cat sat on the mat . is it true ? Answer:", "dog Answer:", "a good film Answer:"]


def judge() -> LocalJudge:
    model = tiny.model("gpt2", None)
    return LocalJudge(model.module, model.tokenizer, "tiny")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tiny.model("gpt2", None, n_positions=8192)
    model.module.save_pretrained(tmp_path / "tiny")
    model.tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def logprob(local: LocalJudge, question: str, word: str) -> float:
    """By a second way: the log-softmax at every token of the whole text."""
    start = len(local.tokenizer(question)["input_ids"])
    ids = local.tokenizer(question)["input_ids"] + local.tokenizer(word)["input_ids"]
    with torch.no_grad():
        steps = torch.log_softmax(local.module(torch.tensor([ids])).logits[0].double(), dim=-1)
    return sum(float(steps[i - 1, ids[i]]) for i in range(start, len(ids)))


def test_the_score_is_the_difference_of_the_words_log_probabilities() -> None:
    local = judge()
    for place, answer in local.answers(PROMPTS):
        yes, no = (np.logaddexp(*(logprob(local, PROMPTS[place], s + word) for s in ("", " "))) for word in ("Yes", "No"))
        assert answer == pytest.approx(yes - no, abs=1e-4)


def test_answers_are_the_same_again_and_differ_between_questions() -> None:
    local = judge()
    one, other = dict(local.answers(PROMPTS)), dict(local.answers(PROMPTS))
    assert one == other
    assert len(set(one.values())) == 3


def test_a_chat_form_is_used_where_there_is_one() -> None:
    local = judge()
    plain = dict(local.answers(PROMPTS))
    template = "{% for m in messages %}very {{ m['content'] }}{% endfor %}{% if add_generation_prompt %} yes{% endif %}"
    tokenizer = tiny.tokenizer("gpt2")
    tokenizer.chat_template = template
    try:
        chatting = LocalJudge(local.module, tokenizer, "tiny")
        assert chatting.parameters()["chat"]
        answers = dict(chatting.answers(PROMPTS))
    finally:
        tokenizer.chat_template = None
    assert answers != plain
    without = LocalJudge(local.module, tokenizer, "tiny")
    assert without.parameters()["chat"] is False
    assert dict(without.answers([f"very {prompt} yes" for prompt in PROMPTS])) == pytest.approx(answers)


def test_a_question_that_is_too_long_gets_no_answer() -> None:
    answers = dict(judge().answers(["cat " * 100, "dog"]))
    assert isinstance(answers[0], JudgeError)
    assert "tiny reads 64" in str(answers[0])
    assert isinstance(answers[1], float)


def test_gradients_and_modes_are_left_alone() -> None:
    local = judge()
    local.module.train()
    for _ in local.answers(PROMPTS):
        assert local.module.training
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_a_folder_ranks_sources_without_an_endpoint(folder: Path) -> None:
    examples = [Example("is it a good film ?")]
    local = JudgeSettings(str(folder), None, "good or bad ?", consent=lambda _cost: pytest.fail("it costs nothing"))
    ranking = rank(examples, selector="llm", selector_settings=SelectorSettings(judge=local))
    assert len(ranking) == 22
    assert ranking.parameters["judge"] == "tiny"
    assert ranking.parameters["api"] == "local"
    assert len({source.score for source in ranking.sources}) == 22
    again = rank(examples, selector="llm", selector_settings=SelectorSettings(judge=local))
    assert any("44 of them from the cache" in note for note in again.notes)


def test_other_weights_are_another_judge(folder: Path) -> None:
    before = load_judge(folder).parameters()
    tiny.model("gpt2", None, seed=1, n_positions=4096).module.save_pretrained(folder)
    assert load_judge(folder).parameters() != before


def test_folders_that_hold_no_judge(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is not a model"):
        load_judge(tmp_path / "empty")
    t5 = tiny.model("t5", None)
    t5.module.save_pretrained(tmp_path / "t5")
    t5.tokenizer.save_pretrained(tmp_path / "t5")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_judge(tmp_path / "t5")
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_judge(folder)
