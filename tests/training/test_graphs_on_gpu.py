"""CUDA graphs themselves, where there is a GPU."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from taskweb.models import TaskModel, method_of
from taskweb.models.packing import losses as packed_losses
from taskweb.training import TrainingHistory, TrainingSettings, gradient
from taskweb.training.loop import fit_encoded
from tests.models import tiny
from tests.training.recorders import CallRecorder

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() or torch.version.hip is not None, reason="CUDA graphs need an NVIDIA GPU"
)
SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=6, steps=40, log_every=1, precision="float32", device="cuda")


def trained(name: str, recorder: CallRecorder | None, *, dropout: float = 0.0) -> tuple[TaskModel, TrainingHistory]:
    """A model after a training: without a recorder as CUDA graphs."""
    model = tiny.model(name, dropout=dropout)
    method_of("finetune").apply(model, seed=1)
    return model, fit_encoded(model, model.encode(tiny.statements(26)), SETTINGS, seed=0, recorder=recorder)


def losses(history: TrainingHistory) -> list[float]:
    return [record.loss for record in history.losses]


@pytest.mark.parametrize("name", tiny.NAMES)
def test_graphs_lose_what_the_same_calls_lose(name: str) -> None:
    _, wanted = trained(name, CallRecorder())
    model, history = trained(name, None)
    assert history.graphs is not None
    assert history.graphs.reason is None
    assert history.graphs.updates == 40
    assert losses(history) == pytest.approx(losses(wanted), rel=1e-3, abs=1e-4)
    assert all(parameter.isfinite().all() for parameter in model.module.parameters())


@pytest.mark.parametrize("name", tiny.NAMES)
def test_dropout_in_graphs_is_that_of_the_seed(name: str) -> None:
    one, other, without = (trained(name, None, dropout=rate)[1] for rate in (0.2, 0.2, 0.0))
    assert losses(one) == pytest.approx(losses(other), rel=1e-3, abs=1e-4)
    assert losses(one)[0] != pytest.approx(losses(without)[0], rel=1e-3)


def test_a_broken_capture_leaves_a_device_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def waiting(model: TaskModel, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = packed_losses(model, tensors)
        assert loss.sum().item() >= 0  # reads a value, which a capture forbids
        return loss

    _, wanted = trained("gpt2", None, dropout=0.2)
    with monkeypatch.context() as patch:
        patch.setattr(gradient, "losses", waiting)
        _, broken = trained("gpt2", None, dropout=0.2)
    assert broken.graphs is not None
    assert (broken.graphs.reason or "").startswith("an update could not be recorded: ")
    assert len(broken.losses) == 40
    torch.cuda.empty_cache()
    _, again = trained("gpt2", None, dropout=0.2)
    assert again.graphs is not None
    assert again.graphs.updates == 40
    assert losses(again) == pytest.approx(losses(wanted), rel=1e-3, abs=1e-4)
