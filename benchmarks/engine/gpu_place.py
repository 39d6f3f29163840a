"""Where the checks on a GPU run, and what they share: models by architecture, examples, and what a failed check is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from taskweb.models import Head, TaskModel, load_model, random_model
from taskweb.models.encoder_head import body_of
from taskweb.models.loading import quiet
from taskweb.models.tiny import TINY_MODELS
from taskweb.models.weight_storage import Weights
from taskweb.tasks import Example
from taskweb.training import TrainingSettings
from taskweb.training.settings import Precision

NAMES = ("tiny:roberta", "tiny:gpt2", "tiny:t5", "tiny:llama")
HEAD = Head("classification", labels=("no", "yes"))
SENTENCE = "the a cat dog sat ran on under mat tree is it true false yes no maybe good bad film was very . ? ,"
WORDS = SENTENCE.split()
POSITIONS = 512
Figures = dict[str, Any]


class FailedCheckError(Exception):
    """Something is not as it should be."""


@dataclass(frozen=True)
class Place:
    """Where the checks run. width, heads, layers, vocabulary: of the models; large: layers of the
    one whose memory is measured. runs: how many in a row.
    """

    device: torch.device
    width: int
    heads: int
    layers: int
    vocabulary: int
    large: int
    runs: int

    @classmethod
    def of(cls, device: torch.device) -> Place:
        """Real shapes on a GPU, tiny ones on a CPU."""
        return cls(device, 768, 12, 6, 8_000, 24, 12) if device.type == "cuda" else cls(device, 64, 4, 2, 600, 2, 3)

    def model(self, name: str, head: Head = HEAD, *, layers: int | None = None) -> TaskModel:
        """A model with weights drawn from a seed, in float32, on the device."""
        small, tokenizer = TINY_MODELS[name](WORDS, 0.0)
        model = random_model(self._enlarged(small, layers or self.layers), tokenizer, head, seed=1)
        model.module.to(self.device)
        return model

    def folder(self, name: str, where: Path, dtype: torch.dtype = torch.float32) -> Path:
        """A checkpoint as the library saves it, an encoder without a head."""
        model = self.model(name)
        body = body_of(model.module) if model.family == "encoder" else model.module
        with quiet():
            body.to(dtype).save_pretrained(where)
            model.tokenizer.save_pretrained(where)
        return where

    def opened(self, folder: Path, weights: Weights) -> TaskModel:
        """The model in a folder, on the device."""
        model = load_model(str(folder), HEAD, seed=1, weights=weights)
        if weights.load_in is None:
            model.module.to(self.device)
        return model

    def settings(self, precision: Precision = "auto", **changes: Any) -> TrainingSettings:
        """How the checks train."""
        values = {"learning_rate": 1e-3, "batch_size": 8, "steps": 16, "log_every": 1, "schedule": "constant", **changes}
        return TrainingSettings(precision=precision, device=str(self.device), **values)

    def _enlarged(self, small: Any, layers: int) -> Any:
        """The configuration of a tiny model with this place's shape."""
        width, heads, each = self.width, self.heads, self.width // self.heads
        plain = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers}
        plain |= {"num_attention_heads": heads, "max_position_embeddings": POSITIONS + 2}
        gpt2 = {"n_embd": width, "n_inner": 4 * width, "n_layer": layers, "n_head": heads, "n_positions": POSITIONS}
        t5 = {"d_model": width, "d_ff": 4 * width, "d_kv": each, "num_heads": heads}
        t5 |= {"num_layers": layers, "num_decoder_layers": layers}
        llama = {**plain, "num_key_value_heads": heads // 2, "head_dim": each}
        changes = {"gpt2": gpt2, "t5": t5, "llama": llama}.get(small.model_type, plain)
        return type(small)(**{**small.to_dict(), **changes, "vocab_size": self.vocabulary})


Check = Callable[[Place], Figures]


# What is computed


def statements(count: int = 24) -> list[Example]:
    """Yes-no questions of 8 to 40 words, answered by the animal in them."""
    found = []
    for i in range(count):
        animal = "cat" if i % 3 else "dog"
        text = f"the {animal} " + "very " * (i * 7 % 31) + f"{'sat on' if i % 2 else 'ran under'} the mat . is it true ?"
        found.append(Example(text, "yes" if animal == "cat" else "no", ("no", "yes")))
    return found


def needs(met: bool, problem: str) -> None:
    """Raise FailedCheckError with the problem where something is not met."""
    if not met:
        raise FailedCheckError(problem)


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    """Of two vectors; NaN where one is zero."""
    return float(one @ other / (one.norm() * other.norm()))
