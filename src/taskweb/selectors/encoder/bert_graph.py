"""The BERT encoder as an ONNX graph without weights, built from a checkpoint's own configuration.

One graph is used for BERT, RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT and MPNet, which differ in the names of their tensors,
in the first position id, and in whether there are token types. MPNet adds a bias by the distance of two tokens. Hidden states
are two-dimensional (tokens x hidden) so that every projection is one matrix multiplication with its bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import EncoderError
from taskweb.selectors.encoder.onnx_proto import FLOAT, INT64, GraphBuilder


@dataclass(frozen=True)
class BertShape:
    """What the graph needs to know about a checkpoint: sizes, the first position id, and the names of its tensors."""

    model_type: str
    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    first_position: int
    epsilon: float
    names: Mapping[str, str]
    distances: int = 0  # how many kinds of distances between tokens have a bias

    @property
    def longest_input(self) -> int:
        """Most tokens of one text, special tokens included."""
        return self.positions - self.first_position


_BERT_NAMES = {
    "word": "embeddings.word_embeddings.weight",
    "position": "embeddings.position_embeddings.weight",
    "type": "embeddings.token_type_embeddings.weight",
    "embedding_norm": "embeddings.LayerNorm",
    "layer": "encoder.layer.{}",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "output_norm": "output.LayerNorm",
}
_DISTILBERT_NAMES = {
    **_BERT_NAMES,
    "type": "",
    "layer": "transformer.layer.{}",
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "attention_out": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "up": "ffn.lin1",
    "down": "ffn.lin2",
    "output_norm": "output_layer_norm",
}
_MPNET_NAMES = {
    **_BERT_NAMES,
    "type": "",
    "query": "attention.attn.q",
    "key": "attention.attn.k",
    "value": "attention.attn.v",
    "attention_out": "attention.attn.o",
    "attention_norm": "attention.LayerNorm",
    "distance": "encoder.relative_attention_bias.weight",
}
_FARTHEST = 128  # more distant tokens share a bias
_CONFIG_KEYS = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
_DISTILBERT_KEYS = ("n_layers", "dim", "n_heads", "hidden_dim")
_NAMES = {"distilbert": _DISTILBERT_NAMES, "mpnet": _MPNET_NAMES}
_PADDING_FIRST = ("roberta", "xlm-roberta", "camembert", "mpnet")  # their first position follows the padding id
SUPPORTED_MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "mpnet")


def shape_from_config(config: Mapping[str, Any], where: str) -> BertShape:
    """Read the shape from a parsed Hugging Face `config.json`; where: its name in errors.

    Raises EncoderError for an architecture that this graph does not support.
    """
    kind = str(config.get("model_type", "?"))
    if kind not in SUPPORTED_MODEL_TYPES:
        raise EncoderError(
            f"The encoder in {where} is of type '{kind}'. Without an ONNX file, taskweb reads "
            f"{', '.join(SUPPORTED_MODEL_TYPES)}; "
            "export the model to ONNX (onnx/model.onnx in the same folder) or choose another encoder."
        )
    if config.get("auto_map"):
        raise EncoderError(
            f"The encoder in {where} brings code of its own, and none is run here. Export the model to ONNX (onnx/model.onnx "
            "in the same folder) or choose another encoder."
        )
    activation = str(config.get("hidden_act", config.get("activation", "gelu")))
    if activation != "gelu":
        raise EncoderError(
            f"The encoder in {where} uses the activation '{activation}'; only 'gelu' can be read without an ONNX file."
        )
    if (positions := config.get("position_embedding_type") or "absolute") != "absolute":
        raise EncoderError(
            f"The encoder in {where} has '{positions}' positions; only 'absolute' can be read without an ONNX file."
        )
    keys = _DISTILBERT_KEYS if kind == "distilbert" else _CONFIG_KEYS
    try:
        layers, hidden, heads, intermediate = (int(config[key]) for key in keys)
        vocabulary, positions = int(config["vocab_size"]), int(config["max_position_embeddings"])
    except (KeyError, TypeError, ValueError):
        wanted = ", ".join((*keys, "vocab_size", "max_position_embeddings"))
        raise EncoderError(
            f"The configuration in {where} lacks one of these sizes, or it is not a whole number: {wanted}."
        ) from None
    padding = config.get("pad_token_id")
    offset = (1 if padding is None else int(padding)) + 1 if kind in _PADDING_FIRST else 0
    epsilon = 1e-12 if kind == "distilbert" else float(config.get("layer_norm_eps", 1e-12))
    distances = int(config.get("relative_attention_num_buckets", 32)) if kind == "mpnet" else 0
    names = _NAMES.get(kind, _BERT_NAMES)
    return BertShape(kind, layers, hidden, heads, intermediate, vocabulary, positions, offset, epsilon, names, distances)


def tensor_shapes(shape: BertShape, types: int) -> dict[str, tuple[int, ...]]:
    """Every tensor that the graph needs, by its name in the checkpoint, with the shape it must have.

    `types` is the number of token types in the checkpoint (0 where there are none).
    """
    names, hidden = shape.names, shape.hidden
    wanted: dict[str, tuple[int, ...]] = {
        names["word"]: (shape.vocabulary, hidden),
        names["position"]: (shape.positions, hidden),
    }
    if names["type"] and types:
        wanted[names["type"]] = (types, hidden)
    if shape.distances:
        wanted[names["distance"]] = (shape.distances, shape.heads)

    def affine(prefix: str, *weight: int) -> None:
        wanted[f"{prefix}.weight"] = weight
        wanted[f"{prefix}.bias"] = (weight[0],)

    affine(names["embedding_norm"], hidden)
    for index in range(shape.layers):
        layer = names["layer"].format(index)
        for part in ("query", "key", "value", "attention_out"):
            affine(f"{layer}.{names[part]}", hidden, hidden)
        affine(f"{layer}.{names['attention_norm']}", hidden)
        affine(f"{layer}.{names['up']}", shape.intermediate, hidden)
        affine(f"{layer}.{names['down']}", hidden, shape.intermediate)
        affine(f"{layer}.{names['output_norm']}", hidden)
    return wanted


def kinds_of_distance(length: int, kinds: int) -> npt.NDArray[np.int64]:
    """For each pair of tokens, the kind of their distance: (length, length).

    Half of the kinds are for tokens before, half for those after. In each half, short distances have a kind of their own, and
    longer ones share them on a logarithmic scale. Source: MPNet, after T5 (Raffel et al., 2020).
    """
    half = kinds // 2
    exact = half // 2
    steps = np.arange(length)
    apart = steps[:, None] - steps[None, :]
    size = np.abs(apart)
    scale = np.log(np.maximum(size, 1).astype(np.float32) / exact) / np.float32(np.log(_FARTHEST / exact)) * (half - exact)
    far = np.minimum(exact + scale.astype(np.int64), half - 1)
    found: npt.NDArray[np.int64] = np.where(apart < 0, half, 0) + np.where(size < exact, size, far)
    return found


def build_graph(shape: BertShape, types: int) -> bytes:
    """Write the encoder as an ONNX model; weights are external, under the checkpoint's names.

    Inputs: `input_ids` (batch x length, int64), `position_ids` (length, int64), `mask` (batch x 1 x 1 x length, float32,
    0 for a token and a large negative number for padding), and, where distances have a bias, `distances` (length x length,
    int64, see `kinds_of_distance`). Output: `last_hidden_state` (batch x length x hidden).
    """
    graph = GraphBuilder()
    names = shape.names
    ids = graph.input("input_ids", INT64, ["batch", "length"])
    places = graph.input("position_ids", INT64, ["length"])
    mask = graph.input("mask", FLOAT, ["batch", 1, 1, "length"])
    for name, dims in tensor_shapes(shape, types).items():
        graph.weight(name, dims)
    if shape.distances:  # one bias for all layers, added to the mask
        graph.node("Gather", [names["distance"], graph.input("distances", INT64, ["length", "length"])], "biases")
        mask = graph.node("Add", [graph.node("Transpose", ["biases"], "biases_t", perm=[2, 0, 1]), mask], "biased_mask")

    graph.node("Gather", [names["word"], ids], "words")
    graph.node("Gather", [names["position"], places], "places")
    state = graph.node("Add", ["words", "places"], "summed")
    if names["type"] and types:
        first = graph.integers("first_type", [0])
        graph.node("Gather", [names["type"], first], "kind")
        state = graph.node("Add", [state, "kind"], "typed")
    flat = graph.integers("flat", [-1, shape.hidden])
    graph.node("Shape", [ids], "size")
    graph.node("Concat", ["size", graph.integers("width", [shape.hidden])], "cube", axis=0)
    graph.node("Concat", ["size", graph.integers("heads", [shape.heads, shape.hidden // shape.heads])], "headed", axis=0)

    def norm(value: str, prefix: str, out: str) -> str:
        return graph.node(
            "LayerNormalization", [value, f"{prefix}.weight", f"{prefix}.bias"], out, axis=-1, epsilon=shape.epsilon
        )

    def linear(value: str, prefix: str, out: str) -> str:
        return graph.node("Gemm", [value, f"{prefix}.weight", f"{prefix}.bias"], out, transB=1)

    state = norm(graph.node("Reshape", [state, flat], "rows"), names["embedding_norm"], "embedded")
    scale = (shape.hidden // shape.heads) ** -0.5
    for index in range(shape.layers):
        layer, tag = names["layer"].format(index), f"l{index}_"
        heads = []
        for part in ("query", "key", "value"):
            projected = linear(state, f"{layer}.{names[part]}", f"{tag}{part}")
            shaped = graph.node("Reshape", [projected, "headed"], f"{tag}{part}_heads")
            order = [0, 2, 3, 1] if part == "key" else [0, 2, 1, 3]
            heads.append(graph.node("Transpose", [shaped], f"{tag}{part}_t", perm=order))
        query, key, value = heads
        raw = graph.node("FusedMatMul", [query, key], f"{tag}scores", domain="com.microsoft", alpha=scale)
        masked = graph.node("Add", [raw, mask], f"{tag}masked")
        weights = graph.node("Softmax", [masked], f"{tag}attention", axis=-1)
        mixed = graph.node("MatMul", [weights, value], f"{tag}context")
        merged = graph.node("Transpose", [mixed], f"{tag}context_t", perm=[0, 2, 1, 3])
        context = graph.node("Reshape", [merged, flat], f"{tag}context_rows")
        attended = linear(context, f"{layer}.{names['attention_out']}", f"{tag}attention_out")
        state = norm(graph.node("Add", [attended, state], f"{tag}residual"), f"{layer}.{names['attention_norm']}", f"{tag}mid")
        wide = linear(state, f"{layer}.{names['up']}", f"{tag}up")
        active = graph.node("Gelu", [wide], f"{tag}gelu", domain="com.microsoft")
        narrow = linear(active, f"{layer}.{names['down']}", f"{tag}down")
        state = norm(graph.node("Add", [narrow, state], f"{tag}residual2"), f"{layer}.{names['output_norm']}", f"{tag}out")
    graph.node("Reshape", [state, "cube"], "last_hidden_state")
    graph.output("last_hidden_state", FLOAT, ["batch", "length", shape.hidden])
    return graph.model(f"{shape.model_type}-{shape.layers}x{shape.hidden}")
