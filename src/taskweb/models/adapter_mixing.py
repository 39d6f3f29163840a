"""Several LoRA adapters of one base as one: the weighted sum of their updates, exactly.

An update of a layer is scale x B A, with scale = alpha / r (alpha / sqrt(r) with rsLoRA). The sum over adapters i of
w_i x scale_i x B_i A_i is a LoRA update, too: its A are the A_i below each other, its B the w_i x scale_i x B_i beside each
other, its rank the sum of ranks, and its scale 1. Where an adapter leaves a layer alone, its part is zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from taskweb.errors import InputError
from taskweb.models.loading import ADAPTER_CONFIG
from taskweb.models.peft_folder import ADAPTER_WEIGHTS
from taskweb.models.ready_weights import PREFIX, ReadyAdapter, adapter_config, plain_name
from taskweb.tasks.atomic import whole_folder

_SHARED = ("base_model_name_or_path", "revision", "task_type", "fan_in_fan_out")
MANIFEST = "mixture.json"


@dataclass(frozen=True, slots=True)
class MixedAdapters:
    """What was written. rank: of the sum, the largest of its layers. base: what the adapters say they belong to. layers: how
    many are changed.
    """

    rank: int
    base: str
    layers: int


def mix_adapters(
    folders: Mapping[str, Path], weights: Mapping[str, float], to: Path, record: Mapping[str, Any]
) -> MixedAdapters:
    """Write the weighted sum of adapters as one adapter folder, which PEFT opens, with `mixture.json` (record) beside it.

    folders, weights: by name. Raises InputError for adapters of different bases or shapes, for DoRA, whose updates are no sums,
    for anything that is no LoRA adapter, and where the folder exists or cannot be written.
    """
    adapters = {name: _readable(folder) for name, folder in folders.items()}
    first, *others = adapters
    configs = {name: adapter_config(folders[name]) for name in adapters}
    for name in others:
        if differ := [key for key in _SHARED if configs[name].get(key) != configs[first].get(key)]:
            said = f"{configs[first].get(differ[0])} and {configs[name].get(differ[0])}"
            raise InputError(f"The adapters of {first} and {name} do not belong together: {differ[0]} is {said}.")
    tensors = _summed(adapters, weights)
    layers = sorted({name.rpartition(".")[0] for name in tensors})
    ranks = {layer: len(tensors[f"{layer}.lora_A"]) for layer in layers}
    rank = max(ranks.values())
    fewer = {layer: own for layer, own in ranks.items() if own != rank}
    config = {
        "peft_type": "LORA",
        **{key: configs[first].get(key) for key in _SHARED},
        "r": rank,
        "lora_alpha": rank,
        **({"rank_pattern": fewer, "alpha_pattern": fewer} if fewer else {}),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "target_modules": sorted({name.rpartition(".")[2] for name in layers}),
    }
    with whole_folder(to) as place:
        contents = {f"{PREFIX}{name}.weight": tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contents, place / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        for file, value in ((ADAPTER_CONFIG, config), (MANIFEST, record)):
            (place / file).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return MixedAdapters(rank, adapters[first].base, len(layers))


def _readable(folder: Path) -> ReadyAdapter:
    if not (folder / ADAPTER_CONFIG).is_file():
        raise InputError(f"{folder} is no LoRA adapter. Only adapters of one base can be mixed.")
    adapter = ReadyAdapter.read(folder)
    if adapter.method.use_dora:
        raise InputError(f"The adapter {folder} is DoRA, whose updates are no sums. Only plain LoRA and rsLoRA can be mixed.")
    return adapter


def _summed(adapters: Mapping[str, ReadyAdapter], weights: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """The tensors of the sum, by layer and part."""
    sizes = _sizes(adapters)
    parts: dict[str, list[torch.Tensor]] = {f"{layer}.{part}": [] for layer in sizes for part in ("lora_A", "lora_B")}
    for name, adapter in adapters.items():
        method = adapter.method
        found = _tensors(adapter.folder)
        for layer, (inputs, outputs) in sizes.items():
            rank, scale = method.rank_of(layer), weights[name] * method.scale_of(layer)
            parts[f"{layer}.lora_A"].append(found.get(f"{layer}.lora_A", torch.zeros(rank, inputs)))
            parts[f"{layer}.lora_B"].append(scale * found.get(f"{layer}.lora_B", torch.zeros(outputs, rank)))
    return {name: torch.cat(own, dim=0 if name.endswith("A") else 1) for name, own in parts.items()}


def _sizes(adapters: Mapping[str, ReadyAdapter]) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of each layer that any adapter changes. Raises InputError where they differ, or half is missing."""
    sizes: dict[str, tuple[int, int]] = {}
    whose: dict[str, str] = {}
    for name, adapter in adapters.items():
        for layer in sorted({tensor.rpartition(".")[0] for tensor in adapter.shapes}):
            first, second = (adapter.shapes.get(f"{layer}.{part}", ()) for part in ("lora_A", "lora_B"))
            rank = adapter.method.rank_of(layer)
            if len(first) != 2 or len(second) != 2 or (first[0], second[1]) != (rank, rank):
                raise InputError(f"The adapter {adapter.folder} is damaged: {layer} has the shapes {first} and {second}.")
            size = (first[1], second[0])
            if sizes.setdefault(layer, size) != size:
                raise InputError(
                    f"The adapters of {whose[layer]} and {name} do not belong to one base: {layer} maps {sizes[layer][0]} to "
                    f"{sizes[layer][1]} in one, and {size[0]} to {size[1]} in the other."
                )
            whose.setdefault(layer, name)
    return sizes


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt", device="cpu") as file:
        return {plain_name(name): file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a mapping
