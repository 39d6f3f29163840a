"""Sizes of models, what training them costs in arithmetic, and examples of a real mix of lengths. Needs no torch.

The arithmetic is that of matrix products, counted as usual (Chowdhery et al., 2022, arXiv:2204.02311, appendix B): two
operations for each weight that a token passes, and 4 x layers x width x length for attention, its mask disregarded. The
backward pass costs twice the forward pass, once for activations and once for weights; where the base is frozen, only
activations count. The output layer is counted where answers are, since nothing else needs it. Padding counts nowhere.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Family = Literal["seq2seq", "causal", "encoder"]
Kind = Literal["roberta", "gpt2", "t5", "llama"]
FAMILIES: Mapping[Kind, Family] = {"roberta": "encoder", "gpt2": "causal", "t5": "seq2seq", "llama": "causal"}
MEAN_TOKENS, SD_TOKENS = 90, 60
SHORTEST, LONGEST = 4, 500
_SENTENCE = "the a cat dog sat ran on under mat tree is it true false good bad film was very old new red blue house road"
WORDS = tuple(_SENTENCE.split())
ANSWERS = ("no", "yes")
PASSES_ALL, PASSES_FEW = 3, 2  # in forward passes: a training with all weights, and one with few


@dataclass(frozen=True)
class Shape:
    """The sizes of a model. layers: of each side where there are two. inner: width between the layers of a feed-forward block,
    which has three matrices where it is gated. key_heads: fewer than heads where those share keys. head_width: of one head.
    """

    kind: Kind
    layers: int
    width: int
    inner: int
    heads: int
    vocabulary: int
    gated: bool = False
    key_heads: int | None = None
    head_width: int | None = None

    @property
    def family(self) -> Family:
        """How the model reads and answers."""
        return FAMILIES[self.kind]

    @property
    def all_layers(self) -> int:
        """Layers of both sides."""
        return self.layers * (2 if self.family == "seq2seq" else 1)

    @property
    def attention_width(self) -> int:
        """Of queries."""
        return self.heads * (self.head_width or self.width // self.heads)

    @property
    def keys_and_values(self) -> int:
        """Weights that make keys and values in one layer."""
        return 2 * self.width * self.attention_width * (self.key_heads or self.heads) // self.heads

    @property
    def layer(self) -> int:
        """Weights that a token passes in one layer: attention to its own side, and feed-forward."""
        return 2 * self.width * self.attention_width + self.keys_and_values + (3 if self.gated else 2) * self.width * self.inner

    @property
    def weights(self) -> int:
        """All matrices, in round terms: embeddings counted once, heads left out."""
        decoder = self.layers * (self.layer + self._crossing + self.keys_and_values) if self.family == "seq2seq" else 0
        return self.vocabulary * self.width + self.layers * self.layer + decoder

    @property
    def _crossing(self) -> int:
        """Weights that a token of the answer passes where it attends to the input."""
        return 2 * self.width * self.attention_width

    def forward(self, read: float, answer: float, *, spread: float = 0.0) -> float:
        """Operations for an example. read, answer: its tokens; spread: the standard deviation of `read` if it is a mean."""
        if self.family == "causal":  # the answer's last token is only predicted
            read += answer - 1
        squared = read * read + spread * spread
        mixing = 4 * self.layers * self.attention_width
        passed = 2 * self.layers * self.layer * read + mixing * squared
        if self.family == "seq2seq":
            passed += 2 * self.layers * (self.keys_and_values * read + (self.layer + self._crossing) * answer)
            passed += mixing * answer * (answer + read)
        terms, outputs = (1, self.width) if self.family == "encoder" else (answer, self.vocabulary)
        return passed + 2 * self.width * outputs * terms

    def training(self, read: float, answer: float, *, frozen: bool, spread: float = 0.0) -> float:
        """Operations for reading an example once in training. frozen: whether the base is."""
        return (PASSES_FEW if frozen else PASSES_ALL) * self.forward(read, answer, spread=spread)


GPU_SHAPES: Mapping[str, Shape] = {
    "roberta-base": Shape("roberta", 12, 768, 3072, 12, 50265),
    "t5-base": Shape("t5", 12, 768, 2048, 12, 32128, gated=True),
    "gpt2-medium": Shape("gpt2", 24, 1024, 4096, 16, 50257),
    "llama-0.5b": Shape("llama", 24, 1024, 4864, 16, 32000, gated=True),
    "llama-1.2b": Shape("llama", 16, 2048, 8192, 32, 128256, gated=True, key_heads=8),
}
"""Sizes as published: t5-base is that of T5 1.1, the 1.2 billion Llama that of Llama 3.2."""
HUB_SHAPES: Mapping[str, Shape] = {
    "google/t5-small-lm-adapt": Shape("t5", 8, 512, 1024, 6, 32128, gated=True, head_width=64),
    "google/t5-base-lm-adapt": GPU_SHAPES["t5-base"],
    "google/t5-large-lm-adapt": Shape("t5", 24, 1024, 2816, 16, 32128, gated=True),
    "openai-community/gpt2-medium": GPU_SHAPES["gpt2-medium"],
    "FacebookAI/roberta-base": GPU_SHAPES["roberta-base"],
}
"""Models of the published web."""
CPU_SHAPES: Mapping[str, Shape] = {
    **{f"tiny-{kind}": Shape(kind, 1, 64, 128, 4, 600, kind == "llama") for kind in FAMILIES},
    "small-roberta": Shape("roberta", 6, 384, 1536, 6, 50265),
    "small-t5": Shape("t5", 6, 384, 1024, 6, 32128, gated=True),
    "small-gpt2": Shape("gpt2", 6, 384, 1536, 6, 50257),
    "small-llama": Shape("llama", 6, 384, 1024, 6, 50257, gated=True),
}
"""Small ones have about 30 million weights."""


def lengths(count: int, seed: int) -> list[int]:
    """Lengths of inputs in tokens, lognormal with the mean and the standard deviation above; extreme ones are drawn again."""
    variance = math.log(1 + (SD_TOKENS / MEAN_TOKENS) ** 2)
    draw, found = random.Random(seed), list[int]()
    while len(found) < count:
        length = round(draw.lognormvariate(math.log(MEAN_TOKENS) - variance / 2, math.sqrt(variance)))
        if SHORTEST <= length <= LONGEST:
            found.append(length)
    return found


def texts(count: int, seed: int) -> list[tuple[str, str]]:
    """Inputs of those lengths, a token per word, and their answers."""
    draw = random.Random(seed)
    return [(" ".join(draw.choices(WORDS, k=length)), draw.choice(ANSWERS)) for length in lengths(count, seed)]


# Cards

_TENSOR_TFLOPS: Mapping[str, Mapping[str, float]] = {
    "B200": {"bfloat16": 2250, "float32": 75},
    "GH200": {"bfloat16": 989, "float32": 67},
    "H200": {"bfloat16": 989, "float32": 67},
    "H100 PCIe": {"bfloat16": 756, "float32": 51},
    "H100 NVL": {"bfloat16": 835, "float32": 60},
    "H100": {"bfloat16": 989, "float32": 67},
    "A100": {"bfloat16": 312, "float32": 19.5},
    "L40S": {"bfloat16": 362, "float32": 91.6},
    "L4": {"bfloat16": 121, "float32": 30.3},
    "A10G": {"bfloat16": 70, "float32": 35},
    "A10": {"bfloat16": 125, "float32": 31.2},
    "RTX 4090": {"bfloat16": 165, "float32": 82.6},
    "RTX 3090": {"bfloat16": 71, "float32": 35.6},
}
"""10^12 operations per second of dense matrix products by the makers' data sheets; float32 without the shorter TF32."""


def peak_of(card: str, precision: str) -> float | None:
    """Operations per second that a card is built for, in that precision; None for one that is not in the table."""
    known = next((found for name, found in _TENSOR_TFLOPS.items() if set(name.split()) <= _words(card)), None)
    return None if known is None else known[precision] * 1e12


def _words(card: str) -> set[str]:
    """`NVIDIA A100-SXM4-80GB` says A100."""
    return set(card.replace("-", " ").split())
