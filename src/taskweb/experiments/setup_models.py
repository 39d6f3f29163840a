"""Models of a plan's setups, ready to be trained on a task.

A base is loaded once, and lent to one run after another. Weights after a source stay in memory for its transfers, if they fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from taskweb.experiments.plan import PlannedSetup
from taskweb.experiments.task_data import TaskData
from taskweb.models import Head, TaskModel, head_for, load_model, load_saved, method_of
from taskweb.models.loading import is_tiny
from taskweb.models.shared_base import SharedBase
from taskweb.models.tiny import tiny_model
from taskweb.models.weight_storage import Weights
from taskweb.training.settings import chosen_device

_SHARE_OF_FREE = 0.1
_BYTES_ELSEWHERE = 2**28


@dataclass(frozen=True, slots=True)
class SetupModels:
    """texts: all texts of the plan; the tokenizers of tiny models are made from them."""

    texts: tuple[str, ...] = field(default=(), repr=False)
    _bases: dict[tuple[object, ...], SharedBase] = field(default_factory=dict, init=False, repr=False)
    _sources: dict[Path, dict[str, torch.Tensor]] = field(default_factory=dict, init=False, repr=False)

    def for_task(self, setup: PlannedSetup, data: TaskData, seed: int, source: Path | None = None) -> TaskModel:
        """The setup's model, ready for a task: initial weights or those after a source, a head, the method applied.

        The head is drawn from the seed in both cases, unless the setup carries the head of the source.
        """
        head = head_of(data)
        model = self.base(setup, head).fresh()
        if source is not None:
            load_saved(source, model, tensors=self._sources.get(source))
            model.set_head(head, seed=seed, carry=setup.carry_head)
            return model
        model.set_head(head, seed=seed)
        method_of(setup.method, setup.method_parameters).apply(model, seed=seed)
        return model

    def keep_source(self, path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keep weights after a source, which are in that file too, where they lie; the oldest ones make room for them."""
        size, room = _bytes_of(tensors), _room(next(iter(tensors.values())).device, self._kept_bytes)
        if size <= room:
            while self._kept_bytes + size > room:
                self._sources.pop(next(iter(self._sources)))
            self._sources[path] = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def forget_source(self, path: Path) -> None:
        """Free the memory of weights after a source that no transfer needs any more."""
        self._sources.pop(path, None)

    def forget_all(self) -> None:
        """Free the memory of the base and of all weights after sources."""
        self._bases.clear()
        self._sources.clear()

    @property
    def _kept_bytes(self) -> int:
        return sum(map(_bytes_of, self._sources.values()))

    def base(self, setup: PlannedSetup, head: Head) -> SharedBase:
        """The setup's model before any training, for all runs of the process."""
        key = (setup.model, setup.revision, setup.family, setup.dtype, setup.load_in, repr(setup.text))
        known = self._bases.get(key)
        if known is None:
            self._bases.clear()  # one at a time: large models are large
            if is_tiny(setup.model):
                model = tiny_model(setup.model, self.texts, head, text=setup.text)
            else:
                name, revision = setup.loaded_from
                weights = Weights(setup.dtype, setup.load_in)  # type: ignore[arg-type]  # checked there
                model = load_model(name, head, revision=revision, text=setup.text, family=setup.family, weights=weights)
            model.module.to(chosen_device(setup.training.device))
            known = self._bases[key] = SharedBase(model)
        return known


def _bytes_of(tensors: Mapping[str, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _room(device: torch.device, kept: int) -> float:
    """Bytes for weights after sources, kept ones included: a part of a GPU's free memory, a fixed number elsewhere."""
    return _SHARE_OF_FREE * (torch.cuda.mem_get_info(device)[0] + kept) if device.type == "cuda" else _BYTES_ELSEWHERE


def head_of(data: TaskData) -> Head:
    """The head for a task, as target and as source: includes labels that only its source examples have."""
    known = [*data.target, *data.evaluation]
    head = head_for(data.task.kind, known)
    if head.labels and any(example.output not in head.labels for example in data.source):
        return head_for(data.task.kind, [*known, *data.source])
    return head
