"""The checkpoint of a training, as one file: trained tensors, the optimizer's state, position and history.

No random state is saved: every draw is a function of the seed and the position. So a resumed training ends with the same bits
as one that was never stopped (same machine, device and number of threads).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from taskweb.errors import InputError, ParameterError
from taskweb.models.base import Encoded, TaskModel
from taskweb.models.fingerprints import fingerprint
from taskweb.models.methods.trainable import trainable
from taskweb.models.tensor_file import read_tensors, write_tensors
from taskweb.training.history import TrainingHistory
from taskweb.training.optimizer import counts_on_device
from taskweb.training.settings import TrainingSettings
from taskweb.training.workers import full_tensors, shard_like

FORMAT = 1
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """Where and how often to save a checkpoint. If `path` exists, training resumes from it.

    every: updates between checkpoints; None for no such rule. seconds: time between checkpoints, for a single process only;
    None for no such rule. Only `every` saves the end of a training too. strict: raise for a file that is damaged or of another
    training, instead of overwriting it. on_saved: called with the path of a file that was just written. The file stays when
    training ends; the caller removes it.
    """

    path: Path
    every: int | None = 500
    seconds: float | None = None
    strict: bool = True
    on_saved: Callable[[Path], None] | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ParameterError(f"Checkpoints must be 1 or more updates apart. Got {self.every} instead.")
        if self.seconds is not None and not self.seconds >= 0:
            raise ParameterError(f"Checkpoints must be 0 or more seconds apart. Got {self.seconds} instead.")

    def is_due(self, history: TrainingHistory, since: float) -> bool:
        """Whether to save now, `since` seconds after the last checkpoint."""
        if self.every is not None and history.step % self.every == 0:
            return True
        return self.seconds is not None and since >= self.seconds and history.step < history.total_steps


def identity_of(model: TaskModel, encoded: Sequence[Encoded], settings: TrainingSettings, seed: int) -> str:
    """SHA-256 over what defines a training: method, frozen tensors, token ids, settings, seed, and a router's loss."""
    sha = hashlib.sha256()
    method = None if model.method is None else [model.method.name, dict(model.method.parameters())]
    router = ["router_loss"] if model.text.router_loss else []
    sha.update(json.dumps([method, fingerprint(model), settings.to_dict(), seed, *router], sort_keys=True).encode())
    for item in encoded:
        for ids in item.inputs:
            sha.update(ids.tobytes())
        sha.update(repr((item.answer, item.number)).encode())
    return sha.hexdigest()


def save_checkpoint(
    path: Path, model: TaskModel, optimizer: Any, history: TrainingHistory, identity: str, *, write: bool = True
) -> None:
    """Write the checkpoint, whole or not at all. Processes that train together must all call this; one of them with `write`."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in trainable(model.module).items():
        tensors[f"weight:{name}"] = parameter
        for moment, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{moment}:{name}"] = value
    tensors = full_tensors(tensors)
    if write:
        _write(path, tensors, history, identity)


def load_checkpoint(path: Path, model: TaskModel, optimizer: Any, identity: str) -> TrainingHistory:
    """Restore model and optimizer, and return the history up to the checkpoint.

    Raises InputError for a checkpoint of another training, or a damaged one.
    """
    wanted = trainable(model.module)
    tensors, history = _read(path, identity, wanted)
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(shard_like(tensors[f"weight:{name}"], parameter))
            state = _state_of(tensors, name, parameter, counts_on_device=counts_on_device(optimizer))
            if state:
                optimizer.state[parameter] = state
    return history


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A training after some updates, as tensors by name: weights, first and second moments; and its history."""

    weights: Mapping[str, torch.Tensor]
    first: Mapping[str, torch.Tensor]
    second: Mapping[str, torch.Tensor]
    history: TrainingHistory


def save_state(path: Path, state: TrainingState, identity: str) -> None:
    """Write a checkpoint of a training whose tensors are at hand; `fit` resumes from it as from its own."""
    steps = torch.tensor(float(state.history.step))
    tensors = {f"weight:{name}": tensor for name, tensor in state.weights.items()}
    tensors |= {f"step:{name}": steps.clone() for name in state.first}
    tensors |= {f"exp_avg:{name}": tensor for name, tensor in state.first.items()}
    tensors |= {f"exp_avg_sq:{name}": tensor for name, tensor in state.second.items()}
    _write(path, tensors, state.history, identity)


def load_state(path: Path, names: Collection[str], identity: str) -> TrainingState:
    """A checkpoint as tensors; names of the trained ones. Raises InputError as `load_checkpoint` does."""
    tensors, history = _read(path, identity, names)
    weights, first, second = (
        {name: tensors[f"{kind}:{name}"] for name in names if f"{kind}:{name}" in tensors} for kind in ("weight", *_MOMENTS[1:])
    )
    zeros = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    return TrainingState(weights, zeros | first, zeros | second, history)


def _write(path: Path, tensors: Mapping[str, torch.Tensor], history: TrainingHistory, identity: str) -> None:
    write_tensors(path, tensors, {"format": FORMAT, "identity": identity, "history": history.to_dict()})


def _read(path: Path, identity: str, names: Collection[str]) -> tuple[dict[str, torch.Tensor], TrainingHistory]:
    tensors, record = read_tensors(path)
    if record.get("format") != FORMAT or record.get("identity") != identity:
        raise InputError(
            f"The checkpoint {path} belongs to another training: model, method, examples, settings or seed differ. "
            "Remove it, or choose another path."
        )
    if {f"weight:{name}" for name in names} - set(tensors):
        raise InputError(f"The checkpoint {path} lacks weights of this model. Remove it.")
    return tensors, TrainingHistory.from_dict(record["history"])


def _state_of(
    tensors: Mapping[str, torch.Tensor], name: str, parameter: nn.Parameter, *, counts_on_device: bool
) -> dict[str, torch.Tensor]:
    found = {moment: tensors[f"{moment}:{name}"] for moment in _MOMENTS if f"{moment}:{name}" in tensors}
    for moment in found:
        if moment != "step":
            found[moment] = shard_like(found[moment], parameter)
        elif counts_on_device:
            found[moment] = found[moment].to(parameter.device)
    return found
