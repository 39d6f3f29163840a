"""What each method trains, counted by hand, and what it computes."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from taskweb.errors import NameNotFoundError, ParameterError
from taskweb.models import METHODS, TaskModel, count_trainable, method_of
from taskweb.models.encoder_head import body_of
from taskweb.models.methods.places import adapter_places
from taskweb.models.methods.trainable import trainable
from tests.models import tiny

D, FF, LAYERS = tiny.HIDDEN, 48, 2  # hidden and feed-forward size, layers (T5: of each stack); GPT-2 has 4 D feed-forward
GPT_FF = 4 * D
HEAD = {"t5": 0, "gpt2": 0, "bert": 2 * D + 2, "roberta": D * D + D + 2 * D + 2}


def adapted(name: str, method: str, **parameters: object) -> TaskModel:
    model = tiny.model(name, seed=1)
    method_of(method, parameters).apply(model, seed=7)  # type: ignore[arg-type]
    return model


def outputs(model: TaskModel) -> list[torch.Tensor]:
    with torch.no_grad():
        return [torch.from_numpy(values) for values in model.score_choices(tiny.statements(6))]


def adapter_count(name: str, reduction: int = 16) -> int:
    width = D // reduction
    blocks = 2 * LAYERS if name == "t5" else LAYERS
    return blocks * (2 * D * width + width + D)


def bias_count(name: str) -> int:
    if name == "t5":  # q, k, v, o and a norm per attention; wi_0, wi_1, wo and a norm; one final norm per stack
        attention, feed_forward = 3 * D + D + D, 2 * FF + D + D
        return LAYERS * (attention + feed_forward) + D + LAYERS * (2 * attention + feed_forward) + D
    if name == "gpt2":  # joint q, k, v; projection; two norms; feed-forward in and out; the final norm
        return LAYERS * (3 * D + D + 2 * D + GPT_FF + D) + D
    pooler = D if name == "bert" else 0  # embedding norm; q, k, v, output, norm; feed-forward in, out, norm
    return D + LAYERS * (3 * D + D + D + FF + D + D) + pooler


def lora_count(name: str, r: int = 8) -> int:
    attentions = 3 * LAYERS if name == "t5" else LAYERS
    return attentions * r * (D + 3 * D) if name == "gpt2" else attentions * 2 * r * 2 * D


@pytest.mark.parametrize("name", tiny.NAMES)
def test_the_number_of_trained_parameters(name: str) -> None:
    assert count_trainable(adapted(name, "pfeiffer").module) == adapter_count(name) + HEAD[name]
    assert count_trainable(adapted(name, "pfeiffer", reduction_factor=4).module) == adapter_count(name, 4) + HEAD[name]
    assert count_trainable(adapted(name, "bitfit").module) == bias_count(name) + HEAD[name]
    assert count_trainable(adapted(name, "lora").module) == lora_count(name) + HEAD[name]
    assert count_trainable(adapted(name, "lora", r=2).module) == lora_count(name, 2) + HEAD[name]
    everything = adapted(name, "finetune").module
    assert count_trainable(everything) == sum(parameter.numel() for parameter in everything.parameters())


@pytest.mark.parametrize("name", tiny.NAMES)
def test_full_fine_tuning_trains_the_parameters_of_the_architecture(name: str) -> None:
    config = tiny.config(name)
    size = config.vocab_size
    if name == "t5":
        attention, feed_forward = 4 * D * D + D, 3 * D * FF + D
        stacks = LAYERS * (attention + feed_forward) + D + LAYERS * (2 * attention + feed_forward) + D
        wanted = size * D + stacks + 2 * config.relative_attention_num_buckets * config.num_heads
    elif name == "gpt2":
        block = 4 * D + 3 * D * D + 3 * D + D * D + D + 2 * D * GPT_FF + GPT_FF + D
        wanted = size * D + 64 * D + LAYERS * block + 2 * D
    else:
        embeddings = (size + config.max_position_embeddings + config.type_vocab_size) * D + 2 * D
        layer = 4 * (D * D + D) + 2 * D + 2 * D * FF + FF + D + 2 * D
        wanted = embeddings + LAYERS * layer + (D * D + D if name == "bert" else 0)
    assert count_trainable(adapted(name, "finetune").module) == wanted + HEAD[name]


@pytest.mark.parametrize("name", tiny.NAMES)
def test_bitfit_changes_nothing_before_training_to_the_bit(name: str) -> None:
    plain, model = tiny.model(name, seed=1), adapted(name, "bitfit")
    assert all(torch.equal(a, b) for a, b in zip(outputs(plain), outputs(model), strict=True))
    encoded = plain.encode(tiny.statements(6))
    with torch.no_grad():  # with gradients, torch chooses the attention's kernel by which tensors need them
        assert torch.equal(plain.loss(encoded), model.loss(encoded))


def test_the_biases_of_t5_are_added_to_what_its_layers_put_out() -> None:
    model = adapted("t5", "bitfit")
    layer = model.module.encoder.block[0].layer[-1]
    states = torch.randn(2, 3, D)
    with torch.no_grad():
        for parameter in trainable(model.module).values():
            parameter.normal_()
        dense = layer.DenseReluDense
        scaled = states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + 1e-6) * layer.layer_norm.weight
        normed = scaled + layer.layer_norm.taskweb_bias
        gate = F.gelu(F.linear(normed, dense.wi_0.weight, dense.wi_0.taskweb_bias), approximate="tanh")
        inner = gate * F.linear(normed, dense.wi_1.weight, dense.wi_1.taskweb_bias)
        wanted = states + F.linear(inner, dense.wo.weight, dense.wo.taskweb_bias)
        torch.testing.assert_close(layer(states), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "gelu_new"])
@pytest.mark.parametrize("name", tiny.NAMES)
def test_adapters_compute_their_formula(name: str, activation: str) -> None:
    model, plain = adapted(name, "pfeiffer", activation=activation), tiny.model(name, seed=1)
    ends, plain_ends = ([place.module for place in adapter_places(own)] for own in (model, plain))
    assert len(ends) == (2 * LAYERS if name == "t5" else LAYERS)
    with torch.no_grad():
        for parameter in trainable(model.module).values():
            parameter.normal_()
    states = torch.randn(2, 3, D)
    for end, plain_end in zip(ends, plain_ends, strict=True):
        own = end.taskweb_adapter

        def d(z: torch.Tensor, own: nn.Module = own) -> torch.Tensor:
            inner = own.down.weight @ z.unsqueeze(-1) + own.down.bias.unsqueeze(-1)
            inner = inner.clamp(min=0) if activation == "relu" else F.gelu(inner, approximate="tanh")
            return (own.up.weight @ inner).squeeze(-1) + own.up.bias

        with torch.no_grad():
            if name in tiny.ENCODERS:  # states are h + x
                wanted = plain_end(d(plain_end(states)) + states)
            else:
                h = plain_end(states)
                wanted = h + d(h)
            torch.testing.assert_close(end(states), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_the_adapter_of_a_post_norm_layer_reads_feed_forward_output_and_input(name: str) -> None:
    model = adapted(name, "pfeiffer")
    layer = body_of(model.module).encoder.layer[0]
    x = torch.randn(1, 4, D)
    with torch.no_grad():
        h = layer.output.dense(layer.intermediate(x))
        norm, own = layer.output.LayerNorm, layer.output.LayerNorm.taskweb_adapter
        ln = nn.LayerNorm(D, eps=norm.eps)
        ln.load_state_dict({"weight": norm.weight, "bias": norm.bias})
        z = ln(h + x)
        wanted = ln(own.up(F.relu(own.down(z))) + h + x)
        torch.testing.assert_close(layer.output(layer.intermediate(x), x), wanted, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", tiny.NAMES)
def test_lora_changes_nothing_before_training_and_follows_its_formula(name: str) -> None:
    plain, model = tiny.model(name, seed=1), adapted(name, "lora", r=2, alpha=6)
    for a, b in zip(outputs(plain), outputs(model), strict=True):
        torch.testing.assert_close(a, b)
    layer = next(module for module in model.module.modules() if hasattr(module, "lora_A"))
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    states = torch.randn(3, D)
    with torch.no_grad():
        b.normal_()
        torch.testing.assert_close(layer(states), layer.base_layer(states) + 3.0 * states @ a.T @ b.T)


@pytest.mark.parametrize("name", tiny.NAMES)
def test_rank_stabilised_updates_are_scaled_by_the_root_of_the_rank(name: str) -> None:
    model = adapted(name, "lora", r=4, alpha=6, use_rslora=True)
    layer = next(module for module in model.module.modules() if hasattr(module, "lora_A"))
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    states = torch.randn(3, D)
    with torch.no_grad():
        b.normal_()
        torch.testing.assert_close(layer(states), layer.base_layer(states) + 6 / 4**0.5 * states @ a.T @ b.T)


@pytest.mark.parametrize("name", tiny.NAMES)
def test_dora_learns_the_length_of_weights_apart_from_their_direction(name: str) -> None:
    plain, model = tiny.model(name, seed=1), adapted(name, "lora", r=2, alpha=6, use_dora=True)
    for one, other in zip(outputs(plain), outputs(model), strict=True):
        torch.testing.assert_close(one, other)
    layer = next(module for module in model.module.modules() if hasattr(module, "lora_A"))
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    length = layer.lora_magnitude_vector["default"].weight
    weight, bias = layer.base_layer.weight, getattr(layer.base_layer, "bias", None)
    states = torch.randn(3, D)
    with torch.no_grad():
        b.normal_()
        length.mul_(1.5)
        direction = (weight.T if name == "gpt2" else weight) + 3.0 * b @ a
        wanted = states @ (length.unsqueeze(1) * direction / direction.norm(dim=1, keepdim=True)).T
        torch.testing.assert_close(layer(states), wanted if bias is None else wanted + bias, atol=1e-5, rtol=1e-5)
    assert count_trainable(model.module) == lora_count(name, 2) + length.numel() * len(lora_layers(model)) + HEAD[name]


def lora_layers(model: TaskModel) -> list[str]:
    return [name.removesuffix(".lora_A") for name, _ in model.module.named_modules() if name.endswith(".lora_A")]


def test_targets_are_ends_of_names_or_all_linear_layers() -> None:
    layers = lora_layers(adapted("bert", "lora", targets="attention.output.dense, key"))
    assert layers == [f"bert.encoder.layer.{i}.attention.{end}" for i in range(LAYERS) for end in ("self.key", "output.dense")]
    everything = [name for name, part in tiny.model("gpt2").module.named_modules() if type(part).__name__ == "Conv1D"]
    assert lora_layers(adapted("gpt2", "lora", targets="all-linear")) == everything
    assert len(lora_layers(adapted("t5", "lora", targets="all-linear"))) == LAYERS * (4 + 3) + LAYERS * (8 + 3)


def test_parameters_name_variants_of_lora_where_they_are_used() -> None:
    plain = {"r": 8, "alpha": 16, "dropout": 0.0, "targets": None}
    assert method_of("lora").parameters() == plain
    assert method_of("lora", {"use_dora": True, "use_rslora": False}).parameters() == {**plain, "use_dora": True}


@pytest.mark.parametrize("name", tiny.NAMES)
def test_names_of_trained_tensors_are_those_of_format_1(name: str) -> None:
    prefix = {"t5": "encoder.block.0.layer.1", "gpt2": "transformer.h.0"}.get(name, f"{name}.encoder.layer.0.output.LayerNorm")
    names = [key for key in trainable(adapted(name, "pfeiffer").module) if key.startswith(f"{prefix}.taskweb_adapter.")]
    assert [key.removeprefix(f"{prefix}.taskweb_adapter.") for key in names] == [
        f"{part}.{tensor}" for part in ("down", "up") for tensor in ("weight", "bias")
    ]
    if name == "t5":
        assert "encoder.block.0.layer.1.DenseReluDense.wo.taskweb_bias" in trainable(adapted(name, "bitfit").module)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", tiny.NAMES)
def test_gradients_reach_what_is_trained_and_nothing_else(name: str, method: str) -> None:
    model = adapted(name, method)
    model.module.train()
    model.loss(model.encode(tiny.statements(4))).backward()
    for key, parameter in model.module.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, key
    trained = trainable(model.module)
    assert all(parameter.grad is not None for parameter in trained.values())


@pytest.mark.parametrize("method", METHODS)
def test_new_weights_follow_the_seed_and_leave_the_random_state_alone(method: str) -> None:
    state = torch.get_rng_state()
    one, two = adapted("t5", method), adapted("t5", method)
    assert torch.equal(state, torch.get_rng_state())
    pairs = zip(trainable(one.module).items(), trainable(two.module).items(), strict=True)
    assert all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_a_model_is_adapted_once() -> None:
    model = adapted("t5", "bitfit")
    with pytest.raises(ParameterError, match="already adapted by 'bitfit'"):
        method_of("lora").apply(model, seed=0)


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(NameNotFoundError, match="Did you mean 'pfeiffer'"):
        method_of("pfeifer")
    with pytest.raises(NameNotFoundError, match=r"no parameter of the method 'pfeiffer' named 'reduction_facto'. Did you mean"):
        method_of("pfeiffer", {"reduction_facto": 3})
    with pytest.raises(NameNotFoundError, match=r"no parameter of the method 'bitfit' named 'r'. None are known"):
        method_of("bitfit", {"r": 3})
    with pytest.raises(ParameterError, match="cannot be set up"):
        method_of("pfeiffer", {"reduction_factor": "small"})
    with pytest.raises(ParameterError, match="must be 1 or more"):
        method_of("pfeiffer", {"reduction_factor": 0})
    with pytest.raises(NameNotFoundError, match="no activation named 'relux'"):
        method_of("pfeiffer", {"activation": "relux"})
    with pytest.raises(ParameterError, match="leaves nothing of 32"):
        adapted("t5", "pfeiffer", reduction_factor=64)
    with pytest.raises(ParameterError, match="LoRA needs"):
        method_of("lora", {"r": 0})
    with pytest.raises(ParameterError, match=r"no layers named w for LoRA\. Linear layers of t5 are named .*, wo"):
        adapted("t5", "lora", targets="w")
