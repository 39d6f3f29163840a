"""Settings: all errors at once, and the schedule of the learning rate."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from transformers import get_constant_schedule_with_warmup, get_linear_schedule_with_warmup

from taskweb.errors import ParameterError
from taskweb.training import TrainingSettings


def test_everything_out_of_range_is_reported_at_once() -> None:
    with pytest.raises(ParameterError) as caught:
        TrainingSettings(learning_rate=-1, batch_size=0, schedule="cosine", warmup_steps=3, warmup_ratio=0.1, clip_norm=0)  # type: ignore[arg-type]
    for name in ("learning_rate", "batch_size", "schedule", "warmup_steps", "clip_norm"):
        assert name in str(caught.value)
    assert "epochs" not in str(caught.value)


@pytest.mark.parametrize("warmup", [0, 3])
@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_rates_are_those_of_the_usual_schedules(schedule: str, warmup: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    if schedule == "constant":
        wanted = get_constant_schedule_with_warmup(optimizer, warmup)
    else:
        wanted = get_linear_schedule_with_warmup(optimizer, warmup, 10)
    settings = TrainingSettings(learning_rate=0.5, schedule=schedule, warmup_steps=warmup)  # type: ignore[arg-type]
    for step in range(10):
        assert settings.rate_at(step, 10) == pytest.approx(wanted.get_last_lr()[0])
        optimizer.step()
        wanted.step()


def test_a_warm_up_can_be_a_share() -> None:
    share = TrainingSettings(learning_rate=0.5, warmup_ratio=0.25)
    steps = TrainingSettings(learning_rate=0.5, warmup_steps=5)
    assert [share.rate_at(step, 20) for step in range(20)] == [steps.rate_at(step, 20) for step in range(20)]
