"""Tiny models of each family with random weights and a tokenizer made from texts: nothing is fetched, trained in seconds.

For demonstrations, tests and research on synthetic tasks. A name such as `tiny:t5` stands for one; it can only be built
together with texts, from which its vocabulary is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokenizers.processors import TemplateProcessing
from transformers import (
    GPT2Config,
    GPT2Tokenizer,
    LlamaConfig,
    ModernBertConfig,
    RobertaConfig,
    RobertaTokenizer,
    T5Config,
    T5Tokenizer,
)

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.models.base import Family, TaskModel
from taskweb.models.head import Head
from taskweb.models.loading import random_model
from taskweb.tasks.text_settings import TextSettings

_FAMILIES: Mapping[str, Family] = {
    "tiny:t5": "seq2seq",
    "tiny:gpt2": "causal",
    "tiny:llama": "causal",
    "tiny:roberta": "encoder",
    "tiny:modernbert": "encoder",
}
_HIDDEN = 64
_LAYERS = 1
_HEADS = 4
_POSITIONS = 64
_MOST_WORDS = 2000


def family_of_tiny(name: str) -> Family:
    """The family of a tiny model. Raises NameNotFoundError for an unknown name."""
    if name not in _FAMILIES:
        raise unknown_name("tiny model", name, _FAMILIES)
    return _FAMILIES[name]


def tiny_model(
    name: str,
    texts: Sequence[str],
    head: Head | None = None,
    *,
    seed: int = 0,
    dropout: float = 0.0,
    text: TextSettings | None = None,
) -> TaskModel:
    """A tiny model with weights drawn from `seed`; the same texts, in any order, and seed give the same model.

    name: one of `TINY_MODELS`. texts: at least one; inputs and answers should be made of their words (the
    2,000 most frequent stay whole in T5; other words are read letter by letter or in pieces). An encoder needs a head.
    Raises NameNotFoundError for an unknown name, InputError for texts without words.
    """
    if name not in TINY_MODELS:
        raise unknown_name("tiny model", name, TINY_MODELS)
    if not 0 <= dropout < 1:
        raise ParameterError(f"The dropout of a tiny model must lie in [0, 1). Got {dropout} instead.")
    counts = Counter(word for text in texts for word in text.split())
    if not counts:
        raise InputError(f"The vocabulary of {name} is taken from texts, and these hold no word. Give some examples' texts.")
    words = sorted(counts, key=lambda word: (-counts[word], word))[:_MOST_WORDS]
    config, tokenizer = TINY_MODELS[name](words, dropout)
    return random_model(config, tokenizer, head, seed=seed, text=text)


def _t5(words: list[str], dropout: float) -> tuple[Any, Any]:
    # Spelt out: a vocabulary of this kind, when trained, differs from process to process.
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -6.0)]
    letters = sorted({letter for word in words for letter in word})
    pieces = [(f"▁{word}", -3.0) for word in words] + [(letter, -6.0) for letter in letters]
    tokenizer = T5Tokenizer(vocab=[*special, *pieces], extra_ids=0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=_HIDDEN,
        d_kv=_HIDDEN // _HEADS,
        d_ff=2 * _HIDDEN,
        num_layers=_LAYERS,
        num_heads=_HEADS,
        dropout_rate=dropout,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    return config, tokenizer


def _gpt2(words: list[str], dropout: float) -> tuple[Any, Any]:
    tokenizer = GPT2Tokenizer().train_new_from_iterator(_sentences(words), _pieces(words), show_progress=False)
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=_HIDDEN,
        n_layer=_LAYERS,
        n_head=_HEADS,
        n_positions=_POSITIONS,
        n_inner=2 * _HIDDEN,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=end,
        eos_token_id=end,
    )
    return config, tokenizer


def _roberta(words: list[str], dropout: float) -> tuple[Any, Any]:
    tokenizer = RobertaTokenizer().train_new_from_iterator(_sentences(words), _pieces(words), show_progress=False)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        intermediate_size=2 * _HIDDEN,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=_POSITIONS + 2,
        pad_token_id=tokenizer.pad_token_id,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    return config, tokenizer


def _llama(words: list[str], dropout: float) -> tuple[Any, Any]:
    special = ["<pad>", "<s>", "</s>"]
    tokenizer = GPT2Tokenizer().train_new_from_iterator(
        _sentences(words), _pieces(words), new_special_tokens=special, show_progress=False
    )
    tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token = special
    # As with Llama, a begin token stands before a text, and nothing after it.
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        intermediate_size=2 * _HIDDEN,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        num_key_value_heads=_HEADS // 2,
        max_position_embeddings=_POSITIONS,
        attention_dropout=dropout,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return config, tokenizer


def _modernbert(words: list[str], dropout: float) -> tuple[Any, Any]:
    tokenizer = RobertaTokenizer().train_new_from_iterator(_sentences(words), _pieces(words), show_progress=False)
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        intermediate_size=2 * _HIDDEN,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        max_position_embeddings=_POSITIONS,
        attention_dropout=dropout,
        embedding_dropout=dropout,
        mlp_dropout=dropout,
        classifier_dropout=dropout,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return config, tokenizer


def _sentences(words: list[str]) -> list[str]:
    """Each word at the beginning of a text and after a space, twice, so that it becomes one piece either way."""
    return [f"{word} {word} {word}" for word in words for _ in range(2)]


def _pieces(words: list[str]) -> int:
    """Room for all bytes and for every merge that the words can need."""
    return 300 + sum(2 * len(word) for word in words)


TINY_MODELS: Mapping[str, Callable[[list[str], float], tuple[Any, Any]]] = {
    "tiny:t5": _t5,
    "tiny:gpt2": _gpt2,
    "tiny:llama": _llama,
    "tiny:roberta": _roberta,
    "tiny:modernbert": _modernbert,
}
