"""Tiny random checkpoints of many architectures, as a hub would have them, with small tokenizers; nothing is fetched.

Weights are drawn wide, so that a wrong mask, position or scale shows in the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from taskweb.models import Head, TaskModel, load_model
from taskweb.models.loading import quiet
from taskweb.tasks import Example
from tests.models import tiny

LAYERS = 2
HEAD = Head("classification", labels=("no", "yes"))


@dataclass(frozen=True, slots=True)
class Architecture:
    """One kind of model: its configuration, its tokenizer, and what is known of it.

    tokenizer: name of one in `tokenizer`. asked: the family that is asked for, where another than the usual one is. opener: the
    class that the checkpoint is written with. tree: whether choices are read as a tree, for short inputs at least. bitfit:
    whether it has biases, or gets them. layers: how many places for adapters it has. post_norm: whether a norm closes each
    layer. continued: which prompts may be continued together. apart: whether padding changes results. spread: of its weights.
    """

    family: str
    configuration: str
    options: Mapping[str, Any]
    tokenizer: str
    asked: str | None = None
    opener: Any = None
    tree: bool = True
    bitfit: bool = True
    layers: int = LAYERS
    post_norm: bool = False
    continued: str = "any"
    apart: bool = False
    spread: float = 0.3

    def config(self) -> Any:
        vocabulary = tokenizer(self.tokenizer)
        special = {"pad_token_id": vocabulary.pad_token_id, "eos_token_id": vocabulary.eos_token_id}
        special["bos_token_id"] = vocabulary.bos_token_id
        return getattr(transformers, self.configuration)(**{"vocab_size": len(vocabulary), **special, **self.options})


@cache
def tokenizer(name: str) -> Any:
    """`bytes` without a begin token, `begin` with one; those of T5, BART, BERT and RoBERTa."""
    if name in ("t5", "roberta", "bert"):
        return tiny.tokenizer(name)
    if name == "bart":
        return transformers.BartTokenizer().train_new_from_iterator(tiny.TEXTS, 320)
    made = transformers.GPT2Tokenizer().train_new_from_iterator(
        tiny.TEXTS, 320, new_special_tokens=["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    )
    made.pad_token, made.eos_token = "<pad>", "</s>"
    made.bos_token = "<s>"
    if name == "begin":
        from tokenizers.processors import TemplateProcessing

        made.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", made.bos_token_id)]
        )
    return made


_PLAIN = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": LAYERS, "num_attention_heads": 4}


def _causal(configuration: str, options: Mapping[str, Any], **known: Any) -> Architecture:
    return Architecture("causal", configuration, options, known.pop("tokenizer", "bytes"), **known)


def _llama_like(configuration: str, options: Mapping[str, Any] | None = None, **known: Any) -> Architecture:
    plain = {**_PLAIN, "num_key_value_heads": 2, "max_position_embeddings": 128}
    return _causal(configuration, {**plain, **(options or {})}, **known)


def _encoder(configuration: str, options: Mapping[str, Any] | None = None, **known: Any) -> Architecture:
    options = {**_PLAIN, "max_position_embeddings": 130, **(options or {})}
    known = {"tokenizer": "bert", "opener": AutoModelForMaskedLM, "post_norm": True, **known}
    return Architecture("encoder", configuration, options, known.pop("tokenizer"), **known)


def _t5(configuration: str) -> Architecture:
    options = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": LAYERS, "num_heads": 4, "decoder_start_token_id": 0}
    return Architecture("seq2seq", configuration, options, "t5", layers=2 * LAYERS, spread=0.15)


def _bart_like(configuration: str, options: Mapping[str, Any]) -> Architecture:
    plain: dict[str, Any] = {f"{stack}_layers": LAYERS for stack in ("encoder", "decoder")}
    plain |= {f"{stack}_attention_heads": 4 for stack in ("encoder", "decoder")}
    plain |= {f"{stack}_ffn_dim": 64 for stack in ("encoder", "decoder")}
    known = {"tree": False, "layers": 2 * LAYERS, "post_norm": True}
    return Architecture("seq2seq", configuration, {"d_model": 32, **plain, **options}, "bart", **known)


_HEADS = {"head_dim": 8}
_WINDOW = {**_HEADS, "sliding_window": 8}
_GEMMA = {**_WINDOW, "query_pre_attn_scalar": 8}
_GPT2 = {"n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_positions": 128}
_LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
_LONGROPE |= {"original_max_position_embeddings": 16}
_DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
_OPT = {**_PLAIN, "ffn_dim": 64, "max_position_embeddings": 128, "word_embed_proj_dim": 32}
_LOCAL = {"hidden_size": 32, "num_layers": LAYERS, "num_heads": 4, "window_size": 8, "max_position_embeddings": 128}
_DISENTANGLED = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
_LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}
_EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_group": 1, "topk_group": 1}
_SEEING = {
    "text_config": {**_PLAIN, **_GEMMA, "num_key_value_heads": 2, "max_position_embeddings": 128, "vocab_size": 330},
    "vision_config": {**_PLAIN, "num_hidden_layers": 1, "image_size": 28, "patch_size": 14},
    "mm_tokens_per_image": 4,
    "image_token_index": 320,
    "boi_token_index": 321,
    "eoi_token_index": 322,
}
_XLNET = {"d_model": 32, "n_layer": LAYERS, "n_head": 4, "d_inner": 64}

ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": _llama_like("LlamaConfig", tokenizer="begin", bitfit=False),
    "llama_dynamic": _llama_like(
        "LlamaConfig", {"rope_parameters": _DYNAMIC, "max_position_embeddings": 16}, tokenizer="begin", bitfit=False
    ),
    "qwen2": _llama_like("Qwen2Config"),
    "qwen3": _llama_like("Qwen3Config", _HEADS, bitfit=False),
    "mixtral": _llama_like("MixtralConfig", {"num_local_experts": 4}, tokenizer="begin", bitfit=False),
    "qwen3_moe": _llama_like(
        "Qwen3MoeConfig",
        {**_HEADS, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
        bitfit=False,
    ),
    "gemma2": _llama_like("Gemma2Config", _GEMMA, tokenizer="begin", bitfit=False),
    "gemma3_text": _llama_like("Gemma3TextConfig", _GEMMA, tokenizer="begin", bitfit=False),
    "gemma3": _causal("Gemma3Config", _SEEING, tokenizer="begin", bitfit=False),
    "mistral": _llama_like("MistralConfig", _WINDOW, tokenizer="begin", bitfit=False),
    "olmo2": _llama_like("Olmo2Config", bitfit=False),
    "phi3": _llama_like("Phi3Config", bitfit=False),
    "phi3_long": _llama_like(
        "Phi3Config", {"rope_parameters": _LONGROPE, "original_max_position_embeddings": 16}, bitfit=False
    ),
    "cohere": _llama_like("CohereConfig", {"logit_scale": 0.25}, tokenizer="begin", bitfit=False),
    "deepseek_v3": _llama_like(
        "DeepseekV3Config",
        {**_LATENT, **_EXPERTS, "num_key_value_heads": 4, "first_k_dense_replace": 1},
        tokenizer="begin",
        bitfit=False,
    ),
    "gpt_oss": _llama_like("GptOssConfig", {**_WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt_neox": _llama_like("GPTNeoXConfig"),
    "opt": _causal("OPTConfig", _OPT, tokenizer="begin"),
    "bloom": _causal("BloomConfig", {"hidden_size": 32, "n_layer": LAYERS, "n_head": 4}, tree=False),
    "falcon": _causal("FalconConfig", {**_PLAIN, "alibi": True, "new_decoder_architecture": False}, tree=False),
    "mamba": _causal("MambaConfig", {"hidden_size": 32, "state_size": 8, "num_hidden_layers": LAYERS}, tree=False),
    "recurrent_gemma": _llama_like(
        "RecurrentGemmaConfig",
        {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 8},
        tree=False,
        layers=3,
        continued="equal",
    ),
    "gpt2": _causal("GPT2Config", _GPT2),
    "gpt_neo": _causal("GPTNeoConfig", {**_LOCAL, "attention_types": [[["global", "local"], 1]]}, tree=False),
    "gptj": _causal("GPTJConfig", {**_GPT2, "rotary_dim": 4}),
    "t5": _t5("T5Config"),
    "mt5": _t5("MT5Config"),
    "bart": _bart_like("BartConfig", {"max_position_embeddings": 128}),
    "marian": _bart_like("MarianConfig", {"max_position_embeddings": 128, "decoder_start_token_id": 0}),
    "led": _bart_like("LEDConfig", {"attention_window": 8, "max_encoder_position_embeddings": 128}),
    "bert": _encoder("BertConfig"),
    "roberta": _encoder("RobertaConfig", {"type_vocab_size": 1}, tokenizer="roberta"),
    "xlm-roberta": _encoder("XLMRobertaConfig", {"type_vocab_size": 1}, tokenizer="roberta"),
    "modernbert": _encoder(
        "ModernBertConfig", {"local_attention": 8, "global_attn_every_n_layers": 2}, bitfit=False, post_norm=False
    ),
    "deberta-v2": _encoder("DebertaV2Config", {**_DISENTANGLED, "max_relative_positions": -1}),
    "electra": _encoder("ElectraConfig", {"embedding_size": 32}),
    "distilbert": _encoder("DistilBertConfig", {"dim": 32, "n_layers": LAYERS, "n_heads": 4, "hidden_dim": 64}),
    "albert": _encoder("AlbertConfig", {"embedding_size": 16}, layers=1),
    "longformer": _encoder("LongformerConfig", {"attention_window": 8}, tokenizer="roberta"),
    "nystromformer": _encoder("NystromformerConfig", apart=True),
    "xlnet": Architecture(
        "encoder", "XLNetConfig", _XLNET, "bert", asked="encoder", opener=AutoModel, apart=True, post_norm=True
    ),
}

_OPENERS: Mapping[str, Any] = {"causal": AutoModelForCausalLM, "seq2seq": AutoModelForSeq2SeqLM}


def widen(module: torch.nn.Module, spread: float, seed: int = 0) -> None:
    """Draw all weights anew, far from zero; norms and biases near where they were."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=spread)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))


def write(architecture: Architecture, folder: Path) -> Path:
    """A checkpoint as the library saves it: an encoder with its masked-LM head, others with their language-model head."""
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        opener = architecture.opener or _OPENERS[architecture.family]
        module = opener.from_config(architecture.config())
        widen(module, architecture.spread)
        module.save_pretrained(folder)
    tokenizer(architecture.tokenizer).save_pretrained(folder)
    return folder


def opened(architecture: Architecture, folder: Path, head: Head | None = None) -> TaskModel:
    """The model in a folder, with the head of a classification where nothing else is said."""
    head = head or (HEAD if architecture.family == "encoder" else Head())
    return load_model(str(folder), head, seed=3, family=architecture.asked)


def examples() -> list[Example]:
    """Inputs of 6 to 50 tokens, shorter and longer than any window here, with choices of one to seven tokens."""
    texts = [
        "the cat sat on the mat . is it true ?",
        "the dog ran under the tree . " * 3 + "is it bad ?",
        "maybe",
        "a good film " * 4,
        "the cat ran under the tree , the dog sat on the mat",
    ]
    choices = [
        ("yes", "no"),
        ("very very bad", "true", "very very good film"),
        ("no", "yes yes yes"),
        ("0 1 2 3", "on"),
        ("it", "is"),
    ]
    return [Example(text, own[i % 2], own) for i, (text, own) in enumerate(zip(texts, choices, strict=True))]
