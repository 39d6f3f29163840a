"""A weighted sum of adapters is an adapter: its update is the sum of theirs, whatever their ranks, scales and layers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import torch
from safetensors.torch import load_file, save_file

from taskweb.errors import InputError
from taskweb.models import load_model
from taskweb.models.adapter_mixing import mix_adapters
from taskweb.models.bundle import BaseWithAdapters
from tests.experiments.planned import write_checkpoint
from tests.models.ready import change_config, write_adapter

OWN = {"r": 2, "lora_alpha": 3, "use_rslora": True, "rank_pattern": {"v": 3}, "alpha_pattern": {"q": 5}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("base") / "t5")


def updates(base: Path, folder: Path) -> dict[str, torch.Tensor]:
    """What PEFT adds to each layer."""
    module = BaseWithAdapters(str(base)).with_adapter(folder).module
    return {
        name: part.get_delta_weight("default") for name, part in module.named_modules() if hasattr(part, "get_delta_weight")
    }


def test_the_update_is_the_weighted_sum(base: Path, tmp_path: Path) -> None:
    kinds = {"a": {}, "b": OWN, "c": {"target_modules": ["q", "wo"]}}
    folders = {name: write_adapter(base, tmp_path / name, seed=i, **more) for i, (name, more) in enumerate(kinds.items())}
    weights = {"a": 0.5, "b": 0.3, "c": 0.2}
    made = mix_adapters(folders, weights, tmp_path / "sum", {"mixed": []})
    assert (made.rank, made.base) == (11, str(base))
    found, own = updates(base, tmp_path / "sum"), {name: updates(base, folder) for name, folder in folders.items()}
    assert set(found) == set().union(*own.values())
    for layer, update in found.items():
        expected = sum(weights[name] * own[name][layer] for name in own if layer in own[name])
        assert torch.allclose(update, expected, atol=1e-6)
    assert load_model(str(base)).module is not None


def test_what_is_no_sum_is_refused(base: Path, tmp_path: Path) -> None:
    a, b = (write_adapter(base, tmp_path / name) for name in "ab")
    halves = {"a": 0.5, "b": 0.5}

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message):
            mix_adapters({"a": a, "b": b}, halves, tmp_path / "sum", {})
        assert not (tmp_path / "sum").exists()

    change_config(b, base_model_name_or_path="another/base")
    refused(r"The adapters of a and b do not belong together: base_model_name_or_path is .* and another/base\.")
    write_adapter(base, b, use_dora=True)
    refused(r"is DoRA, whose updates are no sums")
    write_adapter(base, b)
    tensors = load_file(b / "adapter_model.safetensors")
    wider = {name: torch.zeros(4, 40) if "lora_A" in name else tensor for name, tensor in tensors.items()}
    save_file(wider, b / "adapter_model.safetensors")
    refused(r"do not belong to one base: .* maps 32 to 32 in one, and 40 to 32 in the other")
    save_file({name: tensor for name, tensor in tensors.items() if "lora_A" not in name}, b / "adapter_model.safetensors")
    refused(r"is damaged: .* has the shapes \(\) and \(32, 4\)")
    b = base
    refused("is no LoRA adapter")
