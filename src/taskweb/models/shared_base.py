"""One model in memory for all runs of a process: what a run changes is undone before the next, and nothing is copied.

A method adds modules, parameters and hooks to the base, and trains some of the base's own tensors. The first kind is undone by
putting the modules' own tables back; of the second, the values before training are saved once. A model whose trained tensors
are all its own can be put aside and taken up again.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from taskweb.models.base import TaskModel
from taskweb.models.encoder_head import body_of

_TABLES = (
    "_modules",
    "_parameters",
    "_buffers",
    "_non_persistent_buffers_set",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


@dataclass(frozen=True, slots=True, eq=False)
class PutAside:
    """How the base's modules looked with a model's own layers in them: their tables and further attributes."""

    tables: dict[nn.Module, dict[str, Any]]
    attributes: dict[nn.Module, dict[str, Any]]


class SharedBase:
    """A loaded model that is handed out again and again, as it was loaded. One run at a time; not for several threads."""

    def __init__(self, model: TaskModel) -> None:
        self._model = model
        self._body: nn.Module = body_of(model.module) if model.family == "encoder" else model.module
        self._tables = {module: self._tables_of(module) for module in self._body.modules()}
        self._attributes = {module: set(module.__dict__) for module in self._tables}
        self._own = dict(self._body.named_parameters())
        self._saved: dict[str, torch.Tensor] = {}
        self.current: PutAside | None = None
        """The model whose layers are in the base, if it was put aside before and taken up again."""

    def fresh(self) -> TaskModel:
        """The model as it was loaded, without a method. What was handed out before must not be used any more."""
        self._restore()
        self.current = None
        if self._model.family != "encoder":
            _ = getattr(self._model, "verified", None)  # tried once, on the plain model; an encoder's depends on its head
        model = copy.copy(self._model)
        model.shared = self
        return model

    def put_aside(self) -> PutAside:
        """The state of the base with the model that was handed out last, to be taken up again after others."""
        attributes = {
            module: {name: module.__dict__[name] for name in set(module.__dict__) - known}
            for module, known in self._attributes.items()
        }
        self.current = PutAside({module: self._tables_of(module) for module in self._tables}, attributes)
        return self.current

    def take_up(self, aside: PutAside) -> None:
        """Put a model's own layers back into the base, whose own tensors are all frozen in it."""
        self._restore()
        for module, tables in aside.tables.items():
            self._put(module, tables)
            module.__dict__.update(aside.attributes[module])
        for parameter in self._own.values():
            parameter.requires_grad_(False)
        self.current = aside

    def protect(self) -> None:
        """Save the values of the base's own tensors that are about to be trained; done once for each."""
        for name, parameter in self._own.items():
            if parameter.requires_grad and name not in self._saved:
                self._saved[name] = parameter.detach().to("cpu", copy=True)

    def _restore(self) -> None:
        for module, tables in self._tables.items():
            self._put(module, tables)
            for name in set(module.__dict__) - self._attributes[module]:
                del module.__dict__[name]
        for name, parameter in self._own.items():
            parameter.grad = None
            if name in self._saved:
                saved = self._saved[name]
                if parameter.dtype == saved.dtype:
                    parameter.data.copy_(saved)
                else:  # it was trained in float32
                    parameter.data = saved.to(parameter.device, copy=True)
            if parameter.dtype.is_floating_point:
                parameter.requires_grad_(True)
        self._body.eval()

    @staticmethod
    def _put(module: nn.Module, tables: dict[str, Any]) -> None:
        for name, table in tables.items():
            current = getattr(module, name)
            current.clear()
            current.update(table)

    @staticmethod
    def _tables_of(module: nn.Module) -> dict[str, Any]:
        return {name: copy.copy(getattr(module, name)) for name in _TABLES}
