"""Adapters and models of others in the place of weights after a source: the same answers, or one line that says why not."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import torch
from safetensors.torch import load_file, save_file

from taskweb.errors import InputError
from taskweb.models import TaskModel, load_model, method_of, open_model
from taskweb.models.bundle import BaseWithAdapters, save_bundle
from taskweb.models.outline import outline_of
from taskweb.models.ready_weights import check_ready, lora_parameters_of, put_ready, same_parameters
from taskweb.tasks import Example
from tests.experiments.planned import write_checkpoint
from tests.models.ready import change_config, write_adapter

EXAMPLES = [Example(f"the cat sat on {word}", "yes", ("yes", "no")) for word in ("mat", "tree", "1")]
LORA = {"r": 4, "alpha": 8, "targets": "q,v"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("base") / "t5")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("base") / "gpt2", "gpt2")


def scores(model: TaskModel) -> list[list[float]]:
    return [own.tolist() for own in model.score_choices(EXAMPLES)]


def filled(base: Path, folder: Path, method: str = "lora", **parameters: Any) -> TaskModel:
    how = method_of(method, parameters)
    check_ready(outline_of(str(base)), how, folder)
    model = load_model(str(base))
    how.apply(model, seed=3)
    put_ready(model, folder)
    return model


OTHER_KINDS = [pytest.param({key: True}, marks=pytest.mark.repeats, id=key) for key in ("use_rslora", "use_dora")]


@pytest.mark.parametrize("changes", [{}, *OTHER_KINDS])
def test_an_adapter_answers_as_peft_does(base: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = write_adapter(base, tmp_path / "a", **changes)
    assert lora_parameters_of(folder) == LORA | changes
    model = filled(base, folder, **LORA, **changes)
    assert scores(model) == scores(BaseWithAdapters(str(base)).with_adapter(folder)) != scores(load_model(str(base)))
    assert any(parameter.requires_grad for parameter in model.module.parameters())  # it can be trained on from here


def test_layers_with_ranks_and_alphas_of_their_own_answer_as_in_peft(base: Path, tmp_path: Path) -> None:
    """The first name that fits counts: the first `v` has another rank than others, and `q` another alpha."""
    first = "encoder.block.0.layer.0.SelfAttention.v"
    folder = write_adapter(base, tmp_path / "a", rank_pattern={first: 2, "v": 3}, alpha_pattern={"SelfAttention.q": 2.5})
    patterns = {"rank_pattern": f"{first}=2,v=3", "alpha_pattern": "SelfAttention.q=2.5"}
    assert lora_parameters_of(folder) == LORA | patterns
    model = filled(base, folder, **LORA, **patterns)
    assert scores(model) == scores(BaseWithAdapters(str(base)).with_adapter(folder)) != scores(load_model(str(base)))
    shapes = {name: tuple(own.shape) for name, own in model.module.named_parameters() if own.requires_grad}
    assert {shape[0] for name, shape in shapes.items() if "v.lora_A" in name} == {2, 3}
    assert (
        sum(own.numel() for own in model.module.parameters() if own.requires_grad)
        == method_of("lora", LORA | patterns).trains(outline_of(str(base))).added
    )
    save_bundle(model, tmp_path / "own")
    assert lora_parameters_of(tmp_path / "own") == LORA | patterns
    with pytest.raises(InputError, match=r"has rank_pattern = encoder.*, and the setup False, False"):
        filled(base, folder, **LORA)


@pytest.mark.repeats
def test_an_adapter_of_a_decoder_with_turned_weights(decoder: Path, tmp_path: Path) -> None:
    folder = write_adapter(decoder, tmp_path / "a")
    model = filled(decoder, folder, r=4, alpha=8, targets="c_attn")
    assert scores(model) == scores(BaseWithAdapters(str(decoder)).with_adapter(folder))


def test_an_adapter_of_our_own_and_a_whole_model(base: Path, tmp_path: Path) -> None:
    trained = load_model(str(base))
    method_of("lora", LORA).apply(trained, seed=1)
    with torch.no_grad():
        for parameter in trained.module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    save_bundle(trained, tmp_path / "own")
    assert scores(filled(base, tmp_path / "own", **LORA)) == scores(trained)
    whole = load_model(str(base))
    method_of("finetune").apply(whole, seed=1)
    with torch.no_grad():
        next(whole.module.parameters()).mul_(1.5)
    save_bundle(whole, tmp_path / "whole")
    assert scores(filled(base, tmp_path / "whole", "finetune")) == scores(open_model(tmp_path / "whole"))
    assert lora_parameters_of(tmp_path / "whole") is None


REFUSED = {
    "has alpha_pattern = q=3": {"alpha_pattern": {"q": 3}},
    "does not say what the adapter is: rank_pattern contains '(a+)+=2'": {"rank_pattern": {"(a+)+": 2}},
    "does not say what the adapter is: rank_pattern is ": {"rank_pattern": {"q": "four"}},
    "does not say what the adapter is: The ranks": {"rank_pattern": {"q": 0}},
    "uses bias of PEFT": {"bias": "all"},
    "uses init_lora_weights of PEFT": {"init_lora_weights": "pissa"},
    "is of the kind IA3": {"peft_type": "IA3"},
    "does not say what the adapter is": {"r": None},
    "has r = 8": {"r": 8},
    "has use_rslora = True": {"use_rslora": True},
}


@pytest.mark.parametrize(("message", "values"), REFUSED.items(), ids=REFUSED)
def test_adapters_that_are_something_else(base: Path, tmp_path: Path, message: str, values: dict[str, Any]) -> None:
    change_config(write_adapter(base, tmp_path / "a"), **values)
    with pytest.raises(InputError) as caught:
        filled(base, tmp_path / "a", **LORA)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_adapter_of_another_base_or_of_other_layers(base: Path, decoder: Path, tmp_path: Path) -> None:
    folder = write_adapter(base, tmp_path / "a", named="google/t5-small-lm-adapt")
    outline = outline_of(str(base))
    check_ready(outline, method_of("lora", LORA), folder)  # a folder may contain those weights
    object.__setattr__(outline.origin, "name", "google/t5-v1_1-base")
    with pytest.raises(
        InputError, match=r"was trained on google/t5-small-lm-adapt, and the setup starts from google/t5-v1_1-base"
    ):
        check_ready(outline, method_of("lora", LORA), folder)
    with pytest.raises(InputError, match=r"changes the layers q,v, and the setup c_attn\."):
        filled(decoder, folder, r=4, alpha=8, targets="c_attn")
    with pytest.raises(InputError, match=r'train with method_parameters = \{r = 4, alpha = 8, targets = "q,v"\}'):
        filled(base, folder, r=4, alpha=8, targets="q,k,v")
    with pytest.raises(InputError, match="is a LoRA adapter, and the setup trains by finetune"):
        filled(base, folder, "finetune")
    with pytest.raises(InputError, match="is a whole model, and the setup trains by lora"):
        filled(base, base, **LORA)
    wider = tmp_path / "wider"
    shutil.copytree(base, wider)
    (wider / "config.json").write_text((base / "config.json").read_text().replace('"d_ff": 48', '"d_ff": 56'))
    with pytest.raises(
        InputError, match=r"does not fit the model: .*wi_0.weight has the shape \(56, 32\), and \(48, 32\) here"
    ):
        filled(base, wider, "finetune")


def test_damaged_and_hostile_adapters(base: Path, tmp_path: Path) -> None:
    folder = write_adapter(base, tmp_path / "a")
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    name = sorted(tensors)[0]
    save_file({**tensors, name: tensors[name][:, :-1].contiguous()}, weights)
    with pytest.raises(InputError, match=r"lora_A has the shape \(4, 31\), and \(4, 32\) here"):
        filled(base, folder, **LORA)
    save_file({key: value for key, value in tensors.items() if key != name}, weights)
    with pytest.raises(InputError, match=r"it lacks 1 tensor, such as .*lora_A"):
        filled(base, folder, **LORA)
    save_file({**tensors, "base_model.model.shared.weight": torch.zeros(2)}, weights)
    with pytest.raises(InputError, match=r"contains the tensor base_model\.model\.shared\.weight, which is no part of LoRA"):
        filled(base, folder, **LORA)
    weights.write_bytes(b"no tensors")
    with pytest.raises(InputError, match="cannot be read"):
        filled(base, folder, **LORA)
    weights.unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Path("ran")))
    with pytest.raises(InputError, match="other formats can run code"):
        filled(base, folder, **LORA)
    (folder / "adapter_config.json").write_text("[" * 10**5)
    with pytest.raises(InputError, match="cannot be read"):
        filled(base, folder, **LORA)


def test_adapters_of_one_kind(base: Path, tmp_path: Path) -> None:
    folders = {name: write_adapter(base, tmp_path / name, r=r) for name, r in (("a", 4), ("b", 4), ("c", 2))}
    assert same_parameters({name: folders[name] for name in ("a", "b")}) == LORA
    with pytest.raises(InputError, match=r"One setup cannot go on from both b \(.*r = 4.* and c \(.*r = 2"):
        same_parameters(folders)
