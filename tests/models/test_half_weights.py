"""Frozen weights in half precision: what is trained stays float32, and everything still computes right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from transformers import LlamaConfig, MistralConfig

from taskweb.errors import InputError, MissingDependencyError, NameNotFoundError, ParameterError
from taskweb.models import METHODS, TaskModel, load_model, method_of, random_model
from taskweb.models.arithmetic import dtype_of
from taskweb.models.encoder_head import body_of
from taskweb.models.methods.trainable import trainable
from taskweb.models.verification import verify_causal
from taskweb.models.weight_storage import Weights
from taskweb.tasks import Task
from taskweb.training import TrainingSettings, evaluate, fit
from taskweb.training.settings import computing_in
from tests.models import tiny

NAMES = (*tiny.NAMES, "llama")
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
SETTINGS = TrainingSettings(learning_rate=0.01, batch_size=8, epochs=4, device="cpu", log_every=1)
TASK = Task("animals", "classification", ("accuracy",))


def made(name: str) -> TaskModel:
    if name != "llama":
        return tiny.model(name, seed=3)
    tokenizer = tiny.tokenizer("gpt2")
    ends = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.1, **SHAPE, **ends)
    return random_model(config, tokenizer, tiny.LABELS, seed=3)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name in NAMES:
        model = made(name)
        found[name] = tmp_path_factory.mktemp(name)
        (body_of(model.module) if name in tiny.ENCODERS else model.module).save_pretrained(found[name])
        model.tokenizer.save_pretrained(found[name])
    return found


def loaded(folder: Path, dtype: Any) -> TaskModel:
    return load_model(str(folder), tiny.LABELS, seed=3, weights=Weights(dtype))


def scores_of(model: TaskModel) -> np.ndarray:
    return np.stack(model.score_choices(tiny.statements(12)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NAMES)
def test_scores_with_half_weights_are_those_of_float32_but_for_rounding(
    name: str, dtype: str, folders: dict[str, Path]
) -> None:
    exact, model = loaded(folders[name], "float32"), loaded(folders[name], dtype)
    half = getattr(torch, dtype)
    kept = {key for key, parameter in model.module.named_parameters() if parameter.ndim > 1 and not model.is_head(key)}
    stored = {key: parameter.dtype for key, parameter in model.module.named_parameters()}
    exceptions = {key for key in kept if ".wo." in key}  # transformers keeps these of T5 in float32
    assert {stored[key] for key in kept - exceptions} == {half}
    assert {stored[key] for key in set(stored) - kept} <= {torch.float32}
    wanted, found = scores_of(exact), scores_of(model)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, wanted, atol=0.06 * np.abs(wanted).max())
    assert not np.array_equal(found, wanted)
    assert torch.get_autocast_dtype("cpu") == torch.bfloat16  # as it was
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_training_on_half_weights_lowers_the_loss_and_trains_float32(name: str, method: str, folders: dict[str, Path]) -> None:
    model = loaded(folders[name], "bfloat16")
    if name == "llama" and method == "bitfit":
        with pytest.raises(ParameterError, match="has none"):
            method_of(method).apply(model, seed=0)
        return
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    method_of(method).apply(model, seed=0)
    assert {parameter.dtype for parameter in trainable(model.module).values()} == {torch.float32}
    examples = tiny.statements()
    history = fit(model, examples, SETTINGS, seed=0)
    assert history.precision == ("float32" if method == "finetune" else "bfloat16")
    assert history.losses[-1].loss < history.losses[0].loss
    assert {parameter.dtype for parameter in trainable(model.module).values()} == {torch.float32}
    for key, parameter in model.module.named_parameters():
        plain = key.replace(".base_layer", "")
        if not parameter.requires_grad:
            assert torch.equal(parameter, before[plain])
            assert parameter.dtype == before[plain].dtype
    assert np.isfinite(scores_of(model)).all()
    assert 0 <= evaluate(model, TASK, examples)["accuracy"] <= 1


def test_float16_is_trained_in_bfloat16_and_scored_in_float16(folders: dict[str, Path]) -> None:
    model = loaded(folders["llama"], "float16")
    method_of("lora").apply(model, seed=0)
    history = fit(model, tiny.statements(), SETTINGS, seed=0)
    assert history.precision == "bfloat16"
    assert history.losses[-1].loss < history.losses[0].loss
    found = scores_of(model)
    with computing_in("bfloat16", torch.device("cpu")):
        assert not np.array_equal(scores_of(model), found)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_float32_arithmetic_needs_float32_weights(dtype: str, folders: dict[str, Path]) -> None:
    settings = TrainingSettings(steps=1, precision="float32", device="cpu")
    model = loaded(folders["gpt2"], dtype)
    method_of("bitfit").apply(model, seed=0)
    with pytest.raises(ParameterError, match=rf"stored in {dtype} cannot be computed with in float32\. Leave"):
        fit(model, tiny.statements(4), settings, seed=0)
    whole = loaded(folders["gpt2"], dtype)
    method_of("finetune").apply(whole, seed=0)
    assert dtype_of(whole.module) == torch.float32
    assert fit(whole, tiny.statements(4), settings, seed=0).precision == "float32"


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_a_head_is_drawn_in_float32_whatever_the_body_is_stored_in(name: str, folders: dict[str, Path]) -> None:
    models = [loaded(folders[name], dtype) for dtype in ("float32", "bfloat16")]
    exact, half = ({k: p for k, p in model.module.named_parameters() if model.is_head(k)} for model in models)
    assert exact
    assert all(torch.equal(exact[key], half[key]) for key in exact)


def test_shorter_ways_are_found_right_whatever_the_arithmetic(folders: dict[str, Path]) -> None:
    exact = loaded(folders["llama"], "float32")
    with computing_in("bfloat16", torch.device("cpu")):
        inside = exact.verified
    assert (inside.logits, inside.tree, inside.right_padding) == ("head", True, True)
    half = loaded(folders["llama"], "bfloat16").verified
    assert (half.logits, half.tree, half.tree_limit, half.right_padding) == ("head", True, None, True)
    windowed = MistralConfig(vocab_size=300, sliding_window=8, max_position_embeddings=64, initializer_range=0.1, **SHAPE)
    module = random_model(windowed, tiny.tokenizer("gpt2"), seed=0).module.to(torch.bfloat16)
    found = verify_causal(module, 0, 64)
    assert (found.tree, found.tree_limit) == (True, 8)


def test_the_first_loss_under_autocast_reaches_what_is_trained(folders: dict[str, Path]) -> None:
    """Checks of shorter ways run within it, without gradients, and must leave no casts of weights behind."""
    model = loaded(folders["llama"], "float32")
    method_of("lora").apply(model, seed=0)
    with computing_in("bfloat16", torch.device("cpu")):
        model.loss(model.encode(tiny.statements(4))).backward()
    assert all(parameter.grad is not None for parameter in trainable(model.module).values())


@pytest.mark.parametrize("method", ["finetune", "bitfit"])
def test_quantized_weights_are_not_trained(method: str) -> None:
    model = made("gpt2")
    packed = torch.nn.Parameter(torch.zeros(4, dtype=torch.uint8), requires_grad=False)
    model.module.transformer.h[0].register_parameter("packed", packed)
    with pytest.raises(ParameterError, match=rf"'{method}' trains the model's own weights, and those of random are quantized"):
        method_of(method).apply(model, seed=0)
    method_of("lora").apply(model, seed=0)
    assert not packed.requires_grad


# How weights are loaded


def test_auto_is_float32_without_a_gpu_and_as_saved_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Weights("auto").options() == {"dtype": torch.float32}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Weights("auto").options() == {"dtype": "auto"}
    assert Weights("bfloat16").options() == {"dtype": torch.bfloat16}
    with pytest.raises(NameNotFoundError, match="no dtype named 'half'"):
        Weights("half")  # type: ignore[arg-type]


@pytest.mark.parametrize("load_in", ["8bit", "4bit"])
def test_quantized_weights_need_a_gpu_and_bitsandbytes(load_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=rf"Loading in {load_in} needs a GPU, and none is found\. Leave"):
        Weights(load_in=load_in)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("taskweb.models.weight_storage.find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match=r"Loading in .* needs .*bitsandbytes.*quant"):
        Weights(load_in=load_in)
    with pytest.raises(NameNotFoundError, match="no quantization named '2bit'"):
        Weights(load_in="2bit")  # type: ignore[arg-type]
