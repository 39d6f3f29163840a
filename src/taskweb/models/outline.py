"""Models without weights: configuration and tokenizer alone, enough to try whether examples fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import GenerationConfig

from taskweb.models.architecture import family_of, read_config
from taskweb.models.base import Encoded, Origin, TaskModel
from taskweb.models.bundle import BASE
from taskweb.models.bundle_record import Record
from taskweb.models.head import Head
from taskweb.models.loading import (
    NOT_WEIGHTS,
    RECORD,
    Checkpoint,
    assembled,
    check_weights,
    drawn_module,
    has_weights,
    is_tiny,
    local_folder,
    no_weights,
    quiet,
    read_tokenizer,
    user_errors,
)
from taskweb.models.peft_folder import base_of, is_peft_folder
from taskweb.models.tiny import tiny_model
from taskweb.tasks import Example
from taskweb.tasks.text_settings import TextSettings

_ANY_HEAD = Head("regression")  # one that every family has; a task's own is set before its examples are read


def outline_of(
    name: str,
    *,
    revision: str | None = None,
    text: TextSettings | None = None,
    family: str | None = None,
    texts: Sequence[str] = (),
) -> TaskModel:
    """A model that reads examples as the loaded one does, and computes nothing; set the head of a task first.

    texts: what the vocabulary of a tiny model is taken from. Of a model on the Hub, configuration and tokenizer are fetched.
    Raises InputError where the checkpoint is missing or not in safetensors, NameNotFoundError for an unknown architecture.
    """
    if is_tiny(name):
        return tiny_model(name, texts, _ANY_HEAD, text=text)
    folder = local_folder(name)
    if folder is None:
        folder = _fetched(name, revision)
    else:
        check_weights(folder, name)
    with user_errors(name), quiet():
        config = read_config(folder, name)
        chosen = family_of(config, family)
        tokenizer = read_tokenizer(folder, name)
        with torch.device("meta"):
            module = drawn_module(config, chosen, _ANY_HEAD, 0)
        if (folder / "generation_config.json").is_file():
            module.generation_config = GenerationConfig.from_pretrained(folder)
    return assembled(Checkpoint(module, tokenizer, Origin(name, revision), chosen), _ANY_HEAD, seed=0, text=text)


def outline_as_saved(name: str, *, text: TextSettings | None = None, texts: Sequence[str] = ()) -> TaskModel:
    """The outline of a model that `open_model` opens: of a trained one, with its base and the settings that it was saved with.

    text: how examples are read; where it leaves that open, as when the model was saved. Errors as of `outline_of`.
    """
    folder = None if is_tiny(name) else local_folder(name)
    if folder is None:
        return outline_of(name, text=text, texts=texts)
    record = Record.read(folder / RECORD) if (folder / RECORD).is_file() else None
    base = base_of(folder) if record is None and is_peft_folder(folder) else None if record is None else record.base
    family = None if record is None else record.family
    text = text if record is None else record.text_with(text)
    if base is None:
        return outline_of(name, text=text, family=family)
    return outline_of(str(folder / BASE) if base.inside else base.name, revision=base.revision, text=text, family=family)


def check_examples(model: TaskModel, examples: Sequence[Example]) -> list[Encoded]:
    """Try whether a model can learn from labelled examples and choose among their choices; inputs are cut where they must be.

    Returns the examples as token ids. Raises InputError for the first example that does not fit.
    """
    with quiet():
        encoded = model.encode(examples)
        if model.family == "causal":  # others cut an input without regard to its choices, or have tried them all
            model.encode(
                [dataclasses.replace(example, output=max(example.choices, key=len)) for example in examples if example.choices]
            )
    return encoded


def _fetched(name: str, revision: str | None) -> Path:
    """Configuration and tokenizer from the Hub, or its cache; the weights must be known to be there."""
    from huggingface_hub import HfApi, snapshot_download

    with user_errors(name):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=NOT_WEIGHTS))
        if not has_weights(folder) and not any(
            file.endswith(".safetensors") for file in HfApi().list_repo_files(name, revision=revision)
        ):
            raise no_weights(name)
    return folder
