"""Prompts and choices are divided into tokens as lm-evaluation-harness divides them (`TemplateLM._encode_pair`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

pytest.importorskip("torch")

from benchmarks.evaluation.made_up_checkpoints import CHECKPOINTS, rows_of
from taskweb.errors import InputError
from taskweb.models.prompt_formats import ChatPrompts, PlainPrompts, Prompts
from taskweb.models.reader import Reader
from taskweb.tasks import Example

NAMES = ("gpt2", "llama", "qwen3", "llama-chat")


@cache
def tokenizer_of(name: str) -> Any:
    return CHECKPOINTS[name]()[1]


def encoded_pair(tokenizer: Any, context: str, continuation: str, *, begin: bool) -> tuple[list[int], list[int]]:
    spaces = len(context) - len(context.rstrip())
    if spaces:
        continuation = context[-spaces:] + continuation
        context = context[:-spaces]
    whole = tokenizer(context + continuation, add_special_tokens=begin)["input_ids"]
    prompt = tokenizer(context, add_special_tokens=begin)["input_ids"]
    return prompt, whole[len(prompt) :]


def read(name: str, prompts: Prompts, task: str, *, end_mark: bool) -> list[tuple[list[int], list[list[int]], bool]]:
    reader = Reader(tokenizer_of(name), prompts, max_input=1000, positions=None)
    rows = rows_of(task, 20)
    examples = [Example(row["input"], None, tuple(row["choices"])) for row in rows]
    found = reader.scoring(examples, [row["choices"] for row in rows], end_mark=end_mark)
    return [(one.prompt.tolist(), [list(ids) for ids in one.answers], one.aligned) for one in found]


@pytest.mark.parametrize("task", ["lengths", "spaces", "scripts"])
@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
@pytest.mark.parametrize("name", NAMES)
def test_the_boundary_is_that_of_lm_evaluation_harness(name: str, chat: bool, task: str) -> None:
    tokenizer = tokenizer_of(name)
    if chat and not tokenizer.chat_template:
        pytest.skip("no chat template")
    options = {"enable_thinking": False} if name == "qwen3" else {}
    prompts = ChatPrompts(tokenizer, options=options) if chat else PlainPrompts()
    for row, (prompt, answers, aligned) in zip(rows_of(task, 20), read(name, prompts, task, end_mark=False), strict=True):
        text = row["input"]
        if chat:
            message = [{"role": "user", "content": text}]
            text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True, **options)
        delimiter = "" if chat or task == "spaces" else " "
        # A template that writes the begin token itself must not get a second one.
        pairs = [encoded_pair(tokenizer, text, delimiter + choice, begin=not chat) for choice in row["choices"]]
        assert [(prompt, answer) for answer in answers] == pairs
        whole = [
            tokenizer(text.rstrip() + text[len(text.rstrip()) :] + delimiter + choice, add_special_tokens=not chat)
            for choice in row["choices"]
        ]
        assert aligned == all(ids["input_ids"][: len(prompt)] == prompt for ids in whole)
        assert prompt.count(tokenizer.bos_token_id) == (name.startswith("llama") and tokenizer.bos_token_id is not None)


def test_some_rows_have_a_token_that_reaches_over_the_boundary() -> None:
    found = [aligned for _, _, aligned in read("llama", PlainPrompts(), "spaces", end_mark=False)]
    assert set(found) == {True, False}
    reader = Reader(tokenizer_of("llama"), PlainPrompts(), max_input=1000, positions=None)
    rows = rows_of("spaces", 20)
    fits = reader.fits([Example(row["input"]) for row in rows], [row["choices"] for row in rows])
    assert [fit.aligned for fit in fits] == found


@pytest.mark.parametrize("name", NAMES)
def test_the_end_mark_is_one_more_token(name: str) -> None:
    without, within = (read(name, PlainPrompts(), "lengths", end_mark=end) for end in (False, True))
    end = tokenizer_of(name).eos_token_id
    assert [[[*ids, end] for ids in answers] for _, answers, _ in without] == [answers for _, answers, _ in within]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_prompt_a_choice_follows_the_begin_token(name: str) -> None:
    tokenizer = tokenizer_of(name)
    reader = Reader(tokenizer, PlainPrompts(), max_input=1000, positions=None)
    found = reader.without_prompt(["草莓", "the cat"], end_mark=False)
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    assert found.prompt.tolist() == [first]
    assert [list(ids) for ids in found.answers] == [
        tokenizer(f" {choice}", add_special_tokens=False)["input_ids"] for choice in ("草莓", "the cat")
    ]


def test_a_choice_that_the_prompt_swallows_is_named() -> None:
    """A tokenizer that writes the end of the prompt and the choice as one token leaves the choice none."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE(vocab={"a": 0, " ": 1, "b": 2, " b": 3, "a b": 4, "$": 5}, merges=[(" ", "b"), ("a", " b")]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="$")
    reader = Reader(tokenizer, PlainPrompts(), max_input=10, positions=None)
    with pytest.raises(InputError, match=r"A choice of row 3 \('a'\) has no tokens"):
        reader.scoring([Example("a", None, ("b",), row=3)], [("b",)], end_mark=False)
