"""Encoders in the layouts of well-known ones, with random weights: our vectors are those that transformers computes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from scripts.tabulate_languages import LATIN, OTHER_SCRIPTS
from taskweb.errors import EncoderError
from taskweb.selectors.encoder import SentenceEncoder
from taskweb.selectors.encoder.sentence_layout import read_layout
from taskweb.tasks import Example
from taskweb.web.published import published_web
from taskweb.workflows.ranking import rank
from taskweb.workflows.selector_settings import EncoderSettings

SENTENCES = [text for sentences in (OTHER_SCRIPTS | LATIN).values() for text in sentences]
TEXTS = [*SENTENCES[::9], "short", " ".join(SENTENCES * 2), ""]
SIZES = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
ST = "sentence_transformers.models."


@dataclass(frozen=True)
class Layout:
    """One published encoder: its architecture, its tokenizer, and what sentence-transformers says about it."""

    model: str
    pieces: str
    pooling: str = "mean_tokens"
    modules: tuple[str, ...] = ("Normalize",)
    max_seq_length: int | None = 512
    config: dict[str, Any] = field(default_factory=dict)
    prompts: dict[str, str] | None = None
    dtype: str = "float32"
    transformer: str = ""


XLMR = {"pad_token_id": 1, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "max_position_embeddings": 514}
BERT = {"type_vocab_size": 2, "max_position_embeddings": 512}
E5 = {"query": "query: ", "passage": "passage: "}
LAYOUTS = {
    "paraphrase-multilingual-MiniLM-L12-v2": Layout("Bert", "unigram", modules=(), max_seq_length=128, config=BERT),
    "paraphrase-multilingual-mpnet-base-v2": Layout("XLMRoberta", "unigram", modules=(), max_seq_length=128, config=XLMR),
    "multilingual-e5-small": Layout("Bert", "unigram", config=BERT, prompts=E5),
    "multilingual-e5-base": Layout("XLMRoberta", "unigram", config=XLMR, prompts=E5, dtype="float16"),
    "LaBSE": Layout("Bert", "wordpiece", "cls_token", ("Dense", "Normalize"), 256, BERT),
    "bge-m3": Layout(
        "XLMRoberta", "unigram", "cls_token", config=XLMR | {"max_position_embeddings": 8194}, max_seq_length=8192
    ),
    "distiluse-base-multilingual-cased-v2": Layout("DistilBert", "wordpiece", modules=("Dense",), max_seq_length=128),
    "all-mpnet-base-v2": Layout(
        "MPNet", "wordpiece", config={**XLMR, "relative_attention_num_buckets": 32}, max_seq_length=384
    ),
    "sentence-camembert": Layout("Camembert", "unigram", modules=(), max_seq_length=None, config=XLMR, dtype="bfloat16"),
    "an older layout": Layout(
        "Roberta", "unigram", "max_tokens", ("Normalize", "Dense"), 64, XLMR, transformer="0_Transformer"
    ),
}


def tokenizer_of(pieces: str) -> Tokenizer:
    """A tokenizer trained on the sentences, with the special tokens of XLM-R or of BERT."""
    if pieces == "unigram":
        tokenizer, special = Tokenizer(models.Unigram()), ["<s>", "<pad>", "</s>", "<unk>"]
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer: Any = trainers.UnigramTrainer(vocab_size=900, special_tokens=special, unk_token="<unk>", show_progress=False)
        begin, end = ("<s>", 0), ("</s>", 2)
    else:
        tokenizer, special = Tokenizer(models.WordPiece(unk_token="[UNK]")), ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=3000, special_tokens=special, show_progress=False)
        begin, end = ("[CLS]", 2), ("[SEP]", 3)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin[0]} $A {end[0]}", special_tokens=[begin, end])
    return tokenizer


def write_encoder(layout: Layout, folder: Path) -> Any:
    """Write a small encoder in this layout; returns its model, as transformers opens it."""
    torch.manual_seed(0)
    tokenizer, place = tokenizer_of(layout.pieces), folder / layout.transformer
    sizes = {"n_layers": 2, "dim": 32, "n_heads": 4, "hidden_dim": 48} if layout.model == "DistilBert" else SIZES
    config = getattr(transformers, f"{layout.model}Config")(
        vocab_size=tokenizer.get_vocab_size(), **sizes, **layout.config, initializer_range=0.2
    )
    model = getattr(transformers, f"{layout.model}Model")(config).to(getattr(torch, layout.dtype))
    model.save_pretrained(place)
    tokenizer.save(str(place / "tokenizer.json"))
    if layout.max_seq_length is not None:
        reading = {"max_seq_length": layout.max_seq_length, "do_lower_case": False}
        (place / "sentence_bert_config.json").write_text(json.dumps(reading))
    kinds = ["Transformer", "Pooling", *layout.modules]
    paths = [layout.transformer, *(f"{i}_{kind}" for i, kind in enumerate(kinds) if i)]
    modules = [{"idx": i, "name": str(i), "path": paths[i], "type": ST + kind} for i, kind in enumerate(kinds)]
    write(folder / "modules.json", modules)
    flags = {f"pooling_mode_{name}": name == layout.pooling for name in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")}
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, **flags, "include_prompt": True})
    for path in paths:
        if path.endswith("Dense"):
            write_dense(folder / path)
    if layout.prompts is not None:
        write(folder / "config_sentence_transformers.json", {"prompts": layout.prompts, "default_prompt_name": None})
    return model.float().eval()


def write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def write_dense(folder: Path, **changes: Any) -> None:
    activation = "torch.nn.modules.activation.Tanh"
    write(
        folder / "config.json",
        {"in_features": 32, "out_features": 20, "bias": True, "activation_function": activation} | changes,
    )
    draw = np.random.default_rng(1)
    tensors = {"linear.weight": draw.normal(0, 0.5, (20, 32)), "linear.bias": draw.normal(0, 0.5, 20)}
    save_file({name: tensor.astype(np.float32) for name, tensor in tensors.items()}, folder / "model.safetensors")


def by_transformers(layout: Layout, folder: Path, model: Any, text: str, most: int) -> np.ndarray:
    """The vector of one text: the library's model, and then pooling and layers as sentence-transformers applies them."""
    tokenizer = Tokenizer.from_file(str(folder / layout.transformer / "tokenizer.json"))
    tokenizer.enable_truncation(most)
    prompt = (layout.prompts or {}).get("query", "")
    with torch.inference_mode():
        hidden = model(input_ids=torch.tensor([tokenizer.encode(prompt + text).ids])).last_hidden_state[0]
    by_pooling = {"cls_token": hidden[0], "mean_tokens": hidden.mean(dim=0), "max_tokens": hidden.max(dim=0).values}
    vector = by_pooling[layout.pooling]
    for i, kind in enumerate(layout.modules, start=2):
        if kind == "Normalize":
            vector = torch.nn.functional.normalize(vector, dim=0)
        else:
            tensors = {
                name: torch.tensor(value) for name, value in load_file(folder / f"{i}_Dense" / "model.safetensors").items()
            }
            vector = torch.tanh(torch.nn.functional.linear(vector, tensors["linear.weight"], tensors["linear.bias"]))
    return torch.nn.functional.normalize(vector, dim=0).numpy()


@pytest.mark.parametrize("name", LAYOUTS)
def test_vectors_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    model = write_encoder(layout, tmp_path)
    encoder = SentenceEncoder.find(str(tmp_path))
    most = min(layout.max_seq_length or 512, 512)
    assert (encoder.max_tokens, encoder.limit) == (most, most)
    assert encoder.count_tokens([TEXTS[-2]]) == most  # longer than the encoder reads
    assert encoder.lost_tokens(TEXTS)[-2] > 0
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 20 if "Dense" in layout.modules else 32)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert np.abs(vector - by_transformers(layout, tmp_path, model, text, most)).max() < 1e-5
    cosines = vectors @ vectors.T
    assert np.abs(cosines - 1).max() > 0.05  # random weights tell the texts apart


def test_more_tokens_are_read_where_that_is_set(tmp_path: Path) -> None:
    layout = LAYOUTS["bge-m3"]
    model = write_encoder(layout, tmp_path)
    encoder = SentenceEncoder.find(str(tmp_path), max_tokens=1000)
    text = " ".join(SENTENCES * 3)
    assert encoder.count_tokens([text]) == 1000
    assert np.abs(encoder.encode([text])[0] - by_transformers(layout, tmp_path, model, text, 1000)).max() < 1e-5


def test_which_prompt_is_put_before_texts(tmp_path: Path) -> None:
    write_encoder(LAYOUTS["multilingual-e5-small"], tmp_path)
    stated = tmp_path / "config_sentence_transformers.json"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"prompts": E5}, "query: "),
        ({"prompts": {"query": "query: ", "document": "passage: "}}, "query: "),
        ({"prompts": E5, "default_prompt_name": "passage"}, "passage: "),
        ({"prompts": {"query": "Represent this: "}}, ""),  # passages are read as they are
        ({"prompts": {"query": "", "document": ""}}, ""),
        ({"prompts": {}}, ""),
        ({"__version__": {"pytorch": "2.0"}}, ""),
    ]
    for settings, prompt in cases:
        write(stated, settings)
        assert read_layout(tmp_path).prompt == prompt
    plain = SentenceEncoder(tmp_path)
    prompted = SentenceEncoder(tmp_path, prompt="query: ")
    assert np.allclose(prompted.encode(TEXTS[:3]), plain.encode([f"query: {text}" for text in TEXTS[:3]]), atol=1e-6)
    assert prompted.identity != plain.identity
    write(stated, {"prompts": E5})
    assert SentenceEncoder(tmp_path).identity == prompted.identity
    assert SentenceEncoder(tmp_path, prompt="").identity == plain.identity


def test_texts_in_lower_case(tmp_path: Path) -> None:
    write_encoder(LAYOUTS["LaBSE"], tmp_path)
    as_written = SentenceEncoder(tmp_path)
    texts = ["The Film Was Dull", "ФИЛЬМ"]
    found, identity = as_written.encode(texts), as_written.identity
    write(tmp_path / "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": True})
    lower = SentenceEncoder(tmp_path)
    assert np.allclose(lower.encode(texts), as_written.encode([text.lower() for text in texts]), atol=1e-6)
    assert np.abs(lower.encode(texts) - found).max() > 1e-3
    assert lower.identity != identity


def test_identity_follows_the_dense_layer(tmp_path: Path) -> None:
    write_encoder(LAYOUTS["LaBSE"], tmp_path)
    before = SentenceEncoder(tmp_path).identity
    (tmp_path / "2_Dense" / "model.safetensors").touch()
    assert SentenceEncoder(tmp_path).identity != before


def test_what_is_not_computed_is_one_line(tmp_path: Path) -> None:
    layout = LAYOUTS["LaBSE"]
    write_encoder(layout, tmp_path)
    modules, pooling, dense = tmp_path / "modules.json", tmp_path / "1_Pooling" / "config.json", tmp_path / "2_Dense"

    def refused(message: str) -> None:
        with pytest.raises(EncoderError, match=message) as caught:
            SentenceEncoder(tmp_path).encode(["a"])
        assert "\n" not in str(caught.value)

    for file, content, message in (
        (modules, [{"path": "", "type": f"{ST}Transformer"}], "are Transformer, not a Transformer, then Pooling"),
        (modules, [{"path": "0_BoW", "type": f"{ST}BoW"}], "has a 'models.BoW' module"),
        (modules, [{"path": "../up", "type": f"{ST}Transformer"}], "which is not inside"),
        (modules, [{"path": "/etc", "type": f"{ST}Transformer"}], "which is not inside"),
        (pooling, {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, "is cls and max, not one"),
        (pooling, {"pooling_mode": "lasttoken"}, "is lasttoken, not one"),
        (pooling, {}, "is not stated, not one"),
        (dense / "config.json", {"in_features": 32, "out_features": 20, "activation_function": "x.GELU"}, "activation 'GELU'"),
        (dense / "config.json", {"in_features": 32}, "does not state"),
        (dense / "config.json", {"in_features": 32, "out_features": 8}, "do not fit their config.json: 'linear.weight'"),
        (dense / "config.json", {"in_features": 16, "out_features": 20}, "do not fit their config.json"),
        (tmp_path / "config_sentence_transformers.json", {"prompts": {"query": 3}}, "are not texts by name"),
        (tmp_path / "config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": "q"}, "is none of its prompts"),
    ):
        before = file.read_bytes() if file.is_file() else None
        write(file, content)
        refused(message)
        file.unlink() if before is None else file.write_bytes(before)
    (dense / "model.safetensors").rename(dense / "pytorch_model.bin")
    refused("contains only pytorch_model.bin, a pickle, which can run code and is not read")
    config = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        ({"model_type": "new", "auto_map": {"AutoModel": "modeling.NewModel"}}, "of type 'new'"),
        ({"auto_map": {"AutoModel": "modeling.NewModel"}}, "brings code of its own, and none is run here"),
        ({"position_embedding_type": "relative_key"}, "'relative_key' positions"),
    ):
        write(tmp_path / "config.json", config | change)
        refused(message)


def test_pooling_as_newer_versions_write_it(tmp_path: Path) -> None:
    layout = LAYOUTS["bge-m3"]
    model = write_encoder(layout, tmp_path)
    for named in ("cls", ["cls"]):
        write(
            tmp_path / "1_Pooling" / "config.json", {"embedding_dimension": 32, "pooling_mode": named, "include_prompt": True}
        )
        vector = SentenceEncoder(tmp_path).encode(TEXTS[:1])[0]
        assert np.abs(vector - by_transformers(layout, tmp_path, model, TEXTS[0], 512)).max() < 1e-5


def test_a_plain_checkpoint_is_averaged(tmp_path: Path) -> None:
    layout = LAYOUTS["paraphrase-multilingual-mpnet-base-v2"]
    model = write_encoder(layout, tmp_path)
    (tmp_path / "modules.json").unlink()
    (tmp_path / "1_Pooling" / "config.json").unlink()
    vector = SentenceEncoder(tmp_path).encode(TEXTS[:1])[0]
    assert np.abs(vector - by_transformers(layout, tmp_path, model, TEXTS[0], 512)).max() < 1e-5


def test_a_multilingual_encoder_ranks_in_another_language(tmp_path: Path) -> None:
    write_encoder(LAYOUTS["LaBSE"], tmp_path / "e")
    texts = tmp_path / "texts"
    for i, task in enumerate(published_web().sources):
        write(texts / f"{task}.jsonl", {"input": OTHER_SCRIPTS["Russian"][i % 5]})
    target = [Example(text) for text in OTHER_SCRIPTS["Russian"]]
    own = EncoderSettings(str(tmp_path / "e"), use_cache=False)
    ranking = rank(target, selector="roe", examples=texts, encoder=own)
    assert ranking.readability is not None
    assert ranking.readability.is_target_readable
    assert ranking.readability.unreadable_sources == ()
    assert not any("sentence encoder" in note for note in ranking.notes)
    with pytest.raises(EncoderError, match="makes vectors of 20 numbers"):  # the published bank is of another encoder
        rank(target, encoder=own)
