"""Chat templates in the style of today's models, and tokenizers that have them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tokenizers.processors import TemplateProcessing
from transformers import GPT2Tokenizer, LlamaConfig

from taskweb.models import random_model
from tests.models import tiny

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% elif m['role'] == 'assistant' %} {{ m['content'] }}{{ eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
QWEN3 = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n"
    "{% endif %}{{ m['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
THINKING_ALWAYS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
_MARKS = ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
_MARKS += ["<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]"]


@cache
def tokenizer(template: str, *, begin: bool = True) -> Any:
    """A tokenizer with that template, and with a begin token before every text."""
    made = GPT2Tokenizer().train_new_from_iterator(tiny.TEXTS, 330, new_special_tokens=["<pad>", "<s>", "</s>", *_MARKS])
    made.pad_token, made.bos_token, made.eos_token = "<pad>", "<s>", "</s>"
    if begin:
        made.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", made.bos_token_id)]
        )
    made.chat_template = template
    return made


def write_model(folder: Path, template: str = QWEN3) -> Path:
    """A small decoder with that template, as the library saves it; it reads 256 tokens."""
    own = tokenizer(template)
    config = LlamaConfig(
        vocab_size=len(own), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=256, pad_token_id=own.pad_token_id, eos_token_id=own.eos_token_id,
    )  # fmt: skip
    random_model(config, own).module.save_pretrained(folder)
    own.save_pretrained(folder)
    return folder
