"""Training settings: everything that a run's result depends on besides model, examples and seed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from taskweb.errors import ParameterError, unknown_name

if TYPE_CHECKING:
    import torch

Schedule = Literal["constant", "linear"]
Precision = Literal["auto", "float32", "bfloat16"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "float": ((int, float), "a number"),
    "int": ((int,), "a whole number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
}


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Settings of AdamW and of training.

    learning_rate: at its peak. schedule: constant, or linear down to 0; either after a linear warm-up.
    warmup_steps, or warmup_ratio: length of the warm-up, in updates or as a share of all updates in [0, 1]; not both.
    batch_size: examples per update. micro_batch_size: most examples in memory at once, None for all; the gradient is the same
    up to rounding. epochs: passes over the examples. steps: number of updates, instead of epochs.
    weight_decay: of matrices, not of biases and norms. clip_norm: largest norm of the gradient, None for no limit.
    evaluate_every: updates between evaluations, None for once per epoch; the last update is always followed by one.
    log_every: updates between recorded losses; the first and the last are always recorded.
    precision: of computation; what is trained stays float32. auto: bfloat16 on a GPU that has it, and with frozen weights that
    are stored in half precision. device: None for a GPU if any.
    gradient_checkpointing: compute activations twice, to save memory. bucketing: batches of inputs of similar length.
    Raises ParameterError that lists every value of a wrong type, or else every one out of range.
    """

    learning_rate: float = 5e-5
    batch_size: int = 32
    epochs: int = 1
    steps: int | None = None
    schedule: Schedule = "linear"
    warmup_steps: int = 0
    warmup_ratio: float = 0.0
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = 1.0
    micro_batch_size: int | None = None
    evaluate_every: int | None = None
    log_every: int = 10
    precision: Precision = "auto"
    device: str | None = None
    gradient_checkpointing: bool = False
    bucketing: bool = True

    def __post_init__(self) -> None:
        mistyped = [f"{name} must be {kind} (got {getattr(self, name)!r})" for name, kind in self._mistyped()]
        if mistyped:
            raise ParameterError(f"These training settings are of the wrong type: {'; '.join(mistyped)}.")
        wrong = [f"{name} {rule} (got {getattr(self, name)})" for name, rule, is_met in self._rules() if not is_met]
        chosen = (("schedule", self.schedule, SCHEDULES), ("precision", self.precision, PRECISIONS))
        wrong += [str(unknown_name(kind, value, valid)).rstrip(".") for kind, value, valid in chosen if value not in valid]
        if wrong:
            raise ParameterError(f"These training settings are out of range: {'; '.join(wrong)}.")

    def _mistyped(self) -> Iterator[tuple[str, str]]:
        """The settings whose values are of the wrong type, as files may give them, and what each must be."""
        for field in dataclasses.fields(self):
            kind, _, rest = str(field.type).partition(" | ")
            types, words = _TYPES.get(kind, _TYPES["str"])
            value = getattr(self, field.name)
            is_flag = isinstance(value, bool)
            if not (value is None and rest) and not (isinstance(value, types) and is_flag == (kind == "bool")):
                yield field.name, words

    def _rules(self) -> list[tuple[str, str, bool]]:
        return [
            ("learning_rate", "must be above 0", 0 < self.learning_rate < math.inf),
            *(
                (name, "must be 1 or more", getattr(self, name) is None or getattr(self, name) >= 1)
                for name in ("batch_size", "epochs", "steps", "micro_batch_size", "evaluate_every", "log_every")
            ),
            (
                "warmup_steps",
                "must be 0 or more, and 0 together with a warmup_ratio",
                self.warmup_steps >= 0 and not self._two_warmups,
            ),
            ("warmup_ratio", "must be in [0, 1]", 0 <= self.warmup_ratio <= 1),
            ("weight_decay", "must be 0 or more", 0 <= self.weight_decay < math.inf),
            ("beta1", "must be in [0, 1)", 0 <= self.beta1 < 1),
            ("beta2", "must be in [0, 1)", 0 <= self.beta2 < 1),
            ("epsilon", "must be above 0", 0 < self.epsilon < math.inf),
            ("clip_norm", "must be above 0", self.clip_norm is None or self.clip_norm > 0),
        ]

    @property
    def _two_warmups(self) -> bool:
        return self.warmup_steps > 0 and self.warmup_ratio > 0

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def rate_at(self, step: int, total: int) -> float:
        """The learning rate of update `step`, counted from 0, of `total`."""
        warmup = self.warmup_steps or math.ceil(self.warmup_ratio * total)
        if step < warmup:
            return self.learning_rate * (step / warmup)
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * max(0.0, (total - step) / max(1, total - warmup))


def is_count(value: object, least: int) -> bool:
    """Whether a value from a file is a whole number, `least` or more; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def use_threads(count: int) -> None:
    """Set the number of threads of torch on the CPU, in this process; rounding depends on it."""
    import torch

    torch.set_num_threads(count)


def chosen_device(name: str | None) -> torch.device:
    """The device of that name; for None a GPU if any. Raises ParameterError for a device that does not exist."""
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise ParameterError(f"There is no device '{name}' here. Use cpu, or name none for a GPU if there is one.") from None
    return device


def chosen_precision(precision: Precision, device: torch.device, *, half_weights: bool = False) -> Precision:
    """The precision; `auto` resolved for the device. half_weights: whether frozen weights are stored in half precision."""
    if precision != "auto":
        return precision
    import torch

    if half_weights:
        return "bfloat16"
    return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def check_storage(precision: str | None, dtype: object, *, method: str | None = None, load_in: str | None = None) -> None:
    """Raise ParameterError where weights stored so cannot be computed with, or not be trained.

    precision: of arithmetic, None for that of the weights. dtype: of frozen weights, by name or as torch has it. method: None
    for a model that is only asked. load_in: 8 or 4 bits. The whole table is in docs/plan.md.
    """
    stored = str(dtype).removeprefix("torch.")
    if load_in is not None and method in ("finetune", "bitfit"):
        raise ParameterError(
            f"'{method}' trains the model's own weights, which cannot be stored in {load_in}. Use lora or pfeiffer, or leave "
            "load_in (--load-in) out."
        )
    if precision == "float32" and stored in ("bfloat16", "float16") and method != "finetune":
        raise ParameterError(
            f"Weights stored in {stored} cannot be computed with in float32. Leave precision (--precision) out, or store them "
            "in float32 (dtype, --dtype)."
        )


def computing_in(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Compute in that precision inside the block."""
    import torch

    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=chosen_precision(precision, device) == "bfloat16")
