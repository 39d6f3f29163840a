"""Models from the Hugging Face Hub, from a folder, or with random weights; safetensors only, and no code from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from taskweb.errors import InputError, ParameterError, TaskWebError, unknown_name
from taskweb.models.base import Family, Origin, TaskModel
from taskweb.models.causal import CausalModel
from taskweb.models.encoder import EncoderModel
from taskweb.models.head import Head
from taskweb.models.padding import seeded
from taskweb.models.seq2seq import Seq2SeqModel

FAMILY_OF_TYPE: dict[str, Family] = {"t5": "seq2seq", "gpt2": "causal", "bert": "encoder", "roberta": "encoder"}
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
NOT_WEIGHTS = ["*.json", "*.txt", "*.model"]
_NEEDED = [*NOT_WEIGHTS, "model.safetensors", "model-*-of-*.safetensors"]
_POOLER = "pooler."
_MOST_OF_REASON = 200
_ADDED = ("taskweb_", "lora_")  # in the names of tensors that methods add


def load_model(
    name: str, head: Head | None = None, *, revision: str | None = None, seed: int = 0, max_input: int | None = None
) -> TaskModel:
    """A pretrained model with its tokenizer, in float32 on the CPU.

    name: Hub id, or path of a folder. revision: commit, branch or tag on the Hub. head: the task (default: generation; an
    encoder needs one). seed: for what the checkpoint lacks (an encoder's head, BERT's pooler). Raises InputError where the
    checkpoint is missing, not in safetensors or incomplete, NameNotFoundError for an architecture that is not known.
    """
    checkpoint = read_checkpoint(name, revision, seed)
    if checkpoint.added:
        raise InputError(
            f"{name} holds a model that is adapted already: tensors were added to it, such as {checkpoint.added[0]}. Open it "
            "with open_model, or give the model that it was made from."
        )
    return assembled(checkpoint, head, seed=seed, max_input=max_input)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder in Hugging Face layout holds; added: names of tensors that an adaptation method put there."""

    module: Any
    tokenizer: Any
    origin: Origin
    added: tuple[str, ...] = ()


def read_checkpoint(name: str, revision: str | None, seed: int) -> Checkpoint:
    """Read the body of a model and its tokenizer, by Hub id or path of a folder; errors as of `load_model`."""
    folder, origin = _folder_of(name, revision)
    with user_errors(name), quiet():
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        family = family_of(config)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        with seeded(seed):
            module, report = class_of(family).from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
                **options_of(config),
            )
    missing = [key for key in report["missing_keys"] if not key.startswith(_POOLER)]
    if missing:
        raise InputError(
            f"The weights of {name} lack {len(missing)} tensors, such as {min(missing)}. Is the checkpoint complete?"
        )
    added = sorted(key for key in report["unexpected_keys"] if any(mark in key for mark in _ADDED))
    return Checkpoint(module, tokenizer, origin, tuple(added))


def random_model(
    config: Any, tokenizer: Any, head: Head | None = None, *, seed: int = 0, max_input: int | None = None
) -> TaskModel:
    """A model of that configuration with weights drawn from `seed`, for tests, demonstrations and research.

    T5's output layer shares the embedding's weights, whatever the configuration says (a checkpoint's own one is kept).
    """
    family = family_of(config)
    with seeded(seed), quiet():
        module = class_of(family).from_config(config, **options_of(config))
    return assembled(Checkpoint(module, tokenizer, Origin("random", str(seed))), head, seed=seed, max_input=max_input)


def family_of(config: Any) -> Family:
    """The family of an architecture. Raises NameNotFoundError for one that is not known."""
    kind = getattr(config, "model_type", None) or "none"
    if kind not in FAMILY_OF_TYPE:
        raise unknown_name("model architecture", kind, FAMILY_OF_TYPE)
    return FAMILY_OF_TYPE[kind]


def class_of(family: Family) -> Any:
    """What the library calls models of a family."""
    return {"seq2seq": AutoModelForSeq2SeqLM, "causal": AutoModelForCausalLM, "encoder": AutoModel}[family]


def options_of(config: Any) -> dict[str, bool]:
    """BERT's pooler was trained with it and belongs to the body; RoBERTa has none, its head has a dense layer instead."""
    return {"add_pooling_layer": config.model_type == "bert"} if family_of(config) == "encoder" else {}


def assembled(checkpoint: Checkpoint, head: Head | None, *, seed: int, max_input: int | None) -> TaskModel:
    """The model of a checkpoint's family; an encoder's head is drawn from `seed`."""
    module, tokenizer, origin = checkpoint.module, checkpoint.tokenizer, checkpoint.origin
    if max_input is not None and max_input < 8:
        raise ParameterError(f"The most tokens of an input must be 8 or more. Got {max_input} instead.")
    rows = module.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(
            f"The tokenizer knows {len(tokenizer)} tokens and the model {origin.name} only {rows}. Take the tokenizer that "
            "belongs to the model."
        )
    module.eval()
    family = family_of(module.config)
    if family == "seq2seq":
        return Seq2SeqModel(module, tokenizer, origin, head, **({} if max_input is None else {"max_input": max_input}))
    if family == "causal":
        return CausalModel(module, tokenizer, origin, head, max_input)
    if head is None:
        raise ParameterError("An encoder needs the head of a task. Build it with head_for(kind, examples).")
    return EncoderModel(module, tokenizer, origin, head, seed=seed, max_input=max_input)


def is_tiny(name: str) -> bool:
    """Whether a model's name stands for a tiny one, which is made from texts (see `tiny`) and cannot be loaded."""
    return name.startswith("tiny:")


def local_folder(name: str) -> Path | None:
    """The folder that a name means, None for a Hub id. Raises InputError for a path where no folder is."""
    folder = Path(name)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith(("./", "../", "~")):
        raise InputError(f"There is no folder {name}. Give the folder of a model with config.json, or its id on the Hub.")
    return None


def _folder_of(name: str, revision: str | None) -> tuple[Path, Origin]:
    folder = local_folder(name)
    if folder is not None:
        check_weights(folder, name)
        return folder, Origin(name, None)
    if is_tiny(name):
        raise InputError(
            f"{name} has no weights before it is trained. Train it first (taskweb train MIXTURE --model tiny:t5 --to FOLDER), "
            "and give that folder."
        )
    from huggingface_hub import snapshot_download

    with user_errors(name):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_NEEDED))
    check_weights(folder, name)
    return folder, Origin(name, folder.name)


def check_weights(folder: Path, name: str) -> None:
    """Raise InputError for a folder that is no model, or holds no weights that are safe to read."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{name} is not a model: it has no config.json. Give the folder of a model, or its id on the Hub.")
    if not has_weights(folder):
        raise no_weights(name)


def has_weights(folder: Path) -> bool:
    """Whether a folder holds weights in safetensors format."""
    return any((folder / weights).exists() for weights in _WEIGHTS)


def no_weights(name: str) -> InputError:
    """The error for a model without safe weights."""
    return InputError(
        f"{name} holds no weights in safetensors format (model.safetensors), and other formats can run code when they are "
        "read. Convert it first: load it where you trust it, then save_pretrained(folder)."
    )


@contextmanager
def user_errors(name: str) -> Iterator[None]:
    """Turn what the libraries raise for a model that cannot be loaded into one plain sentence."""
    try:
        yield
    except TaskWebError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as fault:
        reason = _beginning(" ".join(str(fault).split())) or type(fault).__name__
        raise InputError(f"The model {name} cannot be loaded: {reason}. Check its name, revision and files.") from None


def _beginning(text: str) -> str:
    """The sentences that a message begins with, as far as they are short; of a long one its beginning. No full stop."""
    if len(text) > _MOST_OF_REASON:
        sentences, stop, _ = text[:_MOST_OF_REASON].rpartition(". ")
        text = sentences if stop else f"{text[:_MOST_OF_REASON]}..."
    return text if text.endswith("...") else text.rstrip(".")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's reports and progress bars out of ours: what matters in them is checked and raised here."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
