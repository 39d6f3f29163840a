"""The loop: same seed, same bits; the gradient of a batch in any number of passes; memory, divergence and resuming."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.models import METHODS, TaskModel, head_for, method_of
from taskweb.tasks import Example
from taskweb.training import CheckpointSettings, DivergedError, Progress, TrainingHistory, TrainingSettings, fit
from tests.models import tiny

SETTINGS = TrainingSettings(learning_rate=3e-3, batch_size=6, steps=8, log_every=1, device="cpu")


def changed(**changes: object) -> TrainingSettings:
    return TrainingSettings(**{**SETTINGS.to_dict(), **changes})


def adapted(name: str, method: str = "finetune", *, dropout: float = 0.1) -> TaskModel:
    model = tiny.model(name, dropout=dropout)
    method_of(method).apply(model, seed=1)
    return model


def weights(model: TaskModel) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.module.parameters()]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def losses(history: TrainingHistory) -> list[float]:
    return [record.loss for record in history.losses]


@pytest.mark.parametrize("name", tiny.NAMES)
def test_the_same_seed_gives_the_same_bits_whatever_ran_before(name: str) -> None:
    first, second, other = adapted(name), adapted(name), adapted(name)
    history = fit(first, tiny.statements(), SETTINGS, seed=1)
    torch.rand(11)
    state = torch.get_rng_state()
    again = fit(second, tiny.statements(), SETTINGS, seed=1)
    assert torch.equal(state, torch.get_rng_state())
    assert losses(history) == losses(again)
    assert equal(weights(first), weights(second))
    fit(other, tiny.statements(), SETTINGS, seed=2)
    assert not equal(weights(first), weights(other))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", tiny.NAMES)
def test_what_is_trained_changes_and_the_rest_does_not(name: str, method: str) -> None:
    model = adapted(name, method)
    before = {key: (parameter.requires_grad, parameter.detach().clone()) for key, parameter in model.module.named_parameters()}
    history = fit(model, tiny.statements(), changed(steps=3), seed=1)
    after = dict(model.module.named_parameters())
    moved = {key for key, (_, value) in before.items() if not torch.equal(value, after[key])}
    assert moved <= {key for key, (is_trained, _) in before.items() if is_trained}
    assert moved
    assert history.trained_parameters == sum(value.numel() for is_trained, value in before.values() if is_trained)
    assert not model.module.training


@pytest.mark.parametrize("name", tiny.NAMES)
def test_the_loss_falls_on_learnable_examples(name: str) -> None:
    model = adapted(name, dropout=0.0)
    examples = tiny.statements(24)
    history = fit(model, examples, changed(steps=60, learning_rate=1e-2), seed=0)
    assert losses(history)[-1] < 0.5 * losses(history)[0]
    answers = [("no", "yes")[int(values.argmax())] for values in model.score_choices(examples)]
    assert sum(answer == example.output for answer, example in zip(answers, examples, strict=True)) >= 22


@pytest.mark.parametrize("name", tiny.NAMES)
def test_passes_do_not_change_the_update(name: str) -> None:
    whole, in_passes = adapted(name, dropout=0.0), adapted(name, dropout=0.0)
    one = fit(whole, tiny.statements(), changed(steps=4), seed=0)
    two = fit(in_passes, tiny.statements(), changed(steps=4, micro_batch_size=2), seed=0)
    assert losses(one) == pytest.approx(losses(two), rel=1e-4)
    for record, other in zip(one.losses, two.losses, strict=True):
        assert record.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)


class _SmallMemory:
    """Fails like a GPU with memory for `most` examples."""

    def __init__(self, model: TaskModel, most: int) -> None:
        self.loss, self.most, self.calls = model.loss, most, 0

    def __call__(self, batch: list[object]) -> torch.Tensor:
        self.calls += 1
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 2 GiB.")
        return self.loss(batch)  # type: ignore[arg-type]


def test_passes_are_halved_when_memory_runs_out_and_it_is_recorded() -> None:
    model, plain = adapted("t5", dropout=0.1), adapted("t5", dropout=0.1)
    model.loss = _SmallMemory(model, 2)  # type: ignore[method-assign]
    history = fit(model, tiny.statements(), changed(steps=3), seed=0)
    assert [(record.step, record.micro_batch_size) for record in history.memory] == [(1, 3), (1, 2)]
    assert history.micro_batch_size == 2
    assert history.step == 3
    known = fit(plain, tiny.statements(), changed(steps=3, micro_batch_size=2), seed=0)
    assert losses(history) == losses(known)
    assert equal(weights(model), weights(plain))


def test_memory_too_small_for_one_example_is_an_error_in_one_line() -> None:
    model = adapted("t5")
    model.loss = _SmallMemory(model, 0)  # type: ignore[method-assign]
    with pytest.raises(TaskWebError, match="One example at a time is too much") as caught:
        fit(model, tiny.statements(), SETTINGS, seed=0)
    assert "\n" not in str(caught.value)


def test_divergence_carries_the_history_and_leaves_finite_weights() -> None:
    model = adapted("roberta")
    loss, calls = model.loss, iter(range(100))
    model.loss = lambda batch: loss(batch) * (math.nan if next(calls) == 3 else 1.0)  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="diverged at update 4 of 8") as caught:
        fit(model, tiny.statements(), SETTINGS, seed=0)
    assert caught.value.history.step == 3
    assert len(caught.value.history.losses) == 3
    assert all(parameter.isfinite().all() for parameter in model.module.parameters())
    assert not model.module.training


class _StoppedError(Exception):
    pass


def _stop_at(step: int) -> object:
    def stop(progress: Progress) -> None:
        if progress.step == step:
            raise _StoppedError

    return stop


@pytest.mark.parametrize(
    ("name", "method"), [("t5", "pfeiffer"), ("gpt2", "finetune"), ("roberta", "bitfit"), ("bert", "lora")]
)
def test_a_resumed_training_ends_with_the_same_bits(name: str, method: str, tmp_path: Path) -> None:
    straight, stopped = adapted(name, method), adapted(name, method)
    settings = changed(steps=10, evaluate_every=2, weight_decay=0.1)
    hook = lambda model: {"loss": model.loss(model.encode(tiny.statements(4))).item()}  # noqa: E731
    wanted = fit(straight, tiny.statements(16), settings, seed=3, evaluate=hook)
    plan = CheckpointSettings(tmp_path / "training.safetensors", every=3)
    with pytest.raises(_StoppedError):
        fit(stopped, tiny.statements(16), settings, seed=3, evaluate=hook, checkpoint=plan, on_progress=_stop_at(8))  # type: ignore[arg-type]
    fresh = adapted(name, method)
    torch.rand(5)
    history = fit(fresh, tiny.statements(16), settings, seed=3, evaluate=hook, checkpoint=plan)
    assert history.resumed_at == 6
    assert equal(weights(fresh), weights(straight))
    assert history.losses == wanted.losses
    assert [(r.step, r.metrics) for r in history.evaluations] == [(r.step, r.metrics) for r in wanted.evaluations]
    assert history.tokens == wanted.tokens


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    plan = CheckpointSettings(tmp_path / "training.safetensors", every=2)
    fit(adapted("t5", "pfeiffer"), tiny.statements(), changed(steps=2), seed=0, checkpoint=plan)
    for seed, settings, examples in ((1, changed(steps=2), 24), (0, changed(steps=3), 24), (0, changed(steps=2), 23)):
        with pytest.raises(InputError, match="belongs to another training"):
            fit(adapted("t5", "pfeiffer"), tiny.statements(examples), settings, seed=seed, checkpoint=plan)
    with pytest.raises(InputError, match="belongs to another training"):
        fit(adapted("t5", "bitfit"), tiny.statements(), changed(steps=2), seed=0, checkpoint=plan)


def test_a_finished_checkpoint_has_nothing_left_to_do(tmp_path: Path) -> None:
    plan = CheckpointSettings(tmp_path / "training.safetensors", every=2)
    one, two = adapted("bert"), adapted("bert")
    fit(one, tiny.statements(), changed(steps=2), seed=0, checkpoint=plan)
    history = fit(two, tiny.statements(), changed(steps=2), seed=0, checkpoint=plan)
    assert (history.step, history.resumed_at) == (2, 2)
    assert equal(weights(one), weights(two))


def test_the_history_records_the_training() -> None:
    model = adapted("t5", "bitfit")
    seen: list[Progress] = []
    settings = TrainingSettings(epochs=2, batch_size=5, log_every=4, device="cpu", learning_rate=1e-3)
    examples = tiny.statements(12)
    history = fit(model, examples, settings, seed=0, evaluate=lambda _: {"accuracy": 0.5}, on_progress=seen.append)
    assert (history.step, history.total_steps) == (6, 6)
    assert [record.step for record in history.losses] == [1, 5, 6]
    assert [record.step for record in history.evaluations] == [3, 6]
    assert [progress.metrics for progress in seen] == [None, None, {"accuracy": 0.5}] * 2
    assert history.tokens == 2 * sum(item.length for item in model.encode(examples))
    assert history.losses[-1].tokens == history.tokens
    assert history.seconds > 0
    assert (history.device, history.precision, history.threads) == ("cpu", "float32", torch.get_num_threads())
    assert TrainingHistory.from_dict(history.to_dict()) == history


def test_bfloat16_and_gradient_checkpointing_train_too() -> None:
    for name in tiny.NAMES:
        plain, checkpointed, half = (adapted(name, "pfeiffer", dropout=0.1) for _ in range(3))
        wanted = fit(plain, tiny.statements(), changed(steps=3), seed=0)
        same = fit(checkpointed, tiny.statements(), changed(steps=3, gradient_checkpointing=True), seed=0)
        assert losses(same) == pytest.approx(losses(wanted), rel=1e-5)
        assert losses(fit(half, tiny.statements(), changed(steps=3, precision="bfloat16"), seed=0)) == pytest.approx(
            losses(wanted), rel=0.05
        )
        assert all(parameter.dtype == torch.float32 for parameter in half.module.parameters())


def test_mixtures_of_kinds_train_text_models_together() -> None:
    examples = [*tiny.statements(6), *tiny.choice_questions(), Example("the cat sat on the mat", "the mat")]
    model = adapted("gpt2")
    model.set_head(head_for("generation", examples), seed=0)
    assert fit(model, examples, changed(steps=3), seed=0).step == 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", tiny.NAMES)
def test_weights_after_a_source_are_carried_to_the_target(name: str, method: str) -> None:
    target = [Example(f"the {word} film was very {word}", word, ("bad", "good")) for word in ("good", "bad")] * 3
    losses_of = {}
    for source in (None, tiny.statements(12)):
        model = adapted(name, method, dropout=0.0)
        if source:
            fit(model, source, changed(steps=5, learning_rate=1e-2), seed=0)
        body = {key: value.clone() for key, value in model.module.state_dict().items() if not model.is_head(key)}
        model.set_head(head_for("classification", target), seed=4)
        assert all(torch.equal(value, model.module.state_dict()[key]) for key, value in body.items())
        losses_of[source is None] = losses(fit(model, target, changed(steps=2), seed=0))
    assert losses_of[True][0] != losses_of[False][0]


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ParameterError, match="no adaptation method"):
        fit(tiny.model("t5"), tiny.statements(), SETTINGS, seed=0)
    with pytest.raises(InputError, match="no examples"):
        fit(adapted("t5"), [], SETTINGS, seed=0)
    with pytest.raises(ParameterError, match="no device 'moon'"):
        fit(adapted("t5"), tiny.statements(), changed(device="moon"), seed=0)
