"""Adapter folders that PEFT itself wrote, and several adapters on one base."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import torch
from peft import IA3Config, LoraConfig, PromptTuningConfig, TaskType, get_peft_model

from taskweb.errors import InputError, ParameterError
from taskweb.models import Head, load_model, method_of, open_model, save_bundle
from taskweb.models.bundle import BaseWithAdapters
from taskweb.models.methods.trainable import trainable
from tests.models import tiny
from tests.models.test_bundle import adapted, assert_same, base_folder, opened, opener_of, outputs
from tests.models.test_bundle_format_1 import FOLDERS

KINDS = {"t5": TaskType.SEQ_2_SEQ_LM, "gpt2": TaskType.CAUSAL_LM, "bert": TaskType.SEQ_CLS}


def made_elsewhere(name: str, base: Path, config: Any, place: Path, **options: Any) -> torch.Tensor:
    """Write an adapter as PEFT does; returns what it puts out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(opened(opener_of(name), base, **options), config)
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(1)
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        model.save_pretrained(place)
    return outputs(model, name)


def lora(name: str, **options: Any) -> LoraConfig:
    targets = {"t5": ["q", "v"], "gpt2": ["c_attn"], "bert": ["query", "value"]}[name]
    return LoraConfig(task_type=KINDS[name], target_modules=targets, fan_in_fan_out=name == "gpt2", **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dora": True},
        {"use_rslora": True, "rank_pattern": {"c_attn": 2}},
        {"bias": "lora_only"},
        {"modules_to_save": ["wte"]},
    ],
)
def test_a_lora_of_peft_opens_with_its_scores(options: dict[str, Any], tmp_path: Path) -> None:
    base = base_folder("gpt2", tmp_path / "base")
    wanted = made_elsewhere("gpt2", base, lora("gpt2", **options), tmp_path / "theirs")
    model = open_model(tmp_path / "theirs")
    assert torch.equal(outputs(model.module, "gpt2"), wanted)
    assert model.origin.name == str(base)
    with pytest.raises(ParameterError, match="already adapted by 'peft'"):
        method_of("lora").apply(model, seed=0)


def test_other_kinds_of_layers_open_and_changed_inputs_do_not(tmp_path: Path) -> None:
    base = base_folder("t5", tmp_path / "base")
    config = IA3Config(task_type=KINDS["t5"], target_modules=["k", "v", "wo"], feedforward_modules=["wo"])
    wanted = made_elsewhere("t5", base, config, tmp_path / "ia3")
    assert torch.equal(outputs(open_model(tmp_path / "ia3").module, "t5"), wanted)
    prompt = PromptTuningConfig(task_type=KINDS["gpt2"], num_virtual_tokens=2)
    made_elsewhere("gpt2", base_folder("gpt2", tmp_path / "gpt2"), prompt, tmp_path / "prompt")
    with pytest.raises(InputError, match="kind PROMPT_TUNING, which changes what a model reads"):
        open_model(tmp_path / "prompt")


def test_an_encoders_adapter_of_peft_has_a_head(tmp_path: Path) -> None:
    base = base_folder("bert", tmp_path / "base")
    for labels in (1, 3):
        wanted = made_elsewhere("bert", base, lora("bert"), tmp_path / f"{labels}", num_labels=labels)
        model = open_model(tmp_path / f"{labels}")
        assert torch.equal(outputs(model.module, "bert"), wanted)
        assert model.head == (Head("regression") if labels == 1 else Head("classification", ("LABEL_0", "LABEL_1", "LABEL_2")))
    named = open_model(tmp_path / "3", Head("classification", ("no", "maybe", "yes")))
    assert torch.equal(outputs(named.module, "bert"), wanted)  # other names, the same head
    config = json.loads((tmp_path / "3" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(base_folder("gpt2", tmp_path / "gpt2"))
    (tmp_path / "3" / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"puts a head \(SEQ_CLS\) on a model that answers in text"):
        open_model(tmp_path / "3")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = base_folder("gpt2", tmp_path / "base")
    place = tmp_path / "theirs"
    made_elsewhere("gpt2", base, lora("gpt2"), place)
    weights, config = load_file(place / "adapter_model.safetensors"), json.loads((place / "adapter_config.json").read_text())
    first = next(iter(weights))
    save_file({key: value for key, value in weights.items() if key != first}, place / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"does not fit the model.*missing adapter keys"):
        open_model(place)
    save_file({**weights, first.replace(".0.", ".9."): weights[first].clone()}, place / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"1 of its tensors have no place, such as .*\.9\."):
        open_model(place)
    save_file({**weights, first: weights[first][:1].clone()}, place / "adapter_model.safetensors")
    with pytest.raises(InputError, match="size mismatch"):
        open_model(place)
    save_file(weights, place / "adapter_model.safetensors")
    (place / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["q_proj"]}))
    with pytest.raises(InputError, match="Target modules"):
        open_model(place)
    (place / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": None}))
    with pytest.raises(InputError, match=r"names no base model\. Give it"):
        open_model(place)
    (place / "adapter_model.safetensors").rename(place / "adapter_model.bin")
    with pytest.raises(InputError, match="no weights in safetensors format"):
        open_model(place)
    (place / "adapter_config.json").write_text("{")
    with pytest.raises(InputError, match="cannot be"):
        open_model(place)


@pytest.mark.parametrize("name", ["t5", "gpt2", "bert"])
def test_one_base_serves_many_adapters_and_is_left_as_it_was(name: str, tmp_path: Path) -> None:
    base = base_folder(name, tmp_path / "base")
    models = {method: adapted(base, method) for method in ("lora", "pfeiffer")}
    for method, model in models.items():
        save_bundle(model, tmp_path / method)
    wanted = made_elsewhere(name, base, lora(name, bias="lora_only"), tmp_path / "theirs")
    shared = BaseWithAdapters(str(base))
    before = {key: (tensor.data_ptr(), tensor.clone()) for key, tensor in shared.checkpoint.module.named_parameters()}
    opened_ones = {folder: shared.with_adapter(tmp_path / folder) for folder in ("lora", "theirs", "pfeiffer")}
    head = tiny.LABELS if name == "bert" else None
    alone = shared.alone(head)
    for method, model in models.items():
        assert_same(model, opened_ones[method])
    assert torch.equal(outputs(opened_ones["theirs"].module, name), wanted)
    if name != "bert":
        assert_same(load_model(str(base)), alone)
    for key, tensor in shared.checkpoint.module.named_parameters():
        assert tensor.data_ptr() == before[key][0]
        assert torch.equal(tensor, before[key][1])
    # The weights of the base are there once.
    body = {tensor.data_ptr() for key, tensor in shared.checkpoint.module.named_parameters() if "classifier" not in key}
    for model in (*opened_ones.values(), alone):
        own = {tensor.data_ptr() for tensor in model.module.parameters()}
        assert len(body - own) <= (0 if model is not opened_ones["theirs"] else len(body) // 4)
    assert set(trainable(opened_ones["lora"].module)) == set(trainable(models["lora"].module))


def test_an_adapter_of_another_base_and_what_is_none(tmp_path: Path) -> None:
    base = base_folder("gpt2", tmp_path / "base")
    save_bundle(adapted(base, "lora"), tmp_path / "lora")
    save_bundle(adapted(base, "finetune"), tmp_path / "whole")
    shared = BaseWithAdapters(str(tmp_path / "whole"))
    with pytest.raises(InputError, match=f"was trained on other weights than those of {tmp_path / 'whole'}. Give .*: {base}"):
        shared.with_adapter(tmp_path / "lora")
    with pytest.raises(InputError, match="is a whole model, not an adapter"):
        shared.with_adapter(tmp_path / "whole")
    with pytest.raises(InputError, match="is no adapter"):
        shared.with_adapter(tmp_path)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_base_that_taskweb_trained_is_itself_alone(name: str, tmp_path: Path) -> None:
    whole = adapted(base_folder(name, tmp_path / "base"), "finetune")
    whole.max_input = 30
    save_bundle(whole, tmp_path / "whole")
    model = adapted(tmp_path / "whole", "lora")
    save_bundle(model, tmp_path / "lora")
    shared = BaseWithAdapters(str(tmp_path / "whole"))
    assert_same(whole, shared.alone())
    assert shared.alone().max_input == 30
    assert_same(model, shared.with_adapter(tmp_path / "lora"))
    old = FOLDERS / f"{name}-finetune"
    assert_same(open_model(old), BaseWithAdapters(str(old)).alone())


def test_adapters_on_the_same_random_base_share_it(tmp_path: Path) -> None:
    for method in ("lora", "pfeiffer"):
        model = tiny.model("gpt2", seed=5)
        method_of(method).apply(model, seed=1)
        save_bundle(model, tmp_path / method)
    shared = BaseWithAdapters(str(tmp_path / "lora" / "base"))
    for method in ("lora", "pfeiffer"):
        assert shared.with_adapter(tmp_path / method).method is not None
