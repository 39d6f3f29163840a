"""Sentence embeddings with onnxruntime in float32: no torch, weights mapped from disk, batches sized by tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import EncoderError, ParameterError
from taskweb.selectors.encoder.bert_graph import BertShape, build_graph, kinds_of_distance, shape_from_config, tensor_shapes
from taskweb.selectors.encoder.readability import Readability, readability_of, sample_of
from taskweb.selectors.encoder.sentence_layout import DenseLayer, Pooling, SentenceLayout, read_json, read_layout
from taskweb.selectors.encoder.weights import ONNX_FILES, WEIGHTS, find_encoder, is_named, map_safetensors, missing_weights

if TYPE_CHECKING:
    import onnxruntime as ort
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]

DEFAULT_MAX_TOKENS = 512
LEAST_MAX_TOKENS = 8  # special tokens and a word or two
# Small batches of similar lengths were fastest on CPUs (little padding), and attention needs little memory.
TOKENS_PER_BATCH = 1024
_MASKED = np.float32(-1e9)
_UNIGRAM_UNKNOWN = re.compile(rb'(?<!\\)"unk_id"\s*:\s*(\d+)')  # the library does not show it
_SPACES = ("▁", "Ġ")
_PREFIXES = ("bert.", "roberta.", "distilbert.", "mpnet.", "camembert.")


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTexts:
    """Texts as vectors, and what was cut. vectors: (texts, dimension). lost: tokens cut from the end of each, (texts,)."""

    vectors: Vectors
    lost: Counts


@dataclass(frozen=True)
class SentenceEncoder:
    """Embeds texts as unit vectors: tokenise, encode, pool, apply dense layers, L2-normalise.

    folder: a sentence-transformers folder with an ONNX file or BERT-family weights in safetensors.
    max_tokens: texts are cut to that many tokens, special tokens included. threads: 0 lets onnxruntime decide.
    prompt: what is put before every text; None takes the one that the folder states.
    Loading is lazy: an instance costs nothing until the first text. Instances may be shared between threads.
    Raises EncoderError for a folder that cannot be used.
    """

    folder: Path
    max_tokens: int = DEFAULT_MAX_TOKENS
    threads: int = 0
    prompt: str | None = None

    def __post_init__(self) -> None:
        if self.max_tokens < LEAST_MAX_TOKENS:
            raise ParameterError(
                f"The 'max_tokens' parameter must be at least {LEAST_MAX_TOKENS}. Got {self.max_tokens} instead."
            )

    @classmethod
    def find(
        cls,
        explicit: str | None = None,
        *,
        allow_download: bool = False,
        max_tokens: int | None = None,
        prompt: str | None = None,
        threads: int = 0,
    ) -> SentenceEncoder:
        """The encoder in the first place that has it (see `find_encoder`).

        max_tokens: None takes what the folder states, at most DEFAULT_MAX_TOKENS; and these for the default encoder.
        """
        folder = find_encoder(explicit, allow_download=allow_download).folder
        if max_tokens is None:
            stated = read_layout(folder).longest if is_named(explicit) else None
            max_tokens = max(LEAST_MAX_TOKENS, min(stated or DEFAULT_MAX_TOKENS, DEFAULT_MAX_TOKENS))
        return cls(folder, max_tokens, threads, prompt)

    @cached_property
    def identity(self) -> str:
        """A text for cache keys that changes whenever the files or settings that vectors depend on change."""
        layout, transformer = self._layout, self._layout.transformer
        file = self._onnx_file or transformer / WEIGHTS
        try:
            stat = file.resolve().stat()
        except OSError:
            raise missing_weights(transformer) from None
        places = {"config.json": transformer, "tokenizer.json": transformer}
        places |= {"modules.json": self.folder, "1_Pooling/config.json": self.folder}
        changed = [f"{name}:{_stamp_of(folder / name)}" for name, folder in places.items()]
        further = [f"{layer}:{_stamp_of(layer.folder / WEIGHTS)}" for layer in layout.after if layer is not None]
        further += [layout.pooling] * (layout.pooling != "mean")
        further += [repr(self._prompt)] * bool(self._prompt) + ["lower case"] * layout.lower_case
        return f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}:{self.max_tokens}:{':'.join((*changed, *further))}"

    def encode(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> Vectors:
        """Embed texts; returns (len(texts), dimension) float32 rows of length 1, in the order given.

        on_progress is called with the number of texts done after each batch. Raises EncoderError.
        """
        return self.encode_and_count(texts, on_progress=on_progress).vectors

    def encode_and_count(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> EncodedTexts:
        """Embed texts as `encode` does, and count the tokens that were cut from each; they are tokenized once."""
        encoded, lost = self._tokenised(texts)
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        rows: Vectors | None = None
        for batch in _batches(order, [len(ids) for ids in encoded]):
            pooled = self._encode_batch([encoded[i] for i in batch])
            if rows is None:
                rows = np.empty((len(texts), pooled.shape[1]), np.float32)
            rows[batch] = pooled
            if on_progress is not None:
                on_progress(len(batch))
        return EncodedTexts(rows if rows is not None else np.empty((0, 0), np.float32), lost)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together, special tokens included, after truncation."""
        return sum(len(ids) for ids in self._tokenised(texts)[0])

    def lost_tokens(self, texts: Sequence[str]) -> Counts:
        """How many tokens are cut from each text, without embedding it: (texts,)."""
        return self._tokenised(texts)[1]

    def readability(self, texts: Sequence[str]) -> Readability:
        """How the tokenizer divides the words of texts, of a sample of them where they are many; nothing is embedded."""
        sample = [self._cased(text) for text in sample_of(texts)]
        tokenizer = self._tokenizer
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.limit)
        found = tokenizer.encode_batch(sample, add_special_tokens=False)
        unknown, blanks = self._special_pieces
        counts = (readability_of(text, encoding, unknown, blanks) for text, encoding in zip(sample, found, strict=True))
        return sum(counts, Readability())

    @property
    def limit(self) -> int:
        """Most tokens of a text that are read, special tokens included."""
        return min(self.max_tokens, self._shape.longest_input) if self._shape else self.max_tokens

    @property
    def _prompt(self) -> str:
        return self._layout.prompt if self.prompt is None else self.prompt

    def _cased(self, text: str) -> str:
        return text.lower() if self._layout.lower_case else text

    def _tokenised(self, texts: Sequence[str]) -> tuple[list[list[int]], Counts]:
        """Token ids of each text, and how many were cut from it."""
        tokenizer = self._tokenizer
        tokenizer.no_padding()  # checkpoints may contain a fixed padding and a shorter truncation
        tokenizer.enable_truncation(self.limit)
        special = tokenizer.num_special_tokens_to_add(is_pair=False)  # also in each part that is cut off
        found = tokenizer.encode_batch_fast([self._prompt + text for text in map(self._cased, texts)])
        lost = [sum(len(part) - special for part in encoding.overflowing) for encoding in found]
        return [encoding.ids for encoding in found], np.array(lost, np.int32)

    def _encode_batch(self, batch: list[list[int]]) -> Vectors:
        lengths = np.array([len(ids) for ids in batch])
        longest = int(lengths.max())
        real = np.arange(longest) < lengths[:, None]
        token_ids = np.zeros((len(batch), longest), np.int64)
        token_ids[real] = [token for ids in batch for token in ids]
        session, names = self._session
        feeds: dict[str, Any] = {}
        if "mask" in names:
            assert self._shape is not None
            feeds["mask"] = np.where(real, np.float32(0), _MASKED)[:, None, None, :]
            feeds["position_ids"] = np.arange(longest, dtype=np.int64) + self._shape.first_position
            if self._shape.distances:
                feeds["distances"] = kinds_of_distance(longest, self._shape.distances)
        else:
            feeds["attention_mask"] = real.astype(np.int64)
            if "token_type_ids" in names:
                feeds["token_type_ids"] = np.zeros_like(token_ids)
        feeds["input_ids"] = token_ids
        hidden: Vectors | None = next((out for out in session.run(None, feeds) if np.ndim(out) == 3), None)
        if hidden is None:  # batch, token, hidden
            raise EncoderError(
                f"The ONNX model in {self.folder} does not return one vector per token. Export its last hidden state."
            )
        vectors = _pool(hidden.astype(np.float32, copy=False), real, self._layout.pooling)
        for layer in self._dense:
            vectors = _unit(vectors) if layer is None else _applied(vectors, *layer)
        return _unit(vectors)

    @cached_property
    def _onnx_file(self) -> Path | None:
        transformer = self._layout.transformer
        if (transformer / WEIGHTS).is_file():
            return None
        return next((transformer / file for file in ONNX_FILES if (transformer / file).is_file()), None)

    @cached_property
    def _shape(self) -> BertShape | None:
        if self._onnx_file is not None:
            return None
        transformer = self._layout.transformer
        return shape_from_config(read_json(transformer / "config.json", dict), str(transformer))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        file = self._layout.transformer / "tokenizer.json"
        if not file.is_file():
            raise EncoderError(
                f"{file.parent} contains no tokenizer.json. Write it once with transformers: "
                "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)."
            )
        try:
            return Tokenizer.from_file(str(file))
        except Exception as fault:  # noqa: BLE001 - the library raises plain Exception
            raise EncoderError(f"{file} is not a tokenizer that can be read: {fault}.") from None

    @cached_property
    def _special_pieces(self) -> tuple[int | None, frozenset[int]]:
        """The ids of the unknown piece, None where every text can be written, and of pieces that only stand for a space."""
        tokenizer = self._tokenizer
        named = getattr(tokenizer.model, "unk_token", None)
        unknown = tokenizer.token_to_id(named) if named is not None else None
        if unknown is None and (stated := _UNIGRAM_UNKNOWN.search((self._layout.transformer / "tokenizer.json").read_bytes())):
            unknown = int(stated[1])
        return unknown, frozenset(i for mark in _SPACES if (i := tokenizer.token_to_id(mark)) is not None)

    @cached_property
    def _layout(self) -> SentenceLayout:
        return read_layout(self.folder)

    @cached_property
    def _dense(self) -> tuple[tuple[DenseLayer, Vectors, Vectors] | None, ...]:
        """The layers after pooling with their weights; None for a normalisation."""
        return tuple(None if layer is None else (layer, *dense_weights(layer)) for layer in self._layout.after)

    @cached_property
    def _session(self) -> tuple[ort.InferenceSession, frozenset[str]]:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False  # an arena never releases the memory of its largest batch
        try:
            if self._onnx_file is not None:
                session = ort.InferenceSession(str(self._onnx_file), options, providers=["CPUExecutionProvider"])
            else:
                session = self._session_from_safetensors(options)
        except EncoderError:
            raise
        except Exception as fault:  # noqa: BLE001 - onnxruntime raises its own kinds for a broken model
            raise EncoderError(f"The encoder in {self.folder} cannot be run: {str(fault).splitlines()[0]}.") from None
        return session, frozenset(item.name for item in session.get_inputs())

    def _session_from_safetensors(self, options: ort.SessionOptions) -> ort.InferenceSession:
        import onnxruntime as ort

        assert self._shape is not None
        file = self._layout.transformer / WEIGHTS
        if not file.is_file():
            raise missing_weights(file.parent)
        tensors = _without_prefix(map_safetensors(file))
        kinds = tensors.get(self._shape.names["type"])
        types = 0 if kinds is None else kinds.shape[0]
        names, values = [], []
        for name, shape in tensor_shapes(self._shape, types).items():
            tensor = tensors.get(name)
            if tensor is None or tensor.shape != shape:
                found = "missing" if tensor is None else f"of shape {tensor.shape}, not {shape}"
                raise EncoderError(f"The weights {file} do not fit their config.json: '{name}' is {found}.")
            names.append(name)
            values.append(ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(tensor, dtype=np.float32)))
        options.add_external_initializers(names, values)
        return ort.InferenceSession(build_graph(self._shape, types), options, providers=["CPUExecutionProvider"])


def _without_prefix(tensors: dict[str, Any]) -> dict[str, Any]:
    """The tensors by the encoder's own names: a checkpoint of a whole model adds the encoder's attribute name as a prefix."""
    for prefix in _PREFIXES:
        if any(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _stamp_of(file: Path) -> str:
    """Size and time of a file, which change whenever the file does; empty where there is none."""
    try:
        found = file.stat()
    except OSError:
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}"


def dense_weights(layer: DenseLayer) -> tuple[Vectors, Vectors]:
    """Weight and bias of a dense layer: (outputs, inputs) and (outputs,). Raises EncoderError."""
    file = layer.folder / WEIGHTS
    if not file.is_file():
        raise missing_weights(layer.folder)
    tensors = map_safetensors(file)
    wanted = {"linear.weight": (layer.outputs, layer.inputs), **({"linear.bias": (layer.outputs,)} if layer.bias else {})}
    for name, shape in wanted.items():
        if name not in tensors or tensors[name].shape != shape:
            raise EncoderError(f"The weights {file} do not fit their config.json: '{name}' is missing or not of shape {shape}.")
    bias = np.asarray(tensors["linear.bias"], np.float32) if layer.bias else np.zeros(layer.outputs, np.float32)
    return np.asarray(tensors["linear.weight"], np.float32), bias


def _applied(vectors: Vectors, layer: DenseLayer, weight: Vectors, bias: Vectors) -> Vectors:
    if vectors.shape[1] != layer.inputs:
        raise EncoderError(f"The dense layer in {layer.folder} takes {layer.inputs} numbers; there are {vectors.shape[1]}.")
    out: Vectors = vectors @ weight.T + bias
    return np.tanh(out) if layer.activation == "Tanh" else out


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return unit


def _batches(order: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Split texts, sorted by length, into batches of at most TOKENS_PER_BATCH padded tokens and at least one text."""
    batches: list[list[int]] = []
    current: list[int] = []
    for index in order:
        if current and lengths[index] * (len(current) + 1) > TOKENS_PER_BATCH:
            batches.append(current)
            current = []
        current.append(index)
    return [*batches, current] if current else batches


def _pool(hidden: Vectors, real: npt.NDArray[np.bool_], pooling: Pooling) -> Vectors:
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "max":
        highest: Vectors = np.where(real[..., None], hidden, np.float32(-np.inf)).max(axis=1)
        return highest
    weights = real.astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    mean: Vectors = np.einsum("bl,blh->bh", weights, hidden)
    return mean
