"""Model folders of format 1, as version 0.1 wrote them: one file with every tensor, those of the method beside the body's.

An encoder's body stands there without prefix and its head under `head.`; a layer that LoRA wraps under its own name.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from taskweb.errors import InputError
from taskweb.models.base import TaskModel
from taskweb.models.bundle_record import Record
from taskweb.models.loading import RECORD, assembled, read_checkpoint
from taskweb.tasks.text_settings import TextSettings

_WEIGHTS = "model.safetensors"
# Parts of the library's heads, and what version 0.1 called them.
_HEADS = {
    "classifier.dense": "head.dense",
    "classifier.out_proj": "head.out",
    "classifier": "head.out",
    "qa_outputs": "head.out",
}


def open_format_1(folder: Path, name: str, record: Record, text: TextSettings | None, seed: int) -> TaskModel:
    """The model in a folder of format 1. Raises InputError where the weights are not those of the record."""
    checkpoint = read_checkpoint(str(folder), None, seed, record.head)
    # `max_input` counted prompt and answer of a decoder together.
    positions = record.max_input if checkpoint.family == "causal" else None
    model = assembled(checkpoint, record.head, seed=seed, text=record.text_with(text), positions=positions)
    read_already = {key for key in model.module.state_dict() if not model.is_head(key)}
    model.origin = dataclasses.replace(model.origin, name=name)
    if record.method is not None:
        record.method.apply(model, seed=seed)
    if checkpoint.added:  # without them, the folder contains no model
        model.origin = dataclasses.replace(model.origin, fingerprint=None)
    _fill(model, read_already, folder / _WEIGHTS)
    return model


def _fill(model: TaskModel, read_already: set[str], path: Path) -> None:
    """Put the tensors that no ordinary checkpoint has, the head's and the method's, into the model."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file, torch.no_grad():
            for key, tensor in model.module.state_dict().items():
                if key.replace(".base_layer.", ".") not in read_already:
                    tensor.copy_(file.get_tensor(_stored_name(model, key)))
    except (OSError, RuntimeError, SafetensorError) as fault:
        reason = " ".join(str(fault).split()).rstrip(".")
        raise InputError(f"{path} does not hold what {RECORD} beside it says: {reason}. Save the model again.") from None


def _stored_name(model: TaskModel, key: str) -> str:
    if model.family != "encoder":
        return key
    if not model.is_head(key):
        return key.removeprefix(f"{model.module.base_model_prefix}.")
    part, _, last = key.rpartition(".")
    return f"{_HEADS.get(part, part)}.{last}"
