"""Trained models as folders in Hugging Face layout, so that other tools open them too.

| file | what |
|---|---|
| config.json, tokenizer files | as transformers writes them |
| model.safetensors | every tensor, float32; those of the body under the names that transformers expects |
| taskweb.json | the record: family, method and its parameters, head, max_input, origin, notes |

A fully fine-tuned model, and BitFit where the architecture has biases, is thereby an ordinary checkpoint. The tensors that an
adapter, LoRA or T5's biases add stand beside the body's, unmerged, so that what is opened answers to the bit as what was saved;
other tools read the body alone and name the rest as unexpected. An encoder's head stands under `head.`.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from taskweb.errors import InputError
from taskweb.models.base import Method, TaskModel, config_of
from taskweb.models.encoder_head import body_of
from taskweb.models.head import Head
from taskweb.models.loading import assembled, read_checkpoint
from taskweb.models.methods import method_of
from taskweb.tasks.atomic import whole_folder
from taskweb.tasks.text_settings import TextSettings
from taskweb.version import __version__

FORMAT = 1
RECORD = "taskweb.json"
_WEIGHTS = "model.safetensors"


def save_bundle(
    model: TaskModel,
    folder: str | Path,
    *,
    notes: Mapping[str, Any] | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
    files: Mapping[str, str] | None = None,
) -> None:
    """Write the model to a folder, whole or not at all; a bundle that is there already gives way in one step.

    notes: anything that JSON holds, such as how the model was trained. weights: tensors that stand for the model's own of the
    same names, where its own are split among processes. files: texts of further files, by name.
    Raises InputError where the folder exists and is not a bundle, or cannot be written.
    """
    place = Path(folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(place, replace=(place / RECORD).is_file()) as temporary:
            config = copy.deepcopy(config_of(model))
            config.architectures = [type(_body_of(model)).__name__]
            config.save_pretrained(temporary)
            model.tokenizer.save_pretrained(temporary)
            for name, text in (files or {}).items():
                (temporary / name).write_text(text, encoding="utf-8")
            save_file(_tensors_of(model, weights or {}), temporary / _WEIGHTS, metadata={"format": "pt"})
            (temporary / RECORD).write_text(json.dumps(_record_of(model, notes), indent=2) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as fault:
        raise InputError(f"{place} cannot be written: {fault}.") from None


def open_model(
    name: str | Path, head: Head | None = None, *, revision: str | None = None, seed: int = 0, max_input: int | None = None
) -> TaskModel:
    """The model in a bundle, in any folder in Hugging Face layout, or on the Hub, in float32 on the CPU.

    head: instead of the bundle's own (an encoder's weights are then drawn from `seed`, unless it is the same); a checkpoint
    without record needs one where it is an encoder. Errors as of `load_model`, and InputError for a damaged record.
    """
    record_file = Path(name) / RECORD
    text = TextSettings(max_input=max_input)
    if not record_file.is_file():
        return assembled(read_checkpoint(str(name), revision, seed, head), head, seed=seed, text=text)
    record = _Record.read(record_file)
    limit = record.max_input if max_input is None else max_input
    text = TextSettings("plain", max_input=limit)
    checkpoint = read_checkpoint(str(name), None, seed, record.head, own_head=True)
    positions = record.max_input if checkpoint.family == "causal" else None
    model = assembled(checkpoint, record.head, seed=seed, text=text, positions=positions)
    before = set(model.module.state_dict())
    if record.method is not None:
        record.method.apply(model, seed=seed)
    plain = {key for key in before if not model.is_head(key)}
    _fill(model, {key: _stored_name(key) for key in model.module.state_dict()}, plain, Path(name) / _WEIGHTS)
    if head is not None and head != record.head:
        model.set_head(head, seed=seed)
    return model


@dataclasses.dataclass(frozen=True, slots=True)
class _Record:
    """What is read of taskweb.json."""

    head: Head
    method: Method | None
    max_input: int

    @classmethod
    def read(cls, path: Path) -> _Record:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["format"] != FORMAT:
                raise InputError(f"{path} has format {record['format']}, and this version reads {FORMAT}.")
            method = record["method"]
            return cls(
                Head(**{**record["head"], "labels": tuple(record["head"]["labels"])}),
                None if method is None else method_of(method["name"], method["parameters"]),
                int(record["max_input"]),
            )
        except (OSError, KeyError, TypeError, ValueError) as fault:
            raise InputError(f"{path} cannot be read as the record of a model: {fault}. Save the model again.") from None


def _record_of(model: TaskModel, notes: Mapping[str, Any] | None) -> dict[str, Any]:
    method = model.method
    return {
        "format": FORMAT,
        "taskweb": __version__,
        "family": model.family,
        "method": None if method is None else {"name": method.name, "parameters": dict(method.parameters())},
        "head": dataclasses.asdict(model.head),
        "max_input": model.max_input,
        "origin": dataclasses.asdict(model.origin),
        "notes": dict(notes or {}),
    }


def _body_of(model: TaskModel) -> Any:
    return body_of(model.module) if model.family == "encoder" else model.module


def _tensors_of(model: TaskModel, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every tensor once (tied ones under their first name, as transformers does), on the CPU."""
    tensors: dict[str, torch.Tensor] = {**dict(model.module.named_parameters()), **dict(model.module.named_buffers())}
    kept = {key for key in tensors if key in model.module.state_dict()}
    return {_stored_name(key): weights.get(key, tensors[key]).detach().contiguous().cpu() for key in sorted(kept)}


def _stored_name(key: str) -> str:
    """The name in the file: an encoder's body without prefix, a layer that LoRA wraps under its own name."""
    return key.removeprefix("body.").replace(".base_layer.", ".")


def _fill(model: TaskModel, stored: Mapping[str, str], plain: set[str], path: Path) -> None:
    """Put the tensors that no ordinary checkpoint has, the head's and the method's, into the model."""
    read_already = {_stored_name(key) for key in plain}
    state = model.module.state_dict()
    try:
        with safe_open(path, framework="pt", device="cpu") as file, torch.no_grad():
            for key, name in stored.items():
                if name not in read_already:
                    state[key].copy_(file.get_tensor(name))
    except (OSError, RuntimeError, SafetensorError) as fault:
        reason = " ".join(str(fault).split()).rstrip(".")
        raise InputError(f"{path} does not hold what {RECORD} beside it says: {reason}. Save the model again.") from None
