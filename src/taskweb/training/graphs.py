"""Updates as CUDA graphs: what a GPU does in one update is recorded once for a padded shape, and then repeated by one call.

A graph reads its batch from fixed addresses (`Inputs`). What depends on numbers that change lies on the device: the rate, and
whether updates have stopped. Dropout draws from the device's own generator: its seed is set before each repetition, as it is
before a pass elsewhere, so the draws are a function of the seed, the number of the update and the padded shape.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch

from taskweb.models.base import Encoded, TaskModel
from taskweb.models.packing import Arrays, Member, Packed, Shape, pack, shape_of
from taskweb.training.shapes import chosen_shapes, fitting

WARM_UPS = 2  # passes before a capture, in which libraries choose kernels and allocate their memory

Work = Callable[[], None]


class Recorder(Protocol):
    """What turns work on a device into something that repeats it."""

    def record(self, work: Work) -> Work:
        """Record the work, after doing it `WARM_UPS` times. Raises RuntimeError for what cannot be recorded."""


class CudaRecorder:
    """Records CUDA graphs. They share their memory, as one is repeated at a time and leaves nothing in it for another."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._stream, self._pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()

    def record(self, work: Work) -> Work:
        """Record the work on a stream of its own. Where that fails, stream, generator and allocator are as before."""
        with torch.cuda.device(self._device):
            outside = torch.cuda.current_stream()
            self._stream.wait_stream(outside)
            try:
                with torch.cuda.stream(self._stream):
                    for _ in range(WARM_UPS):
                        work()
            finally:
                outside.wait_stream(self._stream)
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            state, graph = generator.clone_state(), torch.cuda.CUDAGraph()
            try:
                # Other threads may go on using the device: only this one is watched.
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                    work()
            except BaseException:
                # torch leaves a capture that was broken half done: its stream stays chosen, its generator expects to be
                # recorded, and its allocator serves the pool.
                torch.cuda.set_stream(outside)
                generator.graphsafe_set_state(state)
                with contextlib.suppress(AttributeError, RuntimeError):  # that of a capture which ended serves it no more
                    torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), self._pool)
                raise
            return graph.replay


def recorder_for(device: torch.device) -> Recorder | None:
    """The recorder of a device, None for one without. AMD's cards are called `cuda` by torch, too, and have none here."""
    return CudaRecorder(device) if device.type == "cuda" and torch.version.hip is None else None


class Inputs:
    """The arrays of one padded shape at fixed addresses on the device.

    On a GPU copies come from pinned memory and nothing waits for them. So a piece of that memory is used again only after the
    device has caught up.
    """

    def __init__(self, arrays: Arrays, device: torch.device) -> None:
        self.tensors = {name: torch.from_numpy(array).to(device, copy=True) for name, array in arrays.items()}
        self._staged: list[dict[str, torch.Tensor]] = []
        self._used = 0

    def load(self, arrays: Arrays) -> None:
        """Put a batch in place, after everything that the device was asked to do before."""
        if self._used == len(self._staged):
            self._staged.append({name: self._stage(tensor) for name, tensor in self.tensors.items()})
        for name, stage in self._staged[self._used].items():
            np.copyto(stage.numpy(), arrays[name], casting="no")
            self.tensors[name].copy_(stage, non_blocking=True)
        self._used += 1

    def caught_up(self) -> None:
        """The device has done all that it was asked to."""
        self._used = 0

    @staticmethod
    def _stage(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.device.type == "cuda")


class UpdateGraphs:
    """The updates of one training as graphs, one for each of few padded shapes.

    batches: all of the training, also those before the update that it resumes from: the shapes, and with them the dropout
    draws, don't depend on where it was interrupted.
    """

    def __init__(self, model: TaskModel, batches: Sequence[Sequence[Encoded]], device: torch.device) -> None:
        self._model = model
        needed = [shape_of(model, Member(batch, model.head)) for batch in batches]
        self.shapes = chosen_shapes(needed)
        found = {fitting(self.shapes, shape): batch for shape, batch in zip(needed, batches, strict=True)}
        self.inputs = {
            shape: Inputs(self._packed(found[shape], shape).arrays, device) for shape in self.shapes if shape in found
        }
        self._graphs: dict[Shape, Work] = {}

    def record(self, recorder: Recorder, work: Callable[[Mapping[str, torch.Tensor]], None]) -> None:
        """Record an update for every shape, the largest first, whose memory the others can use then.

        work: makes an update from the tensors of a batch, and leaves nothing behind but weights, moments and results. Raises
        RuntimeError where it cannot be recorded.
        """
        try:
            for shape, inputs in self.inputs.items():
                self._graphs[shape] = recorder.record(partial(work, inputs.tensors))
        except RuntimeError:
            self._graphs.clear()  # with their memory
            raise

    def load(self, batch: Sequence[Encoded]) -> tuple[Packed, Work]:
        """Put a batch in place. Returns it, and what makes its update."""
        shape = fitting(self.shapes, shape_of(self._model, Member(batch, self._model.head)))
        packed = self._packed(batch, shape)
        self.inputs[shape].load(packed.arrays)
        return packed, self._graphs[shape]

    def caught_up(self) -> None:
        """The device has done all that it was asked to."""
        for inputs in self.inputs.values():
            inputs.caught_up()

    def _packed(self, batch: Sequence[Encoded], shape: Shape) -> Packed:
        return pack(self._model, [Member(batch, self._model.head)], shape)


def tokens_in(packed: Packed) -> int:
    """Tokens of a packed batch that fill no shape."""
    arrays = packed.arrays
    only_fill = sum(packed.shape.rows - own.rows for own in packed.own)  # rows that only fill still have one token
    read = int(arrays["mask"].sum()) - only_fill
    return read + int(arrays["counts"].sum()) if packed.shape.answer else read
