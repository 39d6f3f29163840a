from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from taskweb.errors import EncoderError, ParameterError
from taskweb.selectors.encoder import SentenceEncoder, find_encoder
from taskweb.selectors.encoder.bert_graph import BertShape, build_graph, shape_from_config, tensor_shapes
from taskweb.selectors.encoder.weights import map_safetensors

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *["the", "cat", "sat", "on", "a", "mat", "while", "it", "rained", "outside", "and", "dogs", "barked"],
]
CONFIGS: dict[str, dict[str, float]] = {
    "bert": {
        "num_hidden_layers": 2,
        "hidden_size": 16,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "layer_norm_eps": 1e-12,
    },
    "roberta": {
        "num_hidden_layers": 1,
        "hidden_size": 8,
        "num_attention_heads": 2,
        "intermediate_size": 20,
        "pad_token_id": 1,
        "layer_norm_eps": 1e-5,
    },
    "distilbert": {"n_layers": 2, "dim": 12, "n_heads": 3, "hidden_dim": 16},
}


def checkpoint(folder: Path, kind: str = "bert", pooling: str = "mean_tokens") -> Path:
    """A small encoder of random weights in the layout of sentence-transformers."""
    config = {"model_type": kind, "vocab_size": len(WORDS), "max_position_embeddings": 40, **CONFIGS[kind]}
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True, "pooling_mode_x": False}))
    draw = np.random.default_rng(0)
    shapes = tensor_shapes(shape_from_config(config, ""), 2)
    save_file(
        {name: draw.normal(0, 0.4, dims).astype(np.float32) for name, dims in shapes.items()}, folder / "model.safetensors"
    )
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(4)  # as real checkpoints do: must be overridden
    tokenizer.enable_padding(length=30)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def plain_forward(folder: Path, ids: list[int]) -> np.ndarray:
    """The encoder once more, in numpy, one text at a time: last hidden states."""
    config = json.loads((folder / "config.json").read_text())
    shape = shape_from_config(config, "")
    tensors = {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}
    names = shape.names

    def norm(x: np.ndarray, prefix: str) -> np.ndarray:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + shape.epsilon)
        return scaled * tensors[f"{prefix}.weight"] + tensors[f"{prefix}.bias"]

    def linear(x: np.ndarray, prefix: str) -> np.ndarray:
        return x @ tensors[f"{prefix}.weight"].T + tensors[f"{prefix}.bias"]

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(ids), shape.heads, -1).transpose(1, 0, 2)

    x = tensors[names["word"]][ids] + tensors[names["position"]][np.arange(len(ids)) + shape.first_position]
    if names["type"]:
        x = x + tensors[names["type"]][0]
    x = norm(x, names["embedding_norm"])
    for i in range(shape.layers):
        at = {
            key: f"{names['layer'].format(i)}.{names[key]}"
            for key in ("query", "key", "value", "attention_out", "attention_norm", "up", "down", "output_norm")
        }
        query, key, value = (split(linear(x, at[part])) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(shape.hidden // shape.heads)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(x + linear(mixed, at["attention_out"]), at["attention_norm"])
        wide = linear(x, at["up"])
        x = norm(x + linear(wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2))), at["down"]), at["output_norm"])
    return x


TEXTS = ["the cat sat", "it rained outside while the cat sat on a mat and dogs barked", "dogs", "unheard words"]


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token", "max_tokens"])
def test_vectors_agree_with_a_plain_forward_pass(kind: str, pooling: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "e", kind, pooling)
    encoder = SentenceEncoder(folder)
    vectors = encoder.encode(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        states = plain_forward(folder, [2, *(WORDS.index(w) if w in WORDS else 1 for w in text.split()), 3])
        pooled = {"mean_tokens": states.mean(0), "cls_token": states[0], "max_tokens": states.max(0)}[pooling]
        assert vector == pytest.approx(pooled / np.linalg.norm(pooled), abs=2e-6)
    assert encoder.encode([]).shape[0] == 0


def test_the_graph_is_valid_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    for kind, sizes in CONFIGS.items():
        shape = shape_from_config({"model_type": kind, "vocab_size": 9, "max_position_embeddings": 20, **sizes}, "")
        model = onnx.load_from_string(build_graph(shape, 2))
        assert {item.name for item in model.graph.input} == {"input_ids", "position_ids", "mask"}
        declared = {tensor.name for tensor in model.graph.initializer}
        assert set(tensor_shapes(shape, 2)) <= declared
        made = declared | {name for node in model.graph.node for name in node.output} | {"input_ids", "position_ids", "mask"}
        assert all(name in made for node in model.graph.node for name in node.input)


def test_vectors_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    encoder = SentenceEncoder(checkpoint(tmp_path / "e"))
    done: list[int] = []
    many = encoder.encode(TEXTS * 150, on_progress=done.append)
    assert sum(done) == 600
    assert len(done) > 1
    assert np.abs(many[:4] - encoder.encode(TEXTS)).max() < 1e-6
    assert np.abs(many[0] - encoder.encode(TEXTS[:1])[0]).max() < 1e-6


def test_truncation_and_padding_of_the_checkpoint_are_overridden(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "e")
    assert SentenceEncoder(folder).count_tokens([TEXTS[1]]) == 15
    assert SentenceEncoder(folder, max_tokens=8).count_tokens([TEXTS[1]]) == 8
    assert SentenceEncoder(folder).count_tokens(["cat " * 100]) == 40  # as many positions as the model has
    with pytest.raises(ParameterError, match="'max_tokens'"):
        SentenceEncoder(folder, max_tokens=2)


def test_tokens_that_are_cut_are_counted(tmp_path: Path) -> None:
    encoder = SentenceEncoder(checkpoint(tmp_path / "e"), max_tokens=8)
    texts = ["cat " * 6, "cat " * 7, "cat " * 100, ""]  # six words and two special tokens fit
    assert encoder.lost_tokens(texts).tolist() == [0, 1, 94, 0]
    found = encoder.encode_and_count(texts)
    assert found.lost.tolist() == [0, 1, 94, 0]
    assert np.array_equal(found.vectors, encoder.encode(texts))
    assert np.allclose(found.vectors[0], found.vectors[2], atol=1e-6)
    assert SentenceEncoder(encoder.folder).limit == 40  # as many positions as the model has


def test_an_onnx_file_serves_as_well(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    folder = checkpoint(tmp_path / "e")
    table = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    (folder / "model.safetensors").unlink()
    node = helper.make_node("Gather", ["table", "input_ids"], ["states"])
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "l"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["b", "l", 16])
    graph = helper.make_graph([node], "g", inputs, [output], [numpy_helper.from_array(table, "table")])
    (folder / "onnx").mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "onnx" / "model.onnx"
    )
    vector = SentenceEncoder(folder).encode(["the cat"])[0]
    pooled = table[[2, WORDS.index("the"), WORDS.index("cat"), 3]].mean(0)
    assert vector == pytest.approx(pooled / np.linalg.norm(pooled), abs=1e-6)


def test_folders_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    def broken(name: str, change: dict[str, str | None]) -> Path:
        folder = checkpoint(tmp_path / name)
        for file, content in change.items():
            (folder / file).unlink(missing_ok=True) if content is None else (folder / file).write_text(content)
        return folder

    config = json.loads((checkpoint(tmp_path / "whole") / "config.json").read_text())
    cases = {
        "no-weights": ({"model.safetensors": None}, "contains no encoder weights"),
        "no-config": ({"config.json": None}, "contains no config.json"),
        "no-tokenizer": ({"tokenizer.json": None}, "contains no tokenizer.json"),
        "bad-tokenizer": ({"tokenizer.json": "{}"}, "not a tokenizer"),
        "bad-config": ({"config.json": "{"}, "cannot be read"),
        "bad-weights": ({"model.safetensors": "not weights"}, "not a complete safetensors file"),
        "other-type": ({"config.json": json.dumps(config | {"model_type": "t5"})}, "of type 't5'.*ONNX"),
        "other-activation": ({"config.json": json.dumps(config | {"hidden_act": "relu"})}, "activation 'relu'"),
        "other-size": ({"config.json": json.dumps(config | {"intermediate_size": 99})}, "do not fit their config.json"),
        "no-size": (
            {"config.json": json.dumps({k: v for k, v in config.items() if k != "vocab_size"})},
            "lacks one of these sizes",
        ),
        "other-pooling": (
            {"1_Pooling/config.json": '{"pooling_mode_lasttoken": true}'},
            "is lasttoken, not one",
        ),
        "module": ({"modules.json": '[{"type": "sentence_transformers.models.LSTM"}]'}, "has a 'models.LSTM' module"),
    }
    for name, (change, message) in cases.items():
        with pytest.raises(EncoderError, match=message) as caught:
            encoder = SentenceEncoder(broken(name, change))
            assert encoder.identity
            encoder.encode(["the cat"])
        assert "\n" not in str(caught.value)


def test_truncated_weights(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "e") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EncoderError, match="not a complete safetensors file"):
        map_safetensors(path)


def test_where_weights_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TASKWEB_ENCODER", "TASKWEB_ALLOW_DOWNLOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr("taskweb.selectors.encoder.weights.OFFLINE_PACKAGE", "no_such_package")
    with pytest.raises(EncoderError, match=r"are missing\. Fetch them once \(91 MB\): taskweb encoder fetch$"):
        find_encoder()
    with pytest.raises(EncoderError, match=r"is not on this machine\. Add --allow-download once"):
        find_encoder("sentence-transformers/other")
    with pytest.raises(EncoderError, match="does not exist"):
        find_encoder("./none")
    snapshot = tmp_path / "hf" / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2" / "snapshots" / "abc"
    checkpoint(snapshot)
    assert (find_encoder().folder, find_encoder().place) == (snapshot, "the Hugging Face cache")
    named = checkpoint(tmp_path / "named")
    monkeypatch.setenv("TASKWEB_ENCODER", str(named))
    assert (find_encoder().folder, find_encoder().place) == (named, "$TASKWEB_ENCODER")
    assert find_encoder(str(snapshot)).folder == snapshot


def test_real_weights_tell_meanings_apart(encoder: SentenceEncoder) -> None:
    cat, kitten, tax = encoder.encode(
        ["The cat sleeps on the sofa.", "A kitten naps on the couch.", "Tax returns are due in April."]
    )
    assert cat @ kitten > 0.6 > 0.3 > cat @ tax


@pytest.mark.slow
def test_real_weights_agree_with_a_plain_forward_pass(encoder: SentenceEncoder) -> None:
    text = "['Yes', 'No']</s>The river rose overnight."
    ids = encoder._tokenised([text])[0][0]
    pooled = plain_forward(encoder.folder, ids).mean(0)
    assert encoder.encode([text])[0] == pytest.approx(pooled / np.linalg.norm(pooled), abs=1e-5)


def test_positions_of_roberta_start_after_the_padding_id() -> None:
    shape = shape_from_config(
        {"model_type": "roberta", "vocab_size": 9, "max_position_embeddings": 514, **CONFIGS["roberta"]}, ""
    )
    assert isinstance(shape, BertShape)
    assert (shape.first_position, shape.longest_input) == (2, 512)
