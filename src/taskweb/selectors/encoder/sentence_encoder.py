"""Sentence embeddings with onnxruntime in float32: no torch, weights mapped from disk, batches sized by tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from taskweb.errors import EncoderError, ParameterError
from taskweb.selectors.encoder.bert_graph import BertShape, build_graph, shape_from_config, tensor_shapes
from taskweb.selectors.encoder.onnx_runtime import import_onnxruntime
from taskweb.selectors.encoder.readability import Readability, readability_of, sample_of
from taskweb.selectors.encoder.weights import find_encoder, map_safetensors

if TYPE_CHECKING:
    import onnxruntime as ort
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]
Pooling = Literal["mean", "cls", "max"]

DEFAULT_MAX_TOKENS = 512
# Small batches of similar lengths were fastest on CPUs (little padding), and attention needs little memory.
TOKENS_PER_BATCH = 1024
_MASKED = np.float32(-1e9)
_UNIGRAM_UNKNOWN = re.compile(rb'(?<!\\)"unk_id"\s*:\s*(\d+)')  # the library does not show it
_SPACES = ("▁", "Ġ")
_ONNX_FILES = ("onnx/model.onnx", "model.onnx")


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTexts:
    """Texts as vectors, and what was cut. vectors: (texts, dimension). lost: tokens cut from the end of each, (texts,)."""

    vectors: Vectors
    lost: Counts


@dataclass(frozen=True)
class SentenceEncoder:
    """Embeds texts as unit vectors: tokenise, encode, pool, L2-normalise.

    folder: a sentence-transformers folder with an ONNX file or BERT-family weights in safetensors.
    max_tokens: texts are cut to that many tokens, special tokens included. threads: 0 lets onnxruntime decide.
    Loading is lazy: an instance costs nothing until the first text. Instances may be shared between threads.
    Raises EncoderError for a folder that cannot be used.
    """

    folder: Path
    max_tokens: int = DEFAULT_MAX_TOKENS
    threads: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 8:  # special tokens and a word or two
            raise ParameterError(f"The 'max_tokens' parameter must be at least 8. Got {self.max_tokens} instead.")

    @classmethod
    def find(
        cls,
        explicit: str | None = None,
        *,
        allow_download: bool = False,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        threads: int = 0,
    ) -> SentenceEncoder:
        """The encoder in the first place that has it (see `find_encoder`)."""
        return cls(find_encoder(explicit, allow_download=allow_download), max_tokens, threads)

    @cached_property
    def identity(self) -> str:
        """A text for cache keys that changes whenever the files or settings that vectors depend on change."""
        file = self._onnx_file or self.folder / "model.safetensors"
        settings = ["config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json"]
        try:
            stat = file.resolve().stat()
        except OSError:
            raise EncoderError(
                f"{self.folder} contains no encoder weights (model.safetensors or onnx/model.onnx). {_LAYOUT}"
            ) from None
        changed = [f"{name}:{_stamp_of(self.folder / name)}" for name in settings]
        return f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}:{self.max_tokens}:{':'.join(changed)}"

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
        sample = sample_of(texts)
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

    def _tokenised(self, texts: Sequence[str]) -> tuple[list[list[int]], Counts]:
        """Token ids of each text, and how many were cut from it."""
        tokenizer = self._tokenizer
        tokenizer.no_padding()  # checkpoints may contain a fixed padding and a shorter truncation
        tokenizer.enable_truncation(self.limit)
        special = tokenizer.num_special_tokens_to_add(is_pair=False)  # also in each part that is cut off
        found = tokenizer.encode_batch_fast(list(texts))
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
        else:
            feeds["attention_mask"] = real.astype(np.int64)
            if "token_type_ids" in names:
                feeds["token_type_ids"] = np.zeros_like(token_ids)
        feeds["input_ids"] = token_ids
        hidden: Vectors = session.run(None, feeds)[0]
        if hidden.ndim != 3:  # batch, token, hidden
            raise EncoderError(
                f"The ONNX model in {self.folder} does not return one vector per token. Export its last hidden state."
            )
        pooled = _pool(hidden, real, self._pooling)
        unit: Vectors = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), np.float32(1e-12))
        return unit

    @cached_property
    def _onnx_file(self) -> Path | None:
        if (self.folder / "model.safetensors").is_file():
            return None
        return next((self.folder / file for file in _ONNX_FILES if (self.folder / file).is_file()), None)

    @cached_property
    def _shape(self) -> BertShape | None:
        if self._onnx_file is not None:
            return None
        return shape_from_config(_read_json(self.folder / "config.json", dict), str(self.folder))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        file = self.folder / "tokenizer.json"
        if not file.is_file():
            raise EncoderError(f"{self.folder} contains no tokenizer.json. {_LAYOUT}")
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
        if unknown is None and (stated := _UNIGRAM_UNKNOWN.search((self.folder / "tokenizer.json").read_bytes())):
            unknown = int(stated[1])
        return unknown, frozenset(i for mark in _SPACES if (i := tokenizer.token_to_id(mark)) is not None)

    @cached_property
    def _pooling(self) -> Pooling:
        modules = self.folder / "modules.json"
        if modules.is_file():
            kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in _read_json(modules, list)]
            for kind in kinds:
                if kind not in ("Transformer", "Pooling", "Normalize"):
                    raise EncoderError(
                        f"The encoder in {self.folder} has a '{kind}' module, which taskweb does not read. Choose "
                        "another encoder."
                    )
        config = self.folder / "1_Pooling" / "config.json"
        if not config.is_file():
            return "mean"
        settings = _read_json(config, dict)
        named = settings.get("pooling_mode")
        wanted = (
            {named}
            if isinstance(named, str)
            else {key.removeprefix("pooling_mode_") for key, value in settings.items() if value is True}
        )
        for key, pooling in (("mean_tokens", "mean"), ("cls_token", "cls"), ("max_tokens", "max")):
            if key in wanted or pooling in wanted:
                return pooling  # type: ignore[return-value]
        raise EncoderError(f"The pooling in {config} is none of mean, cls and max. Choose another encoder.")

    @cached_property
    def _session(self) -> tuple[ort.InferenceSession, frozenset[str]]:
        ort = import_onnxruntime()
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
        ort = import_onnxruntime()
        assert self._shape is not None
        file = self.folder / "model.safetensors"
        if not file.is_file():
            raise EncoderError(f"{self.folder} contains no encoder weights (model.safetensors or onnx/model.onnx). {_LAYOUT}")
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


_LAYOUT = "An encoder folder contains config.json, tokenizer.json and model.safetensors, as sentence-transformers saves it."


def _without_prefix(tensors: dict[str, Any]) -> dict[str, Any]:
    """The tensors by the encoder's own names: a checkpoint of a whole model adds the encoder's attribute name as a prefix."""
    for prefix in ("bert.", "roberta.", "distilbert."):
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


def _read_json(file: Path, kind: type) -> Any:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{file.parent} contains no {file.name}. {_LAYOUT}") from None
    except (OSError, ValueError) as fault:
        raise EncoderError(f"{file} cannot be read: {fault}.") from None
    if not isinstance(value, kind) or (isinstance(value, list) and not all(isinstance(item, dict) for item in value)):
        raise EncoderError(f"{file} does not have the expected content. {_LAYOUT}")
    return value


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
