"""Adapter folders of the PEFT library: written so that PEFT opens them, and opened whoever wrote them.

`adapter_config.json` names the base and its revision, `adapter_model.safetensors` contains what was trained. An encoder's head
stands there whole (PEFT's `modules_to_save`).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from taskweb.errors import InputError, MissingDependencyError, ParameterError
from taskweb.models.base import Parameter, TaskModel, Trained
from taskweb.models.bundle_record import BaseReference
from taskweb.models.encoder import EncoderModel
from taskweb.models.encoder_head import EncoderWithHead, library_model
from taskweb.models.loading import ADAPTER_CONFIG, quiet, user_errors
from taskweb.models.twin import own_parameter

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_NAME = "default"


@dataclass(frozen=True, slots=True)
class PeftAdapter:
    """How a model is adapted that was opened from another tool's adapter folder. It can be evaluated, and not be trained on."""

    kind: str
    name: str = "peft"

    def parameters(self) -> Mapping[str, Parameter]:
        """The kind of adapter, as PEFT calls it."""
        return {"kind": self.kind}

    def resolved(self, model: TaskModel) -> Mapping[str, Parameter]:  # noqa: ARG002 - nothing depends on the model
        """Nothing depends on the model."""
        return {}

    def trains(self, model: TaskModel) -> Trained:  # noqa: ARG002 - nothing is trained
        """Nothing."""
        return Trained()

    def apply(self, model: TaskModel, *, seed: int) -> None:  # noqa: ARG002 - never done
        """Raises ParameterError: only a folder brings such an adapter."""
        raise ParameterError("An adapter of another tool cannot be made here, only opened.")


def is_peft_folder(folder: Path) -> bool:
    """Whether a folder contains an adapter in PEFT's layout."""
    return (folder / ADAPTER_CONFIG).is_file()


def peft_config_of(folder: Path) -> Any:
    """The configuration of an adapter folder.

    Raises InputError where it is damaged, its weights are not in safetensors format, or it changes inputs instead of layers;
    MissingDependencyError without PEFT.
    """
    try:
        from peft import PeftConfig
    except ImportError:
        raise MissingDependencyError("peft", "train", "Opening adapters") from None
    with user_errors(str(folder)):
        try:
            config = PeftConfig.from_pretrained(str(folder))
        except (TypeError, AttributeError) as fault:
            raise InputError(f"{folder / ADAPTER_CONFIG} cannot be read: {str(fault).rstrip('.')}. Update PEFT?") from None
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise InputError(
            f"{folder} contains no weights in safetensors format ({ADAPTER_WEIGHTS}), and other formats can run code when they "
            "are read. Convert it first."
        )
    if config.is_prompt_learning or config.is_adaption_prompt:
        raise InputError(
            f"{folder} is an adapter of the kind {config.peft_type.value}, which changes what a model reads instead of its "
            "layers. Only adapters of layers are opened, such as LoRA."
        )
    return config


def base_of(folder: Path) -> BaseReference:
    """The base that an adapter folder names. Raises InputError where it names none."""
    config = peft_config_of(folder)
    if not config.base_model_name_or_path:
        raise InputError(f"{folder} names no base model. Give it: taskweb evaluate BASE --adapter {folder}.")
    return BaseReference(str(config.base_model_name_or_path), config.revision)


def has_peft_layout(model: TaskModel) -> bool:
    """Whether an adapted model fits into PEFT's layout: LoRA on a class of the library, its head apart from it."""
    if model.method is None or model.method.name != "lora" or isinstance(model.module, EncoderWithHead):
        return False
    own = {name for name, _ in model.module.named_parameters(recurse=False)}
    return not own and not any(model.is_head(name) and ".lora_" in name for name, _ in model.module.named_parameters())


def write_peft(model: TaskModel, state: Mapping[str, torch.Tensor], base: BaseReference, folder: Path) -> None:
    """Write configuration and trained tensors of a LoRA model as PEFT does."""
    from peft import TaskType
    from peft.utils import get_peft_model_state_dict

    kinds = {"seq2seq": TaskType.SEQ_2_SEQ_LM, "causal": TaskType.CAUSAL_LM, "encoder": TaskType.SEQ_CLS}
    config: Any = copy.deepcopy(model.module.peft_config[_NAME])
    config.task_type = TaskType.QUESTION_ANS if model.head.kind == "span_qa" else kinds[model.family]
    config.base_model_name_or_path = base.name
    config.revision = base.revision
    config.inference_mode = True
    whole = _parts_saved_whole(model, inside=base.inside)
    config.modules_to_save = whole or None
    if isinstance(config.target_modules, set):
        config.target_modules = sorted(config.target_modules)
    config.save_pretrained(str(folder))
    tensors = get_peft_model_state_dict(model.module, dict(state), _NAME, save_embedding_layers=False)
    tensors |= {name: state[name] for name in state if any(name.startswith(f"{part}.") for part in whole)}
    save_file(
        {f"{_PREFIX}{name}": tensor.detach().contiguous().cpu() for name, tensor in sorted(tensors.items())},
        folder / ADAPTER_WEIGHTS,
        metadata={"format": "pt"},
    )


def _parts_saved_whole(model: TaskModel, *, inside: bool) -> list[str]:
    """Names of the parts of an encoder that stand in the adapter whole: its head, and what its base does not contain."""
    if not isinstance(model, EncoderModel):
        return []
    prefix = str(model.module.base_model_prefix)
    parts = [name for name, part in model.module.named_children() if name != prefix and any(True for _ in part.parameters())]
    made = library_model(model.module.config, model.head)
    known = set() if made is None else {name for name, _ in made.named_modules()}
    fresh = set() if inside else {f"{prefix}.{name.split('.')[0]}" for name in model.fresh}
    return [*parts, *sorted(fresh & known)]


def attach_peft(module: Any, folder: Path) -> nn.Module:
    """Put the adapter of a folder onto a library's model, as PEFT does; returns the module with it.

    The module is changed, its tensors are not. Raises InputError where adapter and model do not fit.
    """
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict

    config = peft_config_of(folder)
    names = _names_in(folder / ADAPTER_WEIGHTS)
    parameters = {name for name, _ in module.named_parameters()}
    for name in {_plain(name) for name in names} & parameters:  # tensors of the base that the adapter replaces
        own_parameter(module, name)
    with user_errors(str(folder)), quiet(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            adapted = PeftModel.from_pretrained(module, str(folder), config=config)
        except (AttributeError, TypeError, NotImplementedError) as fault:
            raise InputError(f"The adapter {folder} does not fit the model: {str(fault).rstrip('.')}.") from None
    if lacking := next((str(found.message) for found in caught if "missing adapter keys" in str(found.message)), None):
        raise InputError(f"The adapter {folder} does not fit the model. {' '.join(lacking.split())}")
    found = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    unknown = sorted(name for name in names - found if _plain(name) not in parameters)
    if unknown and not getattr(module, "_weight_conversions", None):  # PEFT renames what was made for another version
        raise InputError(
            f"The adapter {folder} does not fit the model: {len(unknown)} of its tensors have no place, such as {unknown[0]}."
        )
    return _unwrapped(adapted.base_model.model)


def _unwrapped(module: Any) -> nn.Module:
    """The module with the parts that stand in an adapter whole in their places, instead of beside those that they replace."""
    from peft.utils.other import ModulesToSaveWrapper

    for name, part in list(module.named_modules()):
        if isinstance(part, ModulesToSaveWrapper):
            place, _, last = name.rpartition(".")
            setattr(module.get_submodule(place), last, part.modules_to_save[_NAME])
    config = copy.copy(module.peft_config[_NAME])
    config.modules_to_save = None
    module.peft_config = {_NAME: config}
    return module


def _plain(name: str) -> str:
    """The name of a tensor in the base."""
    return name.removeprefix(_PREFIX).replace(".base_layer.", ".")


def _names_in(path: Path) -> set[str]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return set(file.keys())
    except (OSError, SafetensorError) as fault:
        raise InputError(f"{path} cannot be read: {str(fault).rstrip('.')}.") from None


def outputs_of_head(module: Any, folder: Path) -> int | None:
    """How many outputs the head of an encoder's adapter has, None where it brings none."""
    prefix = f"{module.base_model_prefix}."
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt", device="cpu") as file:
        stored = {name.removeprefix(_PREFIX): name for name in file.keys()}  # noqa: SIM118 - not a mapping
        last = [name for name, _ in module.named_parameters() if name in stored and not name.startswith(prefix)][-1:]
        return next((int(file.get_slice(stored[name]).get_shape()[0]) for name in last), None)
