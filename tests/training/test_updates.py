"""Updates as graphs and deferred ones end where immediate ones do; warming up, diverging and failing leave no trace."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from taskweb.models import TaskModel, method_of
from taskweb.models.packing import losses as packed_losses
from taskweb.tasks import Example
from taskweb.training import (
    CheckpointSettings,
    DivergedError,
    Progress,
    TrainingHistory,
    TrainingSettings,
    gradient,
    shapes,
    updates,
)
from taskweb.training.graphs import WARM_UPS
from taskweb.training.loop import Hooks, fit_encoded
from tests.models import tiny, zoo
from tests.training.recorders import CallRecorder

SETTINGS = TrainingSettings(
    learning_rate=1e-3, weight_decay=0.1, warmup_steps=3, batch_size=6, steps=30, log_every=1, evaluate_every=1000, device="cpu"
)


def changed(**changes: object) -> TrainingSettings:
    return TrainingSettings(**{**SETTINGS.to_dict(), **changes})


@pytest.fixture(autouse=True)
def several_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several graphs for short inputs: recording one costs nothing."""
    monkeypatch.setattr(shapes, "COST_OF_RECORDING", 0)
    monkeypatch.setattr(shapes, "_MULTIPLE", 1)


def adapted(name: str, *, dropout: float = 0.0, method: str = "finetune", folder: Path | None = None) -> TaskModel:
    if name in tiny.NAMES:
        model = tiny.model(name, dropout=dropout)
    else:
        assert folder is not None
        kind = zoo.ARCHITECTURES[name]
        model = zoo.opened(kind, zoo.write(kind, folder), tiny.LABELS)
    method_of(method).apply(model, seed=1)
    return model


def trained(
    model: TaskModel, settings: TrainingSettings = SETTINGS, examples: list[Example] | None = None, **options: object
) -> TrainingHistory:
    return fit_encoded(model, model.encode(examples or tiny.statements(26)), settings, seed=0, **options)  # type: ignore[arg-type]


def weights(model: TaskModel) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.module.named_parameters()}


def difference(one: TaskModel, other: TaskModel) -> float:
    """The largest of all weights but the biases of keys: their gradient is zero in truth, so they learn from rounding."""
    found, others, width = 0.0, weights(other), tiny.HIDDEN
    for name, value in weights(one).items():
        gap = (value - others[name]).abs()
        if name.endswith(("key.bias", "k.taskweb_bias")):
            continue
        if name.endswith("c_attn.bias"):
            gap[width : 2 * width] = 0.0
        found = max(found, gap.max().item())
    return found


@pytest.mark.parametrize("name", ["roberta", "gpt2", "t5", "llama"])
def test_graphs_end_at_the_weights_of_immediate_updates(name: str, tmp_path: Path) -> None:
    plain, graphed, recorder = adapted(name, folder=tmp_path), adapted(name, folder=tmp_path), CallRecorder()
    wanted, history = trained(plain), trained(graphed, recorder=recorder)
    assert difference(plain, graphed) < 1e-5
    assert [r.loss for r in history.losses] == pytest.approx([r.loss for r in wanted.losses], rel=1e-4)
    assert [r.gradient_norm for r in history.losses] == pytest.approx([r.gradient_norm for r in wanted.losses], rel=1e-3)
    for record, other in zip(history.losses, wanted.losses, strict=True):
        assert (record.step, record.learning_rate, record.tokens) == (other.step, other.learning_rate, other.tokens)
    assert wanted.graphs is None
    assert history.graphs is not None
    assert recorder.recorded == history.graphs.graphs > 1
    assert (recorder.calls, history.graphs.updates, history.graphs.reason) == (30, 30, None)
    assert history.graphs.warm_ups == WARM_UPS * recorder.recorded
    assert 0 < history.graphs.padding < 0.3


def test_deferred_updates_pass_by_pass_end_there_too() -> None:
    plain, deferred, recorder = adapted("gpt2"), adapted("gpt2"), CallRecorder(most=0)
    trained(plain, changed(micro_batch_size=4))
    history = trained(deferred, changed(micro_batch_size=4), recorder=recorder)
    assert difference(plain, deferred) < 1e-5
    assert history.graphs is not None
    assert history.graphs.reason == "a batch takes several passes"


@pytest.mark.parametrize("method", ["lora", "pfeiffer", "bitfit"])
def test_other_methods_have_graphs_too(method: str) -> None:
    plain, graphed, recorder = adapted("t5", method=method), adapted("t5", method=method), CallRecorder()
    trained(plain)
    trained(graphed, recorder=recorder)
    assert recorder.calls == 30
    assert difference(plain, graphed) < 1e-5


def test_dropout_is_drawn_anew_in_every_update_and_again_the_same() -> None:
    one, same, without = (adapted("roberta", dropout=rate) for rate in (0.3, 0.3, 0.0))
    wanted = trained(one, recorder=CallRecorder())
    torch.rand(7)
    assert trained(same, recorder=CallRecorder()).losses == wanted.losses
    assert all(torch.equal(value, weights(same)[name]) for name, value in weights(one).items())
    assert trained(without, recorder=CallRecorder()).losses[0].loss != wanted.losses[0].loss
    still = changed(learning_rate=1e-30, batch_size=26)  # one batch again and again, with weights that stay
    losses = {record.loss for record in trained(adapted("roberta", dropout=0.3), still, recorder=CallRecorder()).losses}
    assert len(losses) == 30


@pytest.mark.parametrize("at", [0, 5, 16, 29])
@pytest.mark.parametrize("graphs", [True, False])
def test_divergence_is_found_at_its_update_with_the_weights_before(
    at: int, graphs: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before, model, recorder = adapted("gpt2"), adapted("gpt2"), CallRecorder(most=100 if graphs else 0)
    if at:
        trained(before, changed(steps=max(at, 1), schedule="constant"), recorder=CallRecorder(most=0))
    calls: list[int] = []

    def loss(own: TaskModel, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        calls.append(len(calls) - warm_ups)
        return packed_losses(own, tensors) * (math.nan if calls[-1] == at else 1.0)

    warm_ups = WARM_UPS * (number_of_shapes() if graphs else 1)
    monkeypatch.setattr(gradient, "losses", loss)
    seen: list[int] = []
    hooks = Hooks(on_progress=lambda progress: seen.append(progress.step))
    with pytest.raises(DivergedError, match=f"diverged at update {at + 1} of 30") as caught:
        trained(model, changed(schedule="constant"), recorder=recorder, hooks=hooks)
    assert calls[-1] >= at
    assert caught.value.history.step == at
    assert [record.step for record in caught.value.history.losses] == seen == list(range(1, at + 1))
    assert difference(before, model) < 1e-5
    assert not model.module.training


def number_of_shapes() -> int:
    recorder = CallRecorder()
    trained(adapted("gpt2"), recorder=recorder)
    return recorder.recorded


def test_an_update_with_infinite_gradient_changes_nothing() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = updates_optimizer(parameter)
    made = updates.DeferredUpdates(_Spoilt(parameter, [1.0, math.inf, 1.0]), optimizer)  # type: ignore[arg-type]
    for step in range(3):
        made.make([], step, 0.1)
    assert [math.isfinite(norm) for _, norm in made.read()] == [True, False, True]
    state = optimizer.state[parameter]
    assert parameter.tolist() == pytest.approx([0.9] * 3)
    assert state["step"].item() == 1
    assert state["exp_avg"].tolist() == pytest.approx([0.1] * 3)


def updates_optimizer(parameter: torch.nn.Parameter) -> torch.optim.Optimizer:
    from taskweb.training.optimizer import adamw_on_device

    return adamw_on_device([parameter], TrainingSettings())


class _Spoilt:
    """Gradients of given size."""

    def __init__(self, parameter: torch.nn.Parameter, sizes: list[float]) -> None:
        self.parameter, self.sizes = parameter, sizes

    def of(self, _batch: object, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.parameter.grad = torch.full((3,), self.sizes[step])
        return torch.tensor(0.5), torch.tensor(self.sizes[step])


class _StoppedError(Exception):
    pass


def _stop_at(step: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.step == step:
            raise _StoppedError

    return stop


@pytest.mark.parametrize(("name", "method"), [("t5", "finetune"), ("gpt2", "lora")])
def test_a_resumed_training_ends_with_the_same_bits(name: str, method: str, tmp_path: Path) -> None:
    straight, stopped, fresh = (adapted(name, method=method, dropout=0.1) for _ in range(3))
    wanted = trained(straight, recorder=CallRecorder())
    plan = CheckpointSettings(tmp_path / "training.safetensors", every=11)
    with pytest.raises(_StoppedError):
        trained(stopped, recorder=CallRecorder(), checkpoint=plan, hooks=Hooks(on_progress=_stop_at(23)))
    history = trained(fresh, recorder=CallRecorder(), checkpoint=plan)
    assert history.resumed_at == 22
    assert history.losses == wanted.losses
    assert all(torch.equal(value, weights(straight)[name]) for name, value in weights(fresh).items())
    assert (history.graphs and history.graphs.updates) == 30
    assert TrainingHistory.from_dict(history.to_dict()) == history


@pytest.mark.parametrize("first", [True, False])
def test_a_checkpoint_goes_on_with_and_without_graphs(first: bool, tmp_path: Path) -> None:
    straight, stopped, fresh = (adapted("roberta") for _ in range(3))
    trained(straight)
    plan = CheckpointSettings(tmp_path / "training.safetensors", every=10)
    recorders = {True: CallRecorder(), False: None}
    with pytest.raises(_StoppedError):
        trained(stopped, recorder=recorders[first], checkpoint=plan, hooks=Hooks(on_progress=_stop_at(15)))
    history = trained(fresh, recorder=recorders[not first], checkpoint=plan)
    assert history.resumed_at == 10
    assert (history.graphs is None) == first
    assert difference(straight, fresh) < 1e-5


def test_hooks_are_called_in_order_with_the_weights_of_their_update(tmp_path: Path) -> None:
    plain, graphed = adapted("t5"), adapted("t5")
    settings = changed(evaluate_every=7, log_every=4)
    seen: dict[bool, list[Progress]] = {True: [], False: []}
    histories = {}
    for is_graphed, model in ((False, plain), (True, graphed)):
        histories[is_graphed] = trained(
            model,
            settings,
            recorder=CallRecorder() if is_graphed else None,
            hooks=Hooks(
                evaluate=lambda own: {"loss": own.loss(own.encode(tiny.statements(4))).item()},
                until=lambda history: history.step == 21,
                on_progress=seen[is_graphed].append,
            ),
            checkpoint=CheckpointSettings(tmp_path / f"{is_graphed}.safetensors", every=9),
        )
    assert [(p.step, p.metrics is None) for p in seen[True]] == [(p.step, p.metrics is None) for p in seen[False]]
    assert [p.step for p in seen[True]] == list(range(1, 22))
    for one, other in zip(histories[True].evaluations, histories[False].evaluations, strict=True):
        assert one.step == other.step
        assert one.metrics == pytest.approx(other.metrics, rel=1e-4)
    assert [r.step for r in histories[True].losses] == [r.step for r in histories[False].losses] == [1, 5, 9, 13, 17, 21]


@pytest.mark.parametrize(("every", "reads"), [(1000, [16, 14]), (10, [10, 10, 10]), (20, [16, 4, 10])])
def test_losses_are_read_some_updates_at_a_time(every: int, reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    read, found = updates.DeferredUpdates.read, []

    def counted(self: updates.DeferredUpdates) -> list[updates.Outcome]:
        outcomes = read(self)
        found.append(len(outcomes))
        return outcomes

    monkeypatch.setattr(updates.DeferredUpdates, "read", counted)
    hooks = Hooks(evaluate=lambda _: {})
    assert trained(adapted("t5"), changed(evaluate_every=every), recorder=CallRecorder(), hooks=hooks).step == 30
    assert found == reads


@pytest.mark.parametrize("most", [0, 1])
def test_what_cannot_be_recorded_is_done_pass_by_pass_and_said_once(most: int) -> None:
    plain, model, recorder = adapted("gpt2"), adapted("gpt2"), CallRecorder(most=most)
    trained(plain)
    history = trained(model, recorder=recorder)
    assert recorder.calls == 0
    assert history.graphs is not None
    assert history.graphs.reason == "an update could not be recorded: operation not permitted"
    assert (history.graphs.graphs, history.graphs.updates) == (0, 0)
    assert history.graphs.line == "no CUDA graphs: an update could not be recorded: operation not permitted"
    assert difference(plain, model) < 1e-5


def test_other_faults_of_recording_are_raised() -> None:
    with pytest.raises(KeyError):
        trained(adapted("gpt2"), recorder=CallRecorder(most=0, fails=KeyError("a bug")))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 19}, "recording takes longer than 19 updates"),
        ({"gradient_checkpointing": True}, "gradient checkpointing computes activations twice"),
        ({"micro_batch_size": 2}, "a batch takes several passes"),
    ],
)
def test_trainings_without_graphs_say_why(changes: dict[str, object], reason: str) -> None:
    recorder = CallRecorder()
    history = trained(adapted("t5"), changed(**changes), recorder=recorder)
    assert history.graphs is not None
    assert history.graphs.reason == reason
    assert recorder.recorded == 0


def test_a_model_that_padding_disturbs_is_trained_as_ever(tmp_path: Path) -> None:
    name = next(name for name, kind in zoo.ARCHITECTURES.items() if kind.apart)
    plain, model = adapted(name, folder=tmp_path), adapted(name, folder=tmp_path)
    settings = changed(steps=20)
    wanted, history = trained(plain, settings), trained(model, settings, recorder=CallRecorder())
    assert history.graphs is not None
    assert history.graphs.reason == "padding changes what the model makes of an input"
    assert [r.loss for r in history.losses] == pytest.approx([r.loss for r in wanted.losses], rel=1e-4)


def test_memory_that_runs_out_in_a_deferred_pass_halves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(model: TaskModel, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        if len(tensors["ids"]) > 2:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 2 GiB.")
        return packed_losses(model, tensors)

    monkeypatch.setattr(gradient, "losses", loss)
    plain, model = adapted("t5"), adapted("t5")
    trained(plain)
    history = trained(model, recorder=CallRecorder())
    assert history.graphs is not None
    assert history.graphs.reason == "an update could not be recorded: out of memory. Tried to allocate 2 GiB."
    assert [(record.step, record.micro_batch_size) for record in history.memory] == [(1, 3), (1, 2)]
    assert history.micro_batch_size == 2
    assert difference(plain, model) < 1e-5
