"""The optimizer of a training: AdamW, whose decay spares biases and norms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from taskweb.training.settings import TrainingSettings
from taskweb.training.workers import is_sharded


def adamw(parameters: Sequence[nn.Parameter], settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW as torch does it by default; its rate is a number."""
    return _adamw(parameters, settings, lr=settings.learning_rate)


def adamw_on_device(parameters: Sequence[nn.Parameter], settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW that reads its rate and whether to make a step (`found_inf`, 1 for no) from the device, and waits for nothing.

    Its steps can be recorded in a CUDA graph. The count of steps lies on the device too.
    """
    device = parameters[0].device
    rate = torch.full((), settings.learning_rate, device=device)
    optimizer = _adamw(parameters, settings, lr=rate, fused=True, capturable=device.type == "cuda")
    optimizer.found_inf = torch.zeros((), device=device)  # what torch's gradient scaler sets, too
    return optimizer


def counts_on_device(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the count of steps lies where the parameters do, and not on the CPU."""
    return any(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)


def _adamw(parameters: Sequence[nn.Parameter], settings: TrainingSettings, **options: object) -> torch.optim.AdamW:
    groups = _parameter_groups(parameters, settings.weight_decay)
    return torch.optim.AdamW(groups, betas=(settings.beta1, settings.beta2), eps=settings.epsilon, **options)


def _parameter_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Groups of parameters: matrices, which decay, and vectors; each sharded among processes or not."""
    found: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in parameters:
        found.setdefault((parameter.ndim <= 1, is_sharded(parameter)), []).append(parameter)
    return [{"params": found[key], "weight_decay": 0.0 if key[0] else weight_decay} for key in sorted(found)]
