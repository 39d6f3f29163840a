"""How much memory a training takes, estimated from a model without weights.

    peak = base + own + activations
    base = weights that are not trained, as they are stored
    own  = trained numbers x 4 bytes x 4 (weight, gradient, two moments of AdamW),
           + on a CPU the first values of those that are the base's own, for the next run
    activations = examples of a pass x (sum over layers of what is kept for the way back + tokens of answers x vocabulary
                  x (bytes of arithmetic + 3 x 4)); x 2 on a CPU, whose allocator leaves gaps as large; on a GPU, what the
                  optimizer needs at once where that is more

For each token a linear layer keeps what it puts out, and what it reads if its weights learn; a norm keeps what it reads in
float32, and RMSNorm in the arithmetic besides. With checkpointing a layer keeps its input, and one layer all of it.

Base and own are exact. Activations are an estimate: kernels differ, attention is taken to keep nothing of its own, and logits
to be computed for answers only. Libraries (about 0.4 GiB, on a GPU as much again), loading and evaluation count for nothing.
Peaks measured on a CPU, with glibc, were 0.7 to 1.3 times the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from taskweb.models.architecture import text_config_of, text_part_of
from taskweb.models.base import Method, TaskModel, Trained, config_of
from taskweb.models.methods.places import blocks_of, is_norm

_FLOAT32, _HALF = 4, 2
# In 4 bits, 64 numbers share a scale in float32.
_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "8bit": 1.0, "4bit": 0.5 + 4 / 64}
_WITH_GRADIENT_AND_MOMENTS = 4
_GAPS = 2
_COPIES_OF_LOGITS = 3  # in float32, their log-probabilities, and the gradient


@dataclass(frozen=True, slots=True)
class Passes:
    """What stands in memory at once in training.

    examples: of one pass. inputs: tokens of the longest input. answers: tokens of the longest answer, 0 for heads. half:
    whether arithmetic is in half precision. checkpointing: whether activations are computed twice instead of kept.
    """

    examples: int
    inputs: int
    answers: int = 0
    half: bool = False
    checkpointing: bool = False


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes at the peak of a training, in the parts that the module describes."""

    base: int
    own: int
    activations: int

    @property
    def peak(self) -> int:
        """All parts together."""
        return self.base + self.own + self.activations


def estimate_memory(
    model: TaskModel,
    method: Method,
    passes: Passes,
    *,
    dtype: str = "float32",
    load_in: str | None = None,
    on_gpu: bool = False,
) -> MemoryEstimate:
    """The memory of a training, on the device that computes.

    model: without weights, not adapted, with the head of its task. dtype, load_in: as `Weights` has them, `auto` resolved.
    Raises ParameterError for a method that cannot be applied to the model.
    """
    tensors = _tensors(model.module)
    body = [(part, tensor) for name, part, tensor in tensors if not model.is_head(name)]
    stored = round(sum(_stored(part, tensor, dtype, load_in) for part, tensor in body))
    trains = method.trains(model)
    all_of_body = trains.own == sum(tensor.numel() for _, tensor in body)
    own = stored if all_of_body else trains.own * _FLOAT32  # biases are stored in float32
    trained = _trained(trains, [tensor for name, _, tensor in tensors if model.is_head(name)])
    activations = passes.examples * _Pass(model, passes, trains.layers).bytes_of_example()
    if passes.half and dtype != "bfloat16" and load_in is None:  # autocast keeps weights in bfloat16 for the way back
        activations += _HALF * sum(tensor.numel() for part, tensor in body if tensor.ndim > 1 and _is_linear(part))
    learnt = _WITH_GRADIENT_AND_MOMENTS * trained
    if on_gpu:  # where AdamW takes all tensors together
        return MemoryEstimate(stored - own, learnt, max(round(activations), trained))
    return MemoryEstimate(stored - own, learnt + own, round(_GAPS * activations))


def _trained(trains: Trained, heads: list[torch.Tensor]) -> int:
    return (trains.own + trains.added + sum(tensor.numel() for tensor in heads)) * _FLOAT32


class _Pass:
    """One example on its way through a model."""

    def __init__(self, model: TaskModel, passes: Passes, learning: frozenset[nn.Module]) -> None:
        self.model, self.passes, self.learning = model, passes, learning
        self.size = _HALF if passes.half else _FLOAT32
        self.config = text_config_of(config_of(model))
        module: Any = model.module
        self.output = None if model.family == "encoder" else module.get_output_embeddings()
        self.encoder = set(module.get_encoder().modules()) if model.family == "seq2seq" else set()

    def bytes_of_example(self) -> float:
        module = text_part_of(self.model.module)
        blocks = blocks_of(module)
        inner = {part for block in blocks for part in block.modules()}
        within = [sum(map(self.kept_by, block.modules())) for block in blocks]
        if self.passes.checkpointing and blocks:
            hidden = int(self.config.hidden_size) * self.size
            within = [max(within), *(self.tokens(block) * hidden for block in blocks)]
        repeated = max(1, int(getattr(self.config, "num_hidden_layers", 1)) // max(1, len(blocks)))  # ALBERT uses one again
        outside = sum(self.kept_by(part) for part in module.modules() if part not in inner)
        vocabulary = 0 if self.output is None else int(self.output.weight.shape[0])
        return outside + repeated * sum(within) + self.passes.answers * vocabulary * (self.size + _COPIES_OF_LOGITS * _FLOAT32)

    def tokens(self, part: nn.Module) -> int:
        """How many tokens a part reads."""
        if self.model.family == "seq2seq":
            return self.passes.inputs if part in self.encoder else self.passes.answers
        return self.passes.inputs + self.passes.answers

    def kept_by(self, part: Any) -> float:
        """Bytes that a part keeps for the way back, of its own, not of the parts in it."""
        if part is self.output:
            return 0
        if _is_linear(part):
            read, put_out = part.weight.shape if isinstance(part, Conv1D) else reversed(part.weight.shape)
            return self.tokens(part) * (put_out + (read if part in self.learning else 0)) * self.size
        if is_norm(part):
            each = _FLOAT32 if isinstance(part, nn.LayerNorm) else self.size + _FLOAT32
            return self.tokens(part) * int(part.weight.shape[0]) * each
        experts = sum(sum(tensor.shape[1:]) for tensor in part.parameters(recurse=False) if tensor.ndim == 3)
        chosen = int(getattr(self.config, "num_experts_per_tok", None) or 1)
        return self.tokens(part) * chosen * experts * self.size


def _tensors(module: nn.Module) -> list[tuple[str, nn.Module, torch.Tensor]]:
    """Name, owner and tensor of each parameter; tied ones once."""
    found: dict[int, tuple[str, nn.Module, torch.Tensor]] = {}
    for prefix, part in module.named_modules():
        for name, tensor in part.named_parameters(recurse=False):
            found.setdefault(id(tensor), (f"{prefix}.{name}".lstrip("."), part, tensor))
    return list(found.values())


def _stored(part: nn.Module, tensor: torch.Tensor, dtype: str, load_in: str | None) -> float:
    """Bytes of one tensor of the base: vectors stay float32, linear layers may be quantized."""
    kind = "float32" if tensor.ndim <= 1 else load_in if load_in is not None and _is_linear(part) else dtype
    return tensor.numel() * _BYTES[kind]


def _is_linear(part: Any) -> bool:
    return isinstance(part, nn.Linear | Conv1D)
