"""What a model is, read from its configuration and from transformers' own mappings: family, class, limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import transformers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from taskweb.errors import InputError, unknown_name
from taskweb.models.base import Family
from taskweb.models.head import Head

FAMILIES: tuple[Family, ...] = get_args(Family)
SEQ2SEQ_MAX_INPUT = 512
UNLIMITED_MAX_INPUT = 2048
_LARGEST_TOKENIZER_LIMIT = 1_000_000  # tokenizers without a limit state a huge number
_WINDOW_WORDS = ("window", "chunk", "local_attention")

_CLASSES: Mapping[Family, Any] = {
    "seq2seq": AutoModelForSeq2SeqLM,
    "causal": AutoModelForCausalLM,
    "encoder": AutoModel,
}
_NAMES: Mapping[Family, Mapping[str, Any]] = {
    "seq2seq": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    "causal": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "encoder": modeling_auto.MODEL_MAPPING_NAMES,
}
_MEANING: Mapping[Family, str] = {
    "seq2seq": "an encoder-decoder language model",
    "causal": "a causal language model",
    "encoder": "an encoder",
}
CLASSIFIERS: Mapping[str, Any] = modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
SPAN_FINDERS: Mapping[str, Any] = modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES


def read_config(folder: Path, name: str) -> Any:
    """The configuration in a folder. Raises InputError for an architecture that transformers lacks, and for code of its own.

    name: the model, for messages. What the library raises for a damaged file passes through.
    """
    stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = stated.get("model_type")
    if kind and kind not in CONFIG_MAPPING:
        reason = f"{name} is of type '{kind}', which transformers {transformers.__version__} has no class for"
        if "auto_map" in stated:
            raise InputError(f"{reason}; it brings code of its own, and none is run here. Choose another model.")
        raise InputError(f"{reason}. Update it (pip install --upgrade transformers), or choose another model.")
    return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def family_of(config: Any, wanted: str | None = None) -> Family:
    """The family of an architecture: encoder-decoder, else encoder where it has a masked-LM class, else causal.

    wanted: a family that overrides this (a BERT with a causal head). Raises NameNotFoundError for an unknown family, and
    InputError where transformers has no class of that family for the architecture.
    """
    kind = str(getattr(config, "model_type", "") or "none")
    family: Family
    if wanted is not None:
        known = next((name for name in FAMILIES if name == wanted), None)
        if known is None:
            raise unknown_name("model family", wanted, FAMILIES)
        family = known
    elif getattr(config, "is_encoder_decoder", False):
        family = "seq2seq"
    else:
        family = "encoder" if kind in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES else "causal"
    if kind not in _NAMES[family]:
        others = [other for other in FAMILIES if kind in _NAMES[other] and other != family]
        hint = f"Choose --family {' or '.join(others)}." if wanted and others else "Choose a language model or an encoder."
        raise InputError(
            f"transformers {transformers.__version__} has no class that opens '{kind}' as {_MEANING[family]}. {hint}"
        )
    return family


def class_of(family: Family) -> Any:
    """The class of transformers that opens a family's models."""
    return _CLASSES[family]


def head_class_of(config: Any, kind: str) -> Any | None:
    """The class of transformers that puts a head for this kind of task on an encoder; None where it has none."""
    if kind == "span_qa":
        return AutoModelForQuestionAnswering if config.model_type in SPAN_FINDERS else None
    return AutoModelForSequenceClassification if config.model_type in CLASSIFIERS else None


def own_head_of(config: Any) -> Head | None:
    """The head that an encoder's checkpoint was trained with, as its configuration says; None where it has none for a task.

    A head that answers with several labels at once is for none.
    """
    classes = tuple(getattr(config, "architectures", None) or ())
    if any(kind.endswith("ForQuestionAnswering") for kind in classes):
        return Head("span_qa")
    if any(kind.endswith("ForMultipleChoice") for kind in classes):
        return Head("multiple_choice")
    problem = getattr(config, "problem_type", None)
    is_classifier = any(kind.endswith("ForSequenceClassification") for kind in classes)
    if not is_classifier or problem == "multi_label_classification":
        return None
    if problem == "regression" or config.num_labels == 1:
        return Head("regression")
    return Head("classification", labels=tuple(str(config.id2label[place]) for place in range(config.num_labels)))


def options_of(config: Any, family: Family) -> dict[str, Any]:
    """What a class needs besides the configuration: a BERT that writes text must look backwards only."""
    return {"is_decoder": True} if family == "causal" and hasattr(config, "is_decoder") and _is_encoder(config) else {}


def _is_encoder(config: Any) -> bool:
    return config.model_type in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES


def text_config_of(config: Any) -> Any:
    """The part of a configuration that describes the text model; the whole one where there is nothing else."""
    getter = getattr(config, "get_text_config", None)
    return config if getter is None else getter(decoder=True) if config.is_encoder_decoder else getter()


def text_part_of(module: nn.Module) -> nn.Module:
    """The part of a model that reads and writes text: all of it, unless it also sees or hears."""
    config: Any = module.config
    whole = config.is_encoder_decoder or text_config_of(config) is config or not hasattr(module, "get_decoder")
    found = None if whole else module.get_decoder()
    return module if found is None else found


def special_of(config: Any, name: str) -> Any:
    """A special token's id that a configuration names, or the part of it that describes the text model; None for none."""
    found = getattr(config, name, None)
    return getattr(text_config_of(config), name, None) if found is None else found


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tokens a model reads.

    positions: most tokens in one sequence (of decoders: input and answer together), None where the architecture sets none.
    default_input: most tokens of an input where nobody states another number.
    """

    positions: int | None
    default_input: int


def limits_of(module: nn.Module, tokenizer: Any, family: Family) -> Limits:
    """The limits of a model, from its configuration and its table of positions.

    A model without a limit of its own reads inputs of 512 tokens (encoder-decoders) or 2,048 (all others), or as many as its
    tokenizer states.
    """
    config = text_config_of(module.config)
    stated = getattr(config, "max_position_embeddings", None)
    # XLNet states -1.
    positions = None if stated is None or int(stated) < 1 else int(stated) - _reserved_positions(module)
    if positions is not None:
        # A dynamic encoding stretches as far as its factor says; others state the stretched length.
        factors = [float(entry.get("factor", 1.0)) for kind, entry in _scalings(config) if kind == "dynamic"]
        positions = int(positions * max(factors, default=1.0))
        return Limits(positions, positions)
    if family == "seq2seq":
        return Limits(None, SEQ2SEQ_MAX_INPUT)
    of_tokenizer = int(getattr(tokenizer, "model_max_length", 0) or 0)
    return Limits(None, of_tokenizer if 0 < of_tokenizer < _LARGEST_TOKENIZER_LIMIT else UNLIMITED_MAX_INPUT)


def _reserved_positions(module: nn.Module) -> int:
    """Positions that no token takes: RoBERTa and its descendants number positions from after the padding's id."""
    for name, part in module.named_modules():
        if name.rpartition(".")[2] == "position_embeddings" and isinstance(part, nn.Embedding):
            return 0 if part.padding_idx is None else part.padding_idx + 1
    return 0


def windows_of(config: Any) -> list[int]:
    """Lengths of attention windows and chunks that the configuration names, shortest first."""
    found = set()
    for key, value in text_config_of(config).to_dict().items():
        is_length = isinstance(value, int) and not isinstance(value, bool) and value > 1
        if is_length and any(word in key for word in _WINDOW_WORDS) and not key.endswith(("layers", "layer", "pattern")):
            found.add(int(value))
    return sorted(found)


def regime_of(config: Any, length: int) -> int:
    """Which sequences may share a batch: those of equal regime.

    Some position encodings depend on the longest sequence of a batch: `longrope` takes other factors beyond the original
    length, `dynamic` other ones for every length beyond it.
    """
    text = text_config_of(config)
    for kind, entry in _scalings(text):
        original = None
        if kind == "longrope":
            original = entry.get("original_max_position_embeddings") or getattr(text, "original_max_position_embeddings", None)
        if length > int(original or text.max_position_embeddings):
            return 1 if kind == "longrope" else length
    return 0


def scales_by_length(config: Any) -> bool:
    """Whether positions are encoded otherwise in longer sequences, so that even a last token that predicts nothing counts."""
    return any(True for _ in _scalings(text_config_of(config)))


def _scalings(config: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Position scalings that depend on length, each with its parameters (some models have several, by kind of layer)."""
    given = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    for entry in [given, *(value for value in given.values() if isinstance(value, Mapping))]:
        kind = entry.get("rope_type") or entry.get("type")
        if kind in ("longrope", "dynamic"):
            yield str(kind), entry


def forget_lengths(module: nn.Module) -> None:
    """Let dynamic position encodings start from their original scale in every pass: what was read before counts for nothing."""
    for part in module.modules():
        if "dynamic" in str(getattr(part, "rope_type", "")):
            part.register_forward_pre_hook(_forget_length)


def _forget_length(part: Any, _given: Any) -> None:
    for name, buffer in list(part.named_buffers(recurse=False)):
        prefix = name.removesuffix("inv_freq")
        if name != prefix and not prefix.endswith("original_"):
            original = getattr(part, f"{prefix}original_inv_freq")
            part.register_buffer(name, original.to(buffer.device), persistent=False)
            setattr(part, f"{prefix}max_seq_len_cached", part.original_max_seq_len)
