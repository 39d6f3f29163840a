"""Whether members of a fused model learn what they would alone: tried on a few examples, against each run's own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from taskweb.models.arithmetic import computes_exactly
from taskweb.models.base import Encoded, TaskModel, device_of
from taskweb.models.fused.fused_model import FusedModel, Part
from taskweb.models.fused.layers import NotFusableError
from taskweb.models.memory import out_of_memory
from taskweb.models.methods.trainable import trainable
from taskweb.models.packing import Member
from taskweb.models.padding import seeded

_EXAMPLES = 2
_NOISE = 0.02
_TOLERANCE = 1e-2  # of the gradient's length, in float32; another structure comes to about 1
_HALF_TOLERANCE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """What a run's own model made of a few examples: the weights it had, its loss and its gradients, by name."""

    part: Part
    weights: Mapping[str, torch.Tensor]
    loss: float
    gradients: Mapping[str, torch.Tensor]


def probed(model: TaskModel, encoded: Sequence[Encoded], seed: int) -> Probe:
    """Try a run's own model, with noise on its trained weights so that each of them matters. The weights stay as they were."""
    items, wanted = list(encoded[:_EXAMPLES]), trainable(model.module)
    before = {name: parameter.detach().clone() for name, parameter in wanted.items()}
    training = model.module.training
    device = device_of(model.module)
    with seeded(seed):
        with torch.no_grad():
            for parameter in wanted.values():
                parameter.add_(torch.randn(parameter.shape, device=device), alpha=_NOISE)
        weights = {name: parameter.detach().clone() for name, parameter in wanted.items()}
        model.module.train(device.type == "cpu")  # elsewhere dropout is drawn by other kernels
        torch.manual_seed(seed)
        loss = model.loss(items)
        gradients = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    model.module.train(training)
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(before[name])
    found = {
        name: torch.zeros_like(weights[name]) if gradient is None else gradient
        for name, gradient in zip(wanted, gradients, strict=True)
    }
    return Probe(Part(Member(items, model.head), seed), weights, loss.item(), found)


def verify(fused: FusedModel, probes: Sequence[Probe]) -> None:
    """Raise NotFusableError where the probes give another loss or gradient when they share a pass."""
    tensors, module = fused.tensors, fused.model.module
    values = torch.stack([tensors.row(probe.weights) for probe in probes])
    gradients = torch.zeros_like(values)
    training = module.training
    module.train(fused.device.type == "cpu")
    tensors.bind(values, gradients)
    try:
        losses = fused.losses([probe.part for probe in probes])
        fused.backward(losses)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as fault:
        if out_of_memory(fault):
            raise
        reason = " ".join(str(fault).split())[:200]
        raise NotFusableError(f"its layers do not keep the rows of a batch apart ({reason})") from None
    finally:
        module.train(training)
    most = _TOLERANCE if computes_exactly(module) else _HALF_TOLERANCE
    for probe, loss, row in zip(probes, losses.tolist(), gradients, strict=True):
        wanted = tensors.row(probe.gradients)
        away = float((row - wanted).norm() / wanted.norm().clamp(min=1e-12))
        if abs(loss - probe.loss) > most * max(1.0, abs(probe.loss)) or not away <= most:
            raise NotFusableError(
                f"a shared pass gives another loss or gradient than a run alone ({loss:.4g} and {probe.loss:.4g}, gradients "
                f"{100 * away:.2g}% apart)"
            )
