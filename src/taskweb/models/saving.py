"""Trained models as one file: what was trained, and a record of what it belongs to.

Full fine-tuning saves every tensor. The other methods save the tensors that they train, the head's among them, and a
fingerprint of the rest, so that they are never put onto another model unnoticed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from taskweb.errors import InputError, TaskWebError
from taskweb.models.base import Parameter, TaskModel, config_of
from taskweb.models.bundle_record import method_entry
from taskweb.models.fingerprints import fingerprint
from taskweb.models.head import Head
from taskweb.models.loading import load_model
from taskweb.models.methods import method_of
from taskweb.models.methods.trainable import trainable
from taskweb.models.tensor_file import read_record, read_tensors, write_tensors
from taskweb.tasks.text_settings import TextSettings

FORMAT = 2


def save_model(model: TaskModel, path: str | Path, *, notes: Mapping[str, Parameter] | None = None) -> None:
    """Write the trained tensors and the record to one safetensors file, whole or not at all.

    notes: what else to say of the training; `notes_of` reads it.
    Raises InputError for a model that no method was applied to, or a place that cannot be written.
    """
    if model.method is None:
        raise InputError("This model was not adapted, so there is nothing to save. Apply a method to it first.")
    record = {
        "format": FORMAT,
        "origin": dataclasses.asdict(model.origin),
        "architecture": config_of(model).model_type,
        "head_class": _head_class(model),
        "head": dataclasses.asdict(model.head),
        "method": method_entry(model),
        "max_input": model.max_input,
        "frozen": fingerprint(model),
        "notes": dict(notes or {}),
    }
    write_tensors(Path(path), trainable(model.module), record)


def load_saved(
    path: str | Path, base: TaskModel | None = None, *, tensors: Mapping[str, torch.Tensor] | None = None
) -> TaskModel:
    """The model that was saved, ready to answer or to be trained on; its outputs are those of the saved one, to the bit.

    base: the untrained model; None loads it from where it came from. A base given is changed in place, and must not be
    adapted yet. tensors: those in the file, if they are in memory still. Raises InputError where file and base do not fit.
    """
    if tensors is None:
        tensors, record = read_tensors(Path(path))
    else:
        record = read_record(Path(path))
    if record.get("format") != FORMAT:
        raise InputError(f"{path} has format {record.get('format')}, and this version reads {FORMAT}. Is it a saved model?")
    try:
        head = Head(**{**record["head"], "labels": tuple(record["head"]["labels"])})
        method = method_of(record["method"]["name"], record["method"]["parameters"])
        origin = record["origin"]
        architecture, max_input, frozen = record["architecture"], int(record["max_input"]), record["frozen"]
        head_class = record["head_class"]
    except (KeyError, TypeError, ValueError) as fault:
        raise InputError(f"The record in {path} is incomplete: {fault}.") from None
    model = base or _original(origin, head, max_input, path)
    if config_of(model).model_type != architecture:
        raise InputError(f"{path} belongs to a model of type {architecture}. Got {config_of(model).model_type} instead.")
    model.set_head(head, seed=0)
    if _head_class(model) != head_class:
        raise InputError(
            f"{path} has a head of the class {head_class}, and the model one of {_head_class(model)}. Train the source again."
        )
    model.max_input = max_input
    method.apply(model, seed=0)
    _put(tensors, model, path)
    if fingerprint(model) != frozen:
        raise InputError(
            f"{path} was trained on other weights than those of {model.origin.name}. Give the model it belongs to: "
            f"{origin['name']}, revision {origin['revision']}."
        )
    return model


def notes_of(path: str | Path) -> dict[str, Parameter]:
    """What was said of the training when a model was saved; reads no weights. Raises InputError for a damaged file."""
    return dict(read_record(Path(path)).get("notes") or {})


def _head_class(model: TaskModel) -> str:
    """The class that puts the head on an encoder: the library's or ours; of a model that answers in text, its own class."""
    return type(model.module).__name__.removeprefix("FSDP")


def _original(origin: dict[str, Any], head: Head, max_input: int, path: str | Path) -> TaskModel:
    if origin["name"] == "random":
        raise InputError(
            f"{path} belongs to a model with random weights (seed {origin['revision']}). Build it again, and give it."
        )
    try:
        return load_model(origin["name"], head, revision=origin["revision"], text=TextSettings(max_input=max_input))
    except TaskWebError as fault:
        raise InputError(f"The model that {path} belongs to is not to be had: {fault}") from None


def _put(tensors: Mapping[str, torch.Tensor], model: TaskModel, path: str | Path) -> None:
    wanted = trainable(model.module)
    if wrong := sorted((set(tensors) ^ set(wanted)) or {name for name in wanted if tensors[name].shape != wanted[name].shape}):
        raise InputError(
            f"{path} does not fit the model: {len(wrong)} tensors differ, such as {wrong[0]}. Is it the right model?"
        )
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(tensors[name])
