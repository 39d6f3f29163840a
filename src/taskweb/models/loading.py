"""Models from the Hugging Face Hub, from a folder, or with random weights; safetensors only, and no code from elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.models.architecture import class_of, family_of, forget_lengths, head_class_of, options_of, own_head_of, read_config
from taskweb.models.arithmetic import keep_vectors_exact
from taskweb.models.base import Family, Origin, TaskModel
from taskweb.models.causal import CausalModel
from taskweb.models.encoder import EncoderModel
from taskweb.models.encoder_head import EncoderWithHead, body_of, config_with, fresh_head, is_head_name, output_names
from taskweb.models.fingerprints import fingerprint_of_folder
from taskweb.models.head import Head
from taskweb.models.memory import out_of_memory
from taskweb.models.padding import seeded
from taskweb.models.seq2seq import Seq2SeqModel
from taskweb.models.weight_storage import Weights
from taskweb.tasks.paths import kind_of_path
from taskweb.tasks.text_settings import TextSettings

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
NOT_WEIGHTS = ["*.json", "*.txt", "*.model", "*.jinja"]
ADAPTER_CONFIG = "adapter_config.json"
RECORD = "taskweb.json"
_WHOLE = ("model.safetensors", "model-*-of-*.safetensors")
_NEEDED = [*NOT_WEIGHTS, *_WHOLE, *(f"base/{name}" for name in _WHOLE), "adapter_model.safetensors", "trained.safetensors"]
_VOCABULARIES = ("tokenizer.json", "*.model", "vocab*", "merges.txt", "*.bpe", "*.tiktoken", "*.codes", "*.spm", "*.tokenizer")
_BYTES = 256
_MOST_OF_REASON = 200
_ADDED = ("taskweb_", "lora_")  # in the names of tensors that methods add


def load_model(
    name: str,
    head: Head | None = None,
    *,
    revision: str | None = None,
    seed: int = 0,
    text: TextSettings | None = None,
    family: str | None = None,
    weights: Weights | None = None,
) -> TaskModel:
    """A pretrained model of any architecture with its tokenizer.

    name: Hub id, or path of a folder. revision: commit, branch or tag on the Hub. head: the task (default: generation; an
    encoder needs one). seed: for what the checkpoint lacks (an encoder's head, BERT's pooler). text: how examples are read.
    family: instead of the one that the configuration says. weights: dtype and quantization (default: float32).
    Raises InputError where the checkpoint is missing, not in safetensors or incomplete, or transformers has no class for it.
    """
    checkpoint = read_checkpoint(name, revision, seed, head, family=family, weights=weights)
    if checkpoint.added:
        raise InputError(
            f"{name} contains a model that is adapted already: tensors were added to it, such as {checkpoint.added[0]}. Open "
            "it with open_model, or give the model that it was made from."
        )
    return assembled(checkpoint, head, seed=seed, text=text)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder in Hugging Face layout contains.

    added: names of tensors that an adaptation method put there. head: the one that an encoder was trained with, None where it
    has none. Of an encoder, tensors outside its body by name: start, what was pretrained with it and any head begins with;
    trained, those of the very head that was asked for. fresh: names of tensors within the body that were lacking.
    """

    module: Any
    tokenizer: Any
    origin: Origin
    family: Family
    added: tuple[str, ...] = ()
    start: Mapping[str, torch.Tensor] = field(default_factory=dict)
    trained: Mapping[str, torch.Tensor] = field(default_factory=dict)
    head: Head | None = None
    fresh: tuple[str, ...] = ()


def read_checkpoint(
    name: str,
    revision: str | None,
    seed: int,
    head: Head | None = None,
    *,
    family: str | None = None,
    weights: Weights | None = None,
) -> Checkpoint:
    """Read a model and its tokenizer, by Hub id or path of a folder; errors as of `load_model`.

    head: None takes the one that an encoder was trained with, where it has one.
    """
    folder, origin = folder_of(name, revision)
    check_weights(folder, name)
    weights = weights or Weights()
    own = None
    with user_errors(name), quiet():
        config = read_config(folder, name)
        chosen = family_of(config, family)
        tokenizer = read_tokenizer(folder, name)
        if chosen == "encoder":
            own = own_head_of(config)
            head = head or own
        stated = copy.deepcopy(config)
        opener, config, options = _opener(config, chosen, head)
        with seeded(seed):
            module, report = opener.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=chosen == "encoder",
                **weights.options(),
                **options,
            )
    keep_vectors_exact(module)
    fresh = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
    has_head = chosen == "encoder" and opener is not AutoModel
    may_lack = {key for key in fresh if "pooler" in key.split(".") or (has_head and is_head_name(module, key))}
    missing = sorted(fresh - may_lack)
    if missing:
        raise InputError(
            f"The weights of {name} lack {len(missing)} tensors, such as {missing[0]}. Is the checkpoint complete?"
        )
    added = sorted(key for key in report["unexpected_keys"] if any(mark in key for mark in _ADDED))
    start, trained = ({}, {}) if chosen != "encoder" else _heads_in(folder, stated, module, report, head)
    prefix = f"{module.base_model_prefix}."
    return Checkpoint(
        _with_head(module, opener, head, seed),
        tokenizer,
        replace(origin, fingerprint=fingerprint_of_folder(folder)),
        chosen,
        tuple(added),
        start,
        trained,
        own,
        tuple(sorted(key.removeprefix(prefix) for key in fresh if not (has_head and is_head_name(module, key)))),
    )


def _heads_in(
    folder: Path, stated: Any, module: Any, report: Mapping[str, Any], head: Head | None
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Tensors of a checkpoint outside the body: those that any head starts with, and those of the head that is asked for.

    stated: the checkpoint's own configuration. A head that was trained for other labels counts for nothing.
    """
    head = head or Head("regression")
    fresh = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
    found = {
        key: value.detach().clone()
        for key, value in module.named_parameters()
        if is_head_name(module, key) and key not in fresh
    }
    outputs = output_names(stated, head)
    found |= tensors_of(folder, outputs & set(report["unexpected_keys"]))
    mismatched = {entry[0] for entry in report["mismatched_keys"]}
    if not outputs & (set(found) | mismatched):
        return found, {}
    named = tuple(str(stated.id2label[place]).casefold() for place in sorted(stated.id2label))
    agrees = head.kind == "span_qa" or (
        named == tuple(label.casefold() for label in head.labels) if head.labels else outputs <= set(found)
    )
    return {}, found if agrees else {}


def tensors_of(folder: Path, names: Iterable[str]) -> dict[str, torch.Tensor]:
    """Some tensors of a folder's weights, by name."""
    wanted = set(names)
    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")) if wanted else ():
        with safe_open(path, framework="pt", device="cpu") as file:
            found |= {name: file.get_tensor(name) for name in wanted & set(file.keys())}
    return found


def random_model(
    config: Any,
    tokenizer: Any,
    head: Head | None = None,
    *,
    seed: int = 0,
    text: TextSettings | None = None,
    family: str | None = None,
) -> TaskModel:
    """A model of that configuration with weights drawn from `seed`, for tests, demonstrations and research.

    T5's output layer shares the embedding's weights, whatever the configuration says (a checkpoint's own one is stored).
    """
    chosen = family_of(config, family)
    module = drawn_module(config, chosen, head, seed)
    return assembled(Checkpoint(module, tokenizer, Origin("random", str(seed)), chosen), head, seed=seed, text=text)


def drawn_module(config: Any, family: Family, head: Head | None, seed: int) -> Any:
    """A module with weights drawn from `seed`; within `torch.device("meta")` one without weights."""
    opener, made, options = _opener(config, family, head)
    with seeded(seed), quiet():
        return _with_head(opener.from_config(made, **options), opener, head, seed)


def _opener(config: Any, family: Family, head: Head | None) -> tuple[Any, Any, dict[str, Any]]:
    """The class that opens a model, the configuration for it, and its further options."""
    if family != "encoder":
        config.update(options_of(config, family))
        return class_of(family), config, {}
    # One class for all tasks, so that the body is the same; set_head puts another head on it where the task needs one.
    head = Head("regression") if head is None or head.kind == "span_qa" else head
    with_head = head_class_of(config, head.kind)
    if with_head is not None:
        return with_head, config_with(config, head), {}
    # BERT's pooler was trained with it and belongs to the body; RoBERTa has none, our head has a dense layer instead.
    return AutoModel, config, {"add_pooling_layer": True} if config.model_type == "bert" else _without_pooler(config)


def _without_pooler(config: Any) -> dict[str, Any]:
    return {"add_pooling_layer": False} if config.model_type in ("roberta", "xlm-roberta") else {}


def _with_head(module: Any, opener: Any, head: Head | None, seed: int) -> Any:
    """A bare body gets our plain head; a model that came with the library's is complete."""
    return EncoderWithHead(module, fresh_head(module, head or Head("regression"), seed)) if opener is AutoModel else module


def assembled(
    checkpoint: Checkpoint,
    head: Head | None,
    *,
    seed: int,
    text: TextSettings | None = None,
    positions: int | None = None,
) -> TaskModel:
    """The model of a checkpoint's family; an encoder's head is drawn from `seed`, unless `head` is None and it has its own.

    positions: most tokens of prompt and answer of a decoder, where that is less than the architecture allows.
    """
    module, tokenizer, origin = checkpoint.module, checkpoint.tokenizer, checkpoint.origin
    body = body_of(module) if checkpoint.family == "encoder" else module
    rows = body.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(
            f"The tokenizer knows {len(tokenizer)} tokens and the model {origin.name} only {rows}. Take the tokenizer that "
            "belongs to the model."
        )
    module.eval()
    forget_lengths(module)
    if checkpoint.family == "seq2seq":
        return Seq2SeqModel(module, tokenizer, origin, head, text)
    if checkpoint.family == "causal":
        return CausalModel(module, tokenizer, origin, head, text, positions=positions)
    wanted = head or checkpoint.head
    if wanted is None:
        raise ParameterError(
            f"The encoder {origin.name} needs the head of a task, and has none of its own. Train it first (taskweb train), or "
            "build a head with head_for(kind, examples)."
        )
    model = EncoderModel(
        module,
        tokenizer,
        origin,
        wanted,
        text,
        seed=seed,
        start=checkpoint.start,
        trained=checkpoint.trained,
        fresh=checkpoint.fresh,
    )
    if head is None:
        check_own_head(model, checkpoint)
    return model


def check_own_head(model: TaskModel, checkpoint: Checkpoint) -> None:
    """Raise InputError where the head that a checkpoint was trained with is not all there."""
    names = [name for name, _ in model.module.named_parameters() if model.is_head(name)]
    if lacking := next((name for name in names if name not in checkpoint.trained), None):
        raise InputError(
            f"The weights of {checkpoint.origin.name} lack a tensor of its head, {lacking}. Is the checkpoint complete?"
        )


def is_tiny(name: str) -> bool:
    """Whether a model's name stands for a tiny one, which is made from texts (see `tiny`) and cannot be loaded."""
    return name.startswith("tiny:")


def local_folder(name: str) -> Path | None:
    """The folder that a name means, None for a Hub id. Raises InputError for a path where no folder is."""
    folder = Path(name)
    kind = kind_of_path(folder)
    if kind == "folder":
        return folder
    if kind == "file":
        raise InputError(f"{name} is a file, not a model. Give the folder of a model with config.json, or its id on the Hub.")
    if folder.is_absolute() or name.startswith(("./", "../", "~")) or name.endswith("/"):
        raise InputError(f"There is no folder {name}. Give the folder of a model with config.json, or its id on the Hub.")
    return None


def folder_of(name: str, revision: str | None) -> tuple[Path, Origin]:
    """The folder with the files of a model, fetched from the Hub where it is not on this machine, and where they come from."""
    folder = local_folder(name)
    if folder is not None:
        return folder, Origin(name, None)
    if is_tiny(name):
        raise InputError(
            f"{name} has no weights before it is trained. Train it first (taskweb train MIXTURE --model tiny:t5 --to FOLDER), "
            "and give that folder."
        )
    from huggingface_hub import snapshot_download

    with user_errors(name):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_NEEDED))
    return folder, Origin(name, folder.name)


def check_weights(folder: Path, name: str) -> None:
    """Raise InputError for a folder that is no model, or contains no weights that are safe to read."""
    if (folder / ADAPTER_CONFIG).is_file() or ((folder / RECORD).is_file() and not has_weights(folder)):
        raise InputError(
            f"{name} is an adapter, not a whole model. Give the model that it belongs to, or one that was trained with --merge."
        )
    if not (folder / "config.json").is_file():
        raise InputError(f"{name} is not a model: it has no config.json. Give the folder of a model, or its id on the Hub.")
    if not has_weights(folder):
        raise no_weights(name)


def read_tokenizer(folder: Path, name: str) -> Any:
    """The tokenizer in a folder. Raises InputError where its vocabulary is missing, and what the library raises.

    Without files the library makes an empty tokenizer of some classes; only those that read bytes need no vocabulary.
    """
    has_vocabulary = any(any(folder.glob(pattern)) for pattern in _VOCABULARIES)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception:
        if has_vocabulary:
            raise
    else:
        if has_vocabulary or len(tokenizer) >= _BYTES:
            return tokenizer
    raise InputError(
        f"{name} has no tokenizer: there is no tokenizer.json, nor another file with a vocabulary. Save the model's "
        "tokenizer into the same folder: tokenizer.save_pretrained(folder)."
    )


def has_weights(folder: Path) -> bool:
    """Whether a folder contains weights in safetensors format."""
    return any((folder / weights).exists() for weights in _WEIGHTS)


def no_weights(name: str) -> InputError:
    """The error for a model without safe weights."""
    return InputError(
        f"{name} contains no weights in safetensors format (model.safetensors), and other formats can run code when they are "
        "read. Convert it first: load it where you trust it, then save_pretrained(folder)."
    )


@contextmanager
def user_errors(name: str) -> Iterator[None]:
    """Turn what the libraries raise for a model that cannot be loaded into one plain sentence."""
    try:
        yield
    except TaskWebError:
        raise
    except Exception as fault:  # anything may stand in files that others made
        if out_of_memory(fault):
            raise
        if "trust_remote_code" in str(fault):
            raise InputError(f"{name} brings code of its own, and none is run here. Choose another model.") from None
        if (unavailable := _not_on_hub(name, fault)) is not None:
            raise unavailable from None
        reason = _beginning(" ".join(str(fault).split())) or type(fault).__name__
        raise InputError(f"The model {name} cannot be loaded: {reason}. Check its name, revision and files.") from None


def _not_on_hub(name: str, fault: Exception) -> InputError | None:
    """The error for a model that is not on the Hub, or that the Hub was not asked for; None for other faults."""
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    if isinstance(fault, RepositoryNotFoundError):
        return InputError(f"There is no model {name} on the Hub, or it needs a login there. Check the name.")
    if not isinstance(fault, LocalEntryNotFoundError):
        return None
    if constants.HF_HUB_OFFLINE:
        return InputError(
            f"The model {name} is not on this machine, and HF_HUB_OFFLINE is set. Unset it once, or give a folder."
        )
    return InputError(
        f"The model {name} is not on this machine, and the Hub cannot be reached. Check the network, or give the folder of one."
    )


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
