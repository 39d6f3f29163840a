"""The sentence encoder: weights from disk, run by onnxruntime."""

from taskweb.selectors.encoder.pinned import DEFAULT_ENCODER
from taskweb.selectors.encoder.readability import Readability
from taskweb.selectors.encoder.sentence_encoder import DEFAULT_MAX_TOKENS, EncodedTexts, SentenceEncoder
from taskweb.selectors.encoder.weights import FoundEncoder, find_encoder

__all__ = [
    "DEFAULT_ENCODER",
    "DEFAULT_MAX_TOKENS",
    "EncodedTexts",
    "FoundEncoder",
    "Readability",
    "SentenceEncoder",
    "find_encoder",
]
