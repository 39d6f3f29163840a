"""Folders of models that no library has a class for: adapters of our own kinds, and encoders with our plain head.

`trained.safetensors` contains what was trained. `config.json` has a model type of ours and the weights have a name of ours, so
that other tools refuse the folder instead of opening the untrained base.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from taskweb.errors import InputError
from taskweb.models.base import TaskModel
from taskweb.models.encoder import EncoderModel
from taskweb.models.encoder_head import EncoderWithHead
from taskweb.models.methods.trainable import trainable
from taskweb.models.plain_model import is_added, is_quantized
from taskweb.models.twin import own_parameter

MODEL_TYPE = "taskweb"
TRAINED = "trained.safetensors"
_WHY = "No library opens this folder, taskweb does: see README.md."


def write_taskweb(model: TaskModel, state: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write the trained tensors, and a configuration that other tools refuse."""
    config = {"model_type": MODEL_TYPE, "architectures": ["TaskwebModel"], "note": _WHY}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {name: state[name].contiguous().cpu() for name in stored_names(model)}
    save_file(tensors, folder / TRAINED, metadata={"format": "pt"})


def stored_names(model: TaskModel) -> list[str]:
    """Names of the tensors that stand in the folder beside its base.

    These are the trained ones, and those that an encoder's base lacks. Where the base itself was trained, the head alone.
    """
    names = list(trainable(model.module))
    if base_is_trained(model):
        return [name for name in names if model.is_head(name)]
    if not isinstance(model, EncoderModel):
        return names
    prefix = "body" if isinstance(model.module, EncoderWithHead) else str(model.module.base_model_prefix)
    return [*names, *(f"{prefix}.{name}" for name in model.fresh if f"{prefix}.{name}" not in names)]


def base_is_trained(model: TaskModel) -> bool:
    """Whether the model's own tensors were trained, so that the base is no longer that of its origin."""
    return not is_quantized(model) and not any(is_added(name) for name in trainable(model.module))


def fill_taskweb(model: TaskModel, folder: Path) -> None:
    """Put the tensors of a folder into its base, adapted already. Raises InputError where they do not fit."""
    try:
        with safe_open(folder / TRAINED, framework="pt", device="cpu") as file, torch.no_grad():
            wanted, found = set(stored_names(model)), set(file.keys())
            known = set(model.module.state_dict())
            if wrong := sorted((wanted - found) | (found - known)):
                raise InputError(
                    f"{folder / TRAINED} does not fit the model: {len(wrong)} tensors differ, such as {wrong[0]}. Is it the "
                    "right base?"
                )
            for name in sorted(found):
                is_own = is_added(name) or model.is_head(name)  # all others may be shared with the base
                own = model.module.get_parameter(name) if is_own else own_parameter(model.module, name)
                own.copy_(file.get_tensor(name))
    except (OSError, RuntimeError, SafetensorError) as fault:
        reason = " ".join(str(fault).split()).rstrip(".")
        raise InputError(f"{folder / TRAINED} does not fit the model: {reason}. Is it the right base?") from None
