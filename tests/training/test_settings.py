"""Settings: all errors at once, and the schedule of the learning rate."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from transformers import get_constant_schedule_with_warmup, get_linear_schedule_with_warmup

from taskweb.errors import ParameterError
from taskweb.training import TrainingSettings
from taskweb.training.recipe import Recipe
from taskweb.training.settings import check_storage, chosen_precision


def test_everything_out_of_range_is_reported_at_once() -> None:
    with pytest.raises(ParameterError) as caught:
        TrainingSettings(learning_rate=-1, batch_size=0, schedule="cosine", warmup_steps=3, warmup_ratio=0.1, clip_norm=0)  # type: ignore[arg-type]
    for name in ("learning_rate", "batch_size", "schedule", "warmup_steps", "clip_norm"):
        assert name in str(caught.value)
    assert "epochs" not in str(caught.value)


def test_which_precision_goes_with_which_weights() -> None:
    """The table of docs/plan.md."""
    for dtype in ("float32", "bfloat16", "float16", torch.float16):
        for precision in ("auto", "bfloat16", None):
            check_storage(precision, dtype, method="lora")
        check_storage("float32", dtype, method="finetune")
    check_storage("float32", "float32", method="lora", load_in="4bit")
    for dtype in ("bfloat16", "float16", torch.bfloat16):
        with pytest.raises(ParameterError, match=r"float16 cannot be computed with in float32\. Leave precision"):
            check_storage("float32", dtype, method="lora")
    for method in ("finetune", "bitfit"):
        with pytest.raises(ParameterError, match=rf"'{method}' trains the model's own weights, .* in 4bit\. Use lora"):
            check_storage("auto", "float32", method=method, load_in="4bit")
    cpu = torch.device("cpu")
    assert [chosen_precision("auto", cpu, half_weights=half) for half in (False, True)] == ["float32", "bfloat16"]


def test_a_recipe_refuses_what_does_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    exact = TrainingSettings(precision="float32")
    with pytest.raises(ParameterError, match="recipe cannot be used: Weights stored in bfloat16"):
        Recipe("a/b", "lora", dtype="bfloat16", training=exact)
    assert Recipe("a/b", "finetune", dtype="bfloat16", training=exact).weights.dtype == "bfloat16"
    with pytest.raises(ParameterError, match="recipe cannot be used: Loading in 4bit needs a GPU"):
        Recipe("a/b", "lora", load_in="4bit")


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
