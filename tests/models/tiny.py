"""Tiny models of every family, with tokenizers trained on a few words; nothing is fetched."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    GPT2Config,
    GPT2Tokenizer,
    RobertaConfig,
    RobertaTokenizer,
    T5Config,
    T5Tokenizer,
)

from taskweb.models import Head, TaskModel, random_model
from taskweb.tasks import Example

torch.set_num_threads(1)

NAMES = ("t5", "gpt2", "roberta", "bert")
TEXT = ("t5", "gpt2")
ENCODERS = ("roberta", "bert")
SENTENCE = "the a cat dog sat ran on under mat tree is it true false yes no maybe good bad film was very 0 1 2 3 4 5 . ? , 2.5"
WORDS = SENTENCE.split()
TEXTS = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))]
HIDDEN = 32
LABELS = Head("classification", labels=("no", "yes"))


@cache
def tokenizer(name: str) -> Any:
    if name == "gpt2":
        return GPT2Tokenizer().train_new_from_iterator(TEXTS, 300)
    if name == "roberta":
        return RobertaTokenizer().train_new_from_iterator(TEXTS, 320)
    # Spelt out: training these kinds of vocabulary does not give the same one in every process.
    words = list(dict.fromkeys(WORDS))
    letters = sorted({letter for word in WORDS for letter in word} - set(words))
    if name == "t5":
        special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -6.0)]
        pieces = [(f"▁{word}", -3.0) for word in words] + [(letter, -6.0) for letter in sorted({*"".join(words)})]
        return T5Tokenizer(vocab=[*special, *pieces], extra_ids=0)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters]
    return BertTokenizer(vocab={piece: place for place, piece in enumerate(pieces)})


def config(name: str, *, dropout: float = 0.0, **changes: Any) -> Any:
    size = len(tokenizer(name))
    if name == "t5":
        values = {"vocab_size": size, "d_model": HIDDEN, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
        values |= {"dropout_rate": dropout, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
        values |= {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
        return T5Config(**values | changes)
    if name == "gpt2":
        values = {"vocab_size": size, "n_embd": HIDDEN, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.1}
        values |= {"resid_pdrop": dropout, "embd_pdrop": dropout, "attn_pdrop": dropout}
        end = tokenizer(name).eos_token_id
        return GPT2Config(**values | {"bos_token_id": end, "eos_token_id": end} | changes)
    values = {"vocab_size": size, "hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 4}
    values |= {"initializer_range": 0.1}  # wide, so that little training shows
    values |= {"intermediate_size": 48, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    if name == "roberta":
        values |= {
            "max_position_embeddings": 66,
            "pad_token_id": tokenizer(name).pad_token_id,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
        }
        return RobertaConfig(**values | changes)
    return BertConfig(**values | {"max_position_embeddings": 64} | changes)


def model(name: str, head: Head | None = LABELS, *, seed: int = 0, dropout: float = 0.0, **changes: Any) -> TaskModel:
    return random_model(config(name, dropout=dropout, **changes), tokenizer(name), head, seed=seed)


def statements(n: int = 24) -> list[Example]:
    """Yes-no questions of varied length, answered by the animal in them."""
    examples = []
    for i in range(n):
        animal = "cat" if i % 3 else "dog"
        text = f"the {animal} " + "very " * (i % 5) + f"{'sat on' if i % 2 else 'ran under'} the mat . is it true ?"
        examples.append(Example(text, "yes" if animal == "cat" else "no", ("no", "yes")))
    return examples


def choice_questions() -> list[Example]:
    """Choices that differ in number and length."""
    return [
        Example("the cat sat on the", "mat", ("mat", "tree under the tree", "dog")),
        Example("it was a very very very good film . is it good ?", "yes", ("yes", "no")),
        Example(
            "the dog ran", "under the tree", ("under the tree", "on a mat . it was bad", "true", "false", "maybe maybe maybe")
        ),
        Example("maybe", "no", ("no", "yes yes")),
    ]
