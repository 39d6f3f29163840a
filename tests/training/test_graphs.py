"""What graphs read: fixed addresses of their own, filled batch by batch."""

from __future__ import annotations

from itertools import combinations

import pytest

pytest.importorskip("torch")

import torch

from taskweb.models.packing import Shape
from taskweb.training import TrainingSettings, shapes
from taskweb.training.batch_order import training_batches
from taskweb.training.graphs import UpdateGraphs, recorder_for, tokens_in
from tests.models import tiny
from tests.training.recorders import CallRecorder

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(batch_size=4, steps=24, device="cpu")


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> UpdateGraphs:
    """Graphs of several shapes: recording costs nothing."""
    monkeypatch.setattr(shapes, "COST_OF_RECORDING", 0)
    monkeypatch.setattr(shapes, "_MULTIPLE", 1)
    model = tiny.model(getattr(request, "param", "t5"))
    encoded = model.encode(tiny.statements(22))
    return UpdateGraphs(model, [*training_batches(encoded, SETTINGS, 0, 0, 24)], CPU)


def addresses(graphs: UpdateGraphs) -> list[tuple[Shape, int, int]]:
    return [
        (shape, tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes)
        for shape, inputs in graphs.inputs.items()
        for tensor in inputs.tensors.values()
    ]


@pytest.mark.parametrize("graphs", tiny.NAMES, indirect=True)
def test_inputs_of_graphs_overlap_nowhere_and_never_move(graphs: UpdateGraphs) -> None:
    assert len(graphs.inputs) > 1
    before = addresses(graphs)
    assert all(end <= other or last <= begin for (_, begin, end), (_, other, last) in combinations(before, 2))
    seen: list[Shape] = []
    graphs.record(CallRecorder(), lambda _: None)
    for batch in training_batches(graphs._model.encode(tiny.statements(22)), SETTINGS, 0, 0, 24):
        others = {shape: [own.clone() for own in inputs.tensors.values()] for shape, inputs in graphs.inputs.items()}
        packed, _ = graphs.load(batch)
        seen.append(packed.shape)
        for shape, inputs in graphs.inputs.items():
            if shape == packed.shape:
                assert all(inputs.tensors[name].equal(torch.from_numpy(array)) for name, array in packed.arrays.items())
            else:
                assert all(own.equal(old) for own, old in zip(inputs.tensors.values(), others[shape], strict=True))
    assert addresses(graphs) == before
    assert set(seen) == set(graphs.inputs)


def test_a_staged_batch_is_not_overwritten_before_the_device_has_caught_up(graphs: UpdateGraphs) -> None:
    graphs.record(CallRecorder(), lambda _: None)
    batches = [*training_batches(graphs._model.encode(tiny.statements(22)), SETTINGS, 0, 0, 24)]
    shape = graphs.load(batches[0])[0].shape
    inputs = graphs.inputs[shape]
    first = inputs._staged[0]["ids"].clone()
    graphs.load(batches[0][::-1])
    assert inputs._staged[0]["ids"].equal(first)
    assert not inputs._staged[1]["ids"].equal(first)
    graphs.caught_up()
    graphs.load(batches[0][::-1])
    assert not inputs._staged[0]["ids"].equal(first)
    assert len(inputs._staged) == 2


def test_tokens_are_counted_without_what_fills_the_shape(graphs: UpdateGraphs) -> None:
    graphs.record(CallRecorder(), lambda _: None)
    batch = graphs._model.encode(tiny.statements(3))
    packed, _ = graphs.load(batch)
    assert tokens_in(packed) == sum(item.length for item in batch)
    assert packed.shape.tokens > tokens_in(packed)


def test_no_graphs_are_recorded_on_a_cpu() -> None:
    assert recorder_for(CPU) is None
