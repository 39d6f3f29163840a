"""Tiny checkpoints with random weights, and tasks, that taskweb and lm-evaluation-harness can both open; nothing is fetched."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
)

from taskweb.models.loading import quiet

_ENGLISH = (
    "the a cat dog river mill house bread letter winter morning teacher question answer because although water under "
    "yellow quietly seven runs found opened between certain nothing everybody remember Ada London bridge 1815 3.5 it's"
)
_FOREIGN = "très naïve Straße čtyři кошка река γνώση שלום سلام 草莓 図書館 사과 नमस्ते 🍓 👩‍🔬 œuvre"
WORDS = tuple(_ENGLISH.split())
FOREIGN = tuple(_FOREIGN.split())  # of other scripts, with letters of two, three and four bytes
MARKS = ("?", ".", ":", ":\n", ",", "!\n\n")
STD = 0.3  # wide, so that likelihoods differ
POSITIONS = 128
Rows = list[dict[str, Any]]

_CHATML = """{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.role == 'assistant' and loop.last %}<think>

</think>

{% endif %}{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{%- endif -%}"""
_TURNS = """{%- for message in messages -%}
[{{ message.role }}]
{{ message.content }}{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}

{% endfor -%}
{%- if add_generation_prompt -%}[assistant]
{% endif -%}"""
_INSTRUCTIONS = """{{ bos_token }}{%- for message in messages -%}
{%- if message.role == 'user' -%}[INST] {{ message.content }} [/INST]
{%- else %} {{ message.content }}{{ eos_token }}{% endif -%}
{%- endfor -%}"""


# Texts


def sentence(draw: random.Random, words: Sequence[str], least: int, most: int) -> str:
    """Some of the words, divided by spaces."""
    return " ".join(draw.choices(words, k=draw.randint(least, most)))


def corpus() -> list[str]:
    """What the vocabularies are made from."""
    draw = random.Random(0)
    return [sentence(draw, (*WORDS, *FOREIGN), 3, 9) + draw.choice(MARKS) + draw.choice(WORDS) for _ in range(400)]


def choices(draw: random.Random, words: Sequence[str]) -> list[str]:
    """Two to five different texts of one to seven words."""
    found: dict[str, None] = {}
    count = draw.randint(2, 5)
    while len(found) < count:
        found[sentence(draw, words, 1, 7)] = None
    return list(found)


def rows_of(name: str, count: int) -> Rows:
    """The rows of a task: input, choices, and the label of the right one."""
    draw = random.Random(name)
    words = (*WORDS, *FOREIGN) if name == "scripts" else WORDS
    found = []
    for _ in range(count):
        text = f"Question: {sentence(draw, words, 4, 20)}?\nAnswer:"
        if name == "long":
            text = f"{sentence(draw, words, 2 * POSITIONS, 3 * POSITIONS)} {text}"
        if name.startswith("spaces"):
            text += draw.choice((" ", "  ", "\n", "\n\n", "\t"))
        own = choices(draw, FOREIGN if name == "scripts" else words)
        label = draw.randrange(len(own))
        found.append({"input": text, "choices": own, "label": label, "output": own[label]})
    return found


def write_task(folder: Path, name: str, rows: Rows, metrics: Sequence[str], delimiter: str = " ") -> None:
    """The rows as JSON lines, and the task's definition for lm-evaluation-harness in JSON, which is YAML too."""
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    definition = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "input",
        "doc_to_choice": "choices",
        "doc_to_target": "label",
        "target_delimiter": delimiter,
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in metrics],
    }
    (folder / f"{name}.yaml").write_text(json.dumps(definition, indent=1), encoding="utf-8")


# Checkpoints


def write_checkpoint(name: str, folder: Path) -> None:
    """Save a model of `CHECKPOINTS` with its tokenizer."""
    torch.manual_seed(0)
    module, tokenizer = CHECKPOINTS[name]()
    with torch.no_grad():
        if name != "t5":  # its own weights are wide, and its attention unscaled
            for key, parameter in module.named_parameters():
                if parameter.ndim > 1:
                    parameter.normal_(0, STD)
                elif key.endswith("bias"):
                    parameter.normal_(0, 0.1)
    with quiet():
        module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def gpt2() -> tuple[Any, Any]:
    """A decoder whose tokenizer adds no begin token."""
    tokenizer = GPT2Tokenizer().train_new_from_iterator(corpus(), 600, show_progress=False)
    end = tokenizer.eos_token_id
    sizes = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **sizes)), tokenizer


def llama(template: str | None = None) -> tuple[Any, Any]:
    """A decoder whose tokenizer adds a begin token: pieces of words with bytes for the rest, as Llama 2's."""
    special, pieces = ["<unk>", "<s>", "</s>"], [f"<0x{byte:02X}>" for byte in range(256)]
    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Split(Regex(r"\n+"), "merged_with_previous")]
    inner.pre_tokenizer = pre_tokenizers.Sequence(parts)
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=[*special, *pieces], show_progress=False)
    inner.train_from_iterator(corpus(), trainer)
    inner.pre_tokenizer = None
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(steps)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.chat_template = template
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "max_position_embeddings": 1024}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, **sizes)), tokenizer


def qwen3() -> tuple[Any, Any]:
    """A decoder without a begin token and with a chat template in ChatML that may write thoughts, as Qwen3's."""
    tokenizer = Qwen2Tokenizer().train_new_from_iterator(
        corpus(), 600, new_special_tokens=["<|im_start|>", "<|im_end|>"], show_progress=False
    )
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.chat_template = _CHATML
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16}
    sizes |= {"num_key_value_heads": 2, "max_position_embeddings": 1024}
    end = tokenizer.eos_token_id
    return Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=end, **sizes)), tokenizer


def t5() -> tuple[Any, Any]:
    """An encoder-decoder."""
    words = sorted({word for text in corpus() for word in text.split()})
    letters = sorted({letter for word in words for letter in word})
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -6.0), *((f"▁{word}", -3.0) for word in words[::2])]
    tokenizer = T5Tokenizer(vocab=[*pieces, *((letter, -6.0) for letter in letters)], extra_ids=0)
    sizes = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4}
    return T5ForConditionalGeneration(
        T5Config(vocab_size=len(tokenizer), decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **sizes)
    ), tokenizer


CHECKPOINTS: Mapping[str, Callable[[], tuple[Any, Any]]] = {
    "gpt2": gpt2,
    "llama": llama,
    "qwen3": qwen3,
    "llama-chat": lambda: llama("{{ bos_token }}" + _TURNS),
    "llama-chat-without-bos": lambda: llama(_TURNS),
    "llama-instructions": lambda: llama(_INSTRUCTIONS),
    "t5": t5,
}
