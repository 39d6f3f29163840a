"""Adapters and whole models that were trained on a task elsewhere, put in the place of weights after a source.

A LoRA adapter in PEFT's layout fits a setup with the method lora, and a whole model one with finetune. Everything is compared
before anything is copied: the base, the parameters of LoRA, and name and shape of every tensor.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from taskweb.errors import InputError, ParameterError
from taskweb.models.base import Method, Parameter, TaskModel
from taskweb.models.bundle_record import Record
from taskweb.models.loading import ADAPTER_CONFIG, RECORD, has_weights, local_folder, read_checkpoint
from taskweb.models.methods.lora import LoRA, pattern_text
from taskweb.models.methods.trainable import trainable
from taskweb.models.outline import outline_of
from taskweb.models.peft_folder import ADAPTER_WEIGHTS

PREFIX, _NAME = "base_model.model.", ".default"
_PARTS = ("lora_A", "lora_B", "lora_magnitude_vector")
_WHERE_USED = ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern")  # parameters that are stated where they are used
_DRAWN = (True, False, None, "gaussian", "eva", "orthogonal")  # ways to begin that leave the base's weights as they are
_OTHERWISE = (  # what LoRA of PEFT may do, and ours does not
    *("modules_to_save", "layers_to_transform", "layer_replication", "lora_bias"),
    *("trainable_token_indices", "target_parameters", "exclude_modules", "megatron_config"),
)
_HUB_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_MOST_BYTES_OF_CONFIG = 2**20


@dataclass(frozen=True, slots=True)
class ReadyAdapter:
    """A LoRA adapter in PEFT's layout. base: what it says it belongs to. shapes: of its tensors, by name in the base."""

    folder: Path
    base: str
    method: LoRA
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def read(cls, folder: Path) -> ReadyAdapter:
        """Read what an adapter is, without its weights. Raises InputError for one that our LoRA cannot stand for."""
        config = adapter_config(folder)
        if str(config.get("peft_type")).upper() != "LORA":
            kind = config.get("peft_type")
            raise InputError(f"The adapter {folder} is of the kind {kind}. Only LoRA can be trained on from.")
        used = [key for key in _OTHERWISE if config.get(key)]
        used += ["bias"] * (config.get("bias", "none") != "none")
        used += ["init_lora_weights"] * (config.get("init_lora_weights", True) not in _DRAWN)
        if used:
            raise InputError(f"The adapter {folder} uses {', '.join(used)} of PEFT, which cannot be trained on from.")
        try:
            method = LoRA(
                r=int(config["r"]),
                alpha=float(config["lora_alpha"]),
                use_rslora=bool(config.get("use_rslora")),
                use_dora=bool(config.get("use_dora")),
                rank_pattern=_pattern_in(config, "rank_pattern"),
                alpha_pattern=_pattern_in(config, "alpha_pattern"),
            )
            if not math.isfinite(method.alpha):
                raise ValueError(f"lora_alpha is {method.alpha}")
        except (KeyError, TypeError, ValueError, OverflowError, ParameterError) as fault:
            reason = str(fault).rstrip(".")
            raise InputError(f"{folder / ADAPTER_CONFIG} does not say what the adapter is: {reason}.") from None
        return cls(folder, str(config.get("base_model_name_or_path") or ""), method, _shapes_in(folder))

    @property
    def targets(self) -> str:
        """The layers that it changes, by the shortest ends of their names, as `targets` of LoRA takes them."""
        names = {name.rpartition(".")[0] for name in self.shapes}
        return ",".join(sorted({name.rpartition(".")[2] for name in names}))

    def parameters(self) -> dict[str, Parameter]:
        """The parameters of LoRA that a setup needs to go on from it."""
        own = self.method.parameters()
        used = {key: own[key] for key in _WHERE_USED if key in own}
        return {"r": self.method.r, "alpha": self.method.alpha, "targets": self.targets, **used}


def lora_parameters_of(folder: Path) -> dict[str, Parameter] | None:
    """The parameters of LoRA by which a setup goes on from an adapter; None for a whole model. Raises InputError."""
    return ReadyAdapter.read(folder).parameters() if (folder / ADAPTER_CONFIG).is_file() else None


def check_ready(model: TaskModel, method: Method, folder: Path) -> None:
    """Compare a ready source with a setup, before any weights are loaded.

    model: its outline, unadapted. Raises InputError, in one line, where the source belongs to another base, was trained by
    another method or with other parameters, or has other tensors.
    """
    if model.family == "encoder":
        raise InputError(f"{folder} cannot be a source of an encoder, whose head belongs to one task. Train that source here.")
    if (folder / ADAPTER_CONFIG).is_file():
        _check_adapter(model, method, ReadyAdapter.read(folder))
    elif has_weights(folder):
        _check_whole(model, method, folder)
    else:
        raise InputError(
            f"{folder} contains neither a LoRA adapter ({ADAPTER_CONFIG}, {ADAPTER_WEIGHTS}) nor a whole model in safetensors."
        )


def put_ready(model: TaskModel, folder: Path) -> None:
    """Copy the weights of a ready source into a model with its method applied. Raises InputError where they do not fit."""
    tensors = _adapter_tensors(model, folder) if (folder / ADAPTER_CONFIG).is_file() else _whole_tensors(model, folder)
    wanted = trainable(model.module)
    _refuse_others(folder, {name: tuple(tensor.shape) for name, tensor in wanted.items()}, _shapes_of(tensors))
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(tensors[name])


def _check_adapter(model: TaskModel, method: Method, adapter: ReadyAdapter) -> None:
    folder = adapter.folder
    if not isinstance(method, LoRA):
        raise InputError(f"{folder} is a LoRA adapter, and the setup trains by {method.name}. Use the method lora.")
    _check_base(model, folder, adapter.base)
    own, given = method.parameters(), adapter.parameters()
    differ = [key for key in ("r", "alpha", *_WHERE_USED) if (own.get(key) or False) != (given.get(key) or False)]
    if differ:
        stated = ", ".join(f"{key} = {given.get(key, False)}" for key in differ)
        raise InputError(
            f"The adapter {folder} has {stated}, and the setup {', '.join(f'{own.get(key, False)}' for key in differ)}. To go "
            f"on from it, train with {_in_words(given)}."
        )
    wanted: dict[str, tuple[int, ...]] = {}
    for name, (inputs, outputs) in method.layers_of(model).items():
        rank = method.rank_of(name)
        wanted |= {f"{name}.lora_A": (rank, inputs), f"{name}.lora_B": (outputs, rank)}
        wanted |= {f"{name}.lora_magnitude_vector": (outputs,)} if method.use_dora else {}
    ends = {name.rpartition(".")[0].rpartition(".")[2] for name in wanted}
    if ends != set(adapter.targets.split(",")):
        raise InputError(
            f"The adapter {folder} changes the layers {adapter.targets}, and the setup {','.join(sorted(ends))}. To go on from "
            f"it, train with {_in_words(given)}."
        )
    _refuse_others(folder, wanted, adapter.shapes)


def _check_base(model: TaskModel, folder: Path, named: str) -> None:
    """Compare names where both are ids of the Hub; a folder may contain the same weights under any name."""
    record = Record.read(folder / RECORD) if (folder / RECORD).is_file() else None
    if record is not None and record.base is not None and record.base.inside:
        raise InputError(f"{folder} belongs to random weights of its own ({record.origin.name}), and not to the setup's model.")
    own = model.origin.name
    both_ids = all(_HUB_ID.fullmatch(name) and local_folder(name) is None for name in (own, named) if name)
    if named and both_ids and own.casefold() != named.casefold() and not own.startswith("tiny:"):
        raise InputError(
            f"{folder} was trained on {named}, and the setup starts from {own}. Take the model {named}; if both have the same "
            "weights, give the model as a folder."
        )


def _check_whole(model: TaskModel, method: Method, folder: Path) -> None:
    if method.name != "finetune":
        raise InputError(f"{folder} is a whole model, and the setup trains by {method.name}. Use the method finetune.")
    other = outline_of(str(folder), family=model.family)
    _refuse_others(folder, _shapes_of(dict(model.module.named_parameters())), _shapes_of(dict(other.module.named_parameters())))


def _refuse_others(folder: Path, wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]) -> None:
    """Raise InputError where names or shapes differ."""
    shapes = next((name for name in sorted(wanted) if name in given and given[name] != wanted[name]), None)
    if shapes is not None:
        raise InputError(
            f"{folder} does not fit the model: {shapes} has the shape {given[shapes]}, and {wanted[shapes]} here. Take the "
            "model that it was trained on."
        )
    if other := sorted(set(wanted) ^ set(given)):
        where = "it lacks" if other[0] in wanted else "the model lacks"
        raise InputError(
            f"{folder} does not fit the model: {where} {len(other)} tensor{'s' * (len(other) != 1)}, such as {other[0]}. Take "
            "the model that it was trained on."
        )


def _adapter_tensors(model: TaskModel, folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of an adapter by their names in our model. Raises InputError where it was trained on other weights."""
    record = Record.read(folder / RECORD) if (folder / RECORD).is_file() else None
    base = None if record is None else record.base
    if base is not None and base.fingerprint not in (None, model.origin.fingerprint):
        raise InputError(f"{folder} was trained on other weights than those of {model.origin.name}. It belongs to {base.name}.")
    with _opened(folder) as file:
        return {f"{plain_name(name)}{_NAME}.weight": file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _whole_tensors(model: TaskModel, folder: Path) -> dict[str, torch.Tensor]:
    found = dict(read_checkpoint(str(folder), None, 0, family=model.family).module.named_parameters())
    return {name: found[name].detach() for name in trainable(model.module) if name in found}


def adapter_config(folder: Path) -> Mapping[str, Any]:
    """What `adapter_config.json` says. Raises InputError for a file that is no JSON object, or too large for one."""
    path = folder / ADAPTER_CONFIG
    try:
        if path.stat().st_size > _MOST_BYTES_OF_CONFIG:
            raise InputError(f"{path} is larger than a configuration of an adapter. Nothing of it is read.")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise InputError(f"{path} cannot be read: {str(fault).splitlines()[0].rstrip('.')}.") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} is not the configuration of an adapter.")
    return found


def _pattern_in(config: Mapping[str, Any], key: str) -> str | None:
    """A pattern as our LoRA takes it. Raises TypeError, ParameterError."""
    given = config.get(key) or {}
    if not isinstance(given, dict) or not all(isinstance(value, int | float) for value in given.values()):
        raise TypeError(f"{key} is {json.dumps(given)[:60]}")
    if odd := next((name for name in given if "," in name or "=" in name), None):
        raise TypeError(f"{key} names '{odd}'")
    return pattern_text(given) or None


def _opened(folder: Path) -> Any:
    path = folder / ADAPTER_WEIGHTS
    if not path.is_file():
        raise InputError(
            f"{folder} contains no weights in safetensors format ({ADAPTER_WEIGHTS}), and other formats can run code when they "
            "are read. Convert it first."
        )
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (OSError, SafetensorError) as fault:
        raise InputError(f"{path} cannot be read: {str(fault).rstrip('.')}.") from None


def _shapes_in(folder: Path) -> dict[str, tuple[int, ...]]:
    with _opened(folder) as file:
        names = list(file.keys())
        if foreign := next((name for name in names if not _is_part(name)), None):
            raise InputError(f"The adapter {folder} contains the tensor {foreign}, which is no part of LoRA on a linear layer.")
        return {plain_name(name): tuple(file.get_slice(name).get_shape()) for name in names}


def _is_part(name: str) -> bool:
    return name.startswith(PREFIX) and plain_name(name).rpartition(".")[2] in _PARTS


def plain_name(name: str) -> str:
    """The name of a part of LoRA behind that of its layer: `model.layers.0.self_attn.q_proj.lora_A`."""
    return name.removeprefix(PREFIX).removesuffix(".weight").removesuffix(_NAME)


def _shapes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _in_words(parameters: Mapping[str, Parameter]) -> str:
    """The parameters as a plan writes them."""
    return f"method_parameters = {{{', '.join(f'{key} = {_toml(value)}' for key, value in parameters.items())}}}"


def _toml(value: Parameter) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def same_parameters(folders: Mapping[str, Path]) -> dict[str, Parameter]:
    """The parameters of LoRA that all adapters of these folders share, by which one setup can go on from any of them.

    Whole models count for nothing. Raises InputError that names two that differ.
    """
    known: dict[str, Parameter] = {}
    whose = ""
    for name, folder in folders.items():
        found = lora_parameters_of(folder)
        if found is None:
            continue
        if known and found != known:
            raise InputError(
                f"One setup cannot go on from both {whose} ({_in_words(known)}) and {name} ({_in_words(found)}). Give adapters "
                "of one kind."
            )
        known, whose = found, name
    return known
