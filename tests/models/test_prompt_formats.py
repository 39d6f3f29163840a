"""Prompts and answers of chat models, as their templates write them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import LlamaConfig, PreTrainedTokenizerFast

from taskweb.errors import InputError, NameNotFoundError, ParameterError
from taskweb.models import Head, TaskModel, random_model
from taskweb.models.prompt_formats import ChatPrompts, PlainPrompts, prompts_of
from taskweb.models.reader import Reader
from taskweb.tasks import Example
from taskweb.tasks.text_settings import TextSettings
from tests.models import chat, tiny

QUESTION = Example("is it true ?", "yes", ("yes", "no"))
# Template, options, what is read before the answer, what is learnt.
FORMATS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "chatml": (
        chat.CHATML,
        {},
        "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nis it true ?<|im_end|>\n<|im_start|>assistant\n",
        "yes<|im_end|>",
    ),
    "llama3": (
        chat.LLAMA3,
        {},
        "<s><|start_header_id|>user<|end_header_id|>\n\nis it true ?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "yes<|eot_id|>",
    ),
    "gemma": (
        chat.GEMMA,
        {},
        "<s><start_of_turn>user\nis it true ?<end_of_turn>\n<start_of_turn>model\n",
        "yes<end_of_turn>",
    ),
    "mistral": (chat.MISTRAL, {}, "<s>[INST] is it true ? [/INST]", " yes</s>"),
    "qwen3": (
        chat.QWEN3,
        {},
        "<|im_start|>user\nis it true ?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "yes<|im_end|>",
    ),
    "qwen3, not thinking": (
        chat.QWEN3,
        {"enable_thinking": False},
        "<|im_start|>user\nis it true ?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "yes<|im_end|>",
    ),
}


def model_of(template: str, **settings: Any) -> TaskModel:
    tokenizer = chat.tokenizer(template)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        max_position_embeddings=256,
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return random_model(config, tokenizer, Head(), seed=1, text=TextSettings(**settings))


@pytest.mark.parametrize("name", FORMATS)
def test_the_prompt_is_the_templates_and_the_answer_with_its_end_is_learnt(name: str) -> None:
    template, options, read, learnt = FORMATS[name]
    model = model_of(template, template_options=options)
    assert model.prompts.name == "chat"
    item = model.encode([QUESTION])[0]
    assert model.tokenizer.decode(item.inputs[0]) == read
    assert model.tokenizer.decode(item.answer) == learnt
    assert item.weight == len(item.answer)
    assert item.aligned
    begins = sum(int(token == model.tokenizer.bos_token_id) for token in item.inputs[0])
    assert begins == read.count("<s>") <= 1
    # What is continued is what stood before the answer while learning.
    assert model.reader.prompt_only([QUESTION], 4)[0].prompt.tolist() == item.inputs[0].tolist()


@pytest.mark.parametrize("name", FORMATS)
def test_a_choice_is_scored_as_it_is_learnt(name: str) -> None:
    template, options, read, learnt = FORMATS[name]
    model = model_of(template, template_options=options)
    ids = model.tokenizer(read + learnt, add_special_tokens=False)["input_ids"]
    whole = model.tokenizer(read.rstrip(), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logs = torch.log_softmax(model.module(torch.tensor([ids])).logits[0], dim=-1)
    steps = [float(logs[i - 1, ids[i]]) for i in range(len(whole), len(ids))]
    scored = model.score_choices([QUESTION], reduction="sum")[0][0]
    assert scored == pytest.approx(sum(steps), abs=1e-4)
    without = model_of(template, template_options=options, end_mark=False)
    assert without.score_choices([QUESTION], reduction="sum")[0][0] == pytest.approx(sum(steps[:-1]), abs=1e-4)


@pytest.mark.parametrize("name", FORMATS)
def test_the_templates_end_mark_ends_what_is_written(name: str) -> None:
    template, options, _, learnt = FORMATS[name]
    model = model_of(template, template_options=options)
    end = model.tokenizer(learnt, add_special_tokens=False)["input_ids"][-1]
    assert model.reader.end == end
    assert model.reader.ends == {end, model.tokenizer.eos_token_id}
    with torch.no_grad():  # the end mark is always likeliest, and a mark that ends nothing comes second
        model.module.lm_head.weight.zero_()
        model.module.model.norm.weight.zero_()
    bias = torch.zeros(len(model.tokenizer))
    bias[end] = 2.0
    bias[model.tokenizer.pad_token_id] = 1.0
    model.module.lm_head.register_forward_hook(lambda _, __, output: output + bias)
    prompt = model.reader.prompt_only([QUESTION], 8)[0].prompt
    seen: list[int] = []
    model.module.register_forward_pre_hook(lambda _, __, given: seen.append(given["input_ids"].shape[1]), with_kwargs=True)
    assert model.continued_together in ("any", "equal", "one")
    seen.clear()
    assert model.generate([QUESTION], max_new_tokens=8) == [""]
    assert seen == [len(prompt)]


def test_all_ends_of_the_generation_configuration_end_an_answer() -> None:
    model = model_of(chat.CHATML)
    ends = [model.tokenizer.eos_token_id, model.tokenizer.convert_tokens_to_ids("<|eot_id|>")]
    model.module.generation_config.eos_token_id = ends
    again = type(model)(model.module, model.tokenizer, model.origin, model.head, model.text)
    assert again.reader.ends == {*ends, model.tokenizer.convert_tokens_to_ids("<|im_end|>")}
    assert again.reader.end == model.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_a_system_message_stands_where_the_template_puts_it() -> None:
    model = model_of(chat.CHATML, system="Answer briefly.")
    read = model.tokenizer.decode(model.encode([QUESTION])[0].inputs[0])
    assert read.startswith("<|im_start|>system\nAnswer briefly.<|im_end|>\n<|im_start|>user\n")
    with pytest.raises(InputError, match=r"fails: System role not supported\. Some templates take no system message"):
        model_of(chat.GEMMA, system="Answer briefly.")


def test_a_template_that_writes_no_answer_after_its_prompt_is_refused() -> None:
    with pytest.raises(InputError, match="another text before an answer than the prompt that asks for one") as caught:
        model_of(chat.THINKING_ALWAYS)
    assert "\n" not in str(caught.value)
    assert model_of(chat.THINKING_ALWAYS, prompt_format="plain").prompts == PlainPrompts()
    with pytest.raises(InputError, match="leaves the assistant's answer out"):
        model_of("{% for m in messages if m['role'] == 'user' %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(InputError, match="The chat template of the tokenizer fails: "):
        model_of("{{ messages[3]['content'] }}")


def test_auto_takes_the_template_where_there_is_one() -> None:
    assert isinstance(prompts_of(chat.tokenizer(chat.CHATML), TextSettings()), ChatPrompts)
    assert prompts_of(chat.tokenizer(chat.CHATML), TextSettings("plain")) == PlainPrompts()
    bare = tiny.tokenizer("gpt2")
    assert prompts_of(bare, TextSettings()) == PlainPrompts()
    with pytest.raises(InputError, match=r"has no chat template\. Use --prompt-format plain"):
        prompts_of(bare, TextSettings("chat"))
    with pytest.raises(InputError, match="no place for a system message"):
        prompts_of(bare, TextSettings(system="Answer briefly."))


@pytest.mark.parametrize("name", ["t5", "roberta"])
def test_only_decoders_chat(name: str) -> None:
    for settings in (TextSettings("chat"), TextSettings(system="Be brief."), TextSettings(template_options={"a": 1})):
        with pytest.raises(ParameterError, match="reads plain inputs, no chats"):
            random_model(tiny.config(name), tiny.tokenizer(name), tiny.LABELS, text=settings)
    with pytest.raises(ParameterError, match="learns no router loss"):
        random_model(tiny.config(name), tiny.tokenizer(name), tiny.LABELS, text=TextSettings(router_loss=True))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'chat'"):
        TextSettings("chatt")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="8 or more"):
        TextSettings(max_input=7)
    with pytest.raises(ParameterError, match="no system message"):
        TextSettings("plain", system="a")


def test_a_long_turn_loses_its_beginning_and_the_template_nothing() -> None:
    model = model_of(chat.CHATML, system="Answer briefly.", max_input=60)
    long = Example("the cat sat on the mat . " * 30 + "is it true ?", "yes", ("yes", "no"))
    item = model.encode([long])[0]
    read = model.tokenizer.decode(item.inputs[0])
    assert read.startswith("<|im_start|>system\nAnswer briefly.<|im_end|>\n<|im_start|>user\n")
    assert read.endswith("is it true ?<|im_end|>\n<|im_start|>assistant\n")
    assert 55 <= len(item.inputs[0]) <= 60
    whole = model_of(chat.CHATML, system="Answer briefly.", max_input=10_000)
    whole.reader.positions = None
    whole.max_input = 10_000
    assert item.lost == len(whole.encode([long])[0].inputs[0]) - len(item.inputs[0])
    with pytest.raises(InputError, match="does not fit into 12 tokens, however much of it is cut"):
        model_of(chat.CHATML, max_input=12).encode([QUESTION])


def test_plain_prompts_begin_with_the_begin_token_once() -> None:
    model = model_of(chat.CHATML, prompt_format="plain")
    begin = model.tokenizer.bos_token_id
    for text in ("is it true ?", "<s>is it true ?", "<s> is it true ?"):
        ids = model.encode([Example(text, "yes")])[0].inputs[0]
        assert [int(token) for token in ids].count(begin) == 1
        assert ids[0] == begin
    bare = chat.tokenizer(chat.CHATML, begin=False)
    assert (
        random_model(model.module.config, bare, text=TextSettings("plain")).encode([Example("it", "yes")])[0].inputs[0][0]
        != begin
    )


def test_an_answer_is_tokenized_where_it_stands() -> None:
    model = model_of(chat.CHATML, prompt_format="plain")
    for text in ("is it", "is it ", "is it\n"):
        item = model.encode([Example(text, "true")])[0]
        whole = model.tokenizer(text + ("" if text[-1].isspace() else " ") + "true")["input_ids"]
        prompt = model.tokenizer(text.rstrip())["input_ids"]
        assert item.inputs[0].tolist() == prompt
        assert [*item.inputs[0], *item.answer] == [*whole, model.tokenizer.eos_token_id]
        np.testing.assert_allclose(
            model.score_choices([Example(text, None, ("true",))], reduction="sum")[0],
            [-model.loss([item]).item()],
            rtol=1e-5,
        )


def test_choices_without_their_input_follow_the_begin_token() -> None:
    model = model_of(chat.CHATML, prompt_format="plain")
    ids = model.tokenizer(" yes")["input_ids"] + [model.tokenizer.eos_token_id]
    with torch.no_grad():
        logs = torch.log_softmax(model.module(torch.tensor([ids])).logits[0], dim=-1)
    wanted = sum(float(logs[i - 1, ids[i]]) for i in range(1, len(ids)))
    found = model.score_choices([QUESTION], reduction="sum", unconditional=True)[0]
    assert found[0] == pytest.approx(wanted, abs=1e-4)


def test_a_prompt_whose_tokens_change_before_an_answer_is_counted() -> None:
    pieces = ["</s>", *"it yesno", "t "]
    backend = Tokenizer(BPE({piece: place for place, piece in enumerate(dict.fromkeys(pieces))}, [("t", " ")]))
    merging = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
    reader = Reader(merging, PlainPrompts(), max_input=20, positions=None)
    (read,) = reader.scoring([Example("it")], [("yes", "no")], end_mark=False)
    # As lm-evaluation-harness does: the whole is encoded and cut at the length of the prompt.
    assert merging.convert_ids_to_tokens(read.prompt) == ["i", "t"]
    assert [merging.convert_ids_to_tokens(ids) for ids in read.answers] == [["y", "e", "s"], ["n", "o"]]
    assert not read.aligned
    (other,) = reader.scoring([Example("is")], [("yes", "no")], end_mark=False)
    assert [merging.convert_ids_to_tokens(ids) for ids in other.answers] == [[" ", "y", "e", "s"], [" ", "n", "o"]]
    assert other.aligned
