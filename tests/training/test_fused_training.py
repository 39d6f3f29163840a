"""Runs that share passes: each learns what it learns alone, and none notices another."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest
import torch

from taskweb.errors import TaskWebError
from taskweb.models import Head
from taskweb.models.fused.fused_model import FusedModel
from taskweb.models.packing import Shape
from taskweb.training import DivergedError, TrainingSettings
from taskweb.training.fused_training import grouped, overhead_of
from taskweb.training.pass_size import PassSize
from tests.models import tiny
from tests.training.fused import NUMBER, Comparison, furthest

SETTINGS = TrainingSettings(learning_rate=2e-3, batch_size=4, steps=20, warmup_steps=3, log_every=1, device="cpu")
DIFFERENT = (
    SETTINGS,
    replace(SETTINGS, learning_rate=1e-3, batch_size=6, steps=15, weight_decay=0.1, schedule="constant"),
    replace(SETTINGS, steps=None, epochs=1, clip_norm=0.5, beta1=0.8, epsilon=1e-6),
    replace(SETTINGS, micro_batch_size=3, clip_norm=None, bucketing=False),
)
CASES = [
    *((name, method) for name in ("gpt2", "t5", "roberta", "bert") for method in ("lora", "pfeiffer", "bitfit")),
]


def check_equal(comparison: Comparison, *, weights: float = 1e-4) -> None:
    fused = comparison.fused()
    for number in range(len(comparison.runs)):
        history, own = comparison.alone(number)
        other, found = fused[number]
        assert (other.step, other.tokens, other.total_steps) == (history.step, history.tokens, history.total_steps)
        assert [r.loss for r in other.losses] == pytest.approx([r.loss for r in history.losses], rel=1e-4, abs=1e-5)
        assert [r.learning_rate for r in other.losses] == [r.learning_rate for r in history.losses]
        # The bias of a key moves no attention: its gradient is zero, and what AdamW makes of it is rounding.
        assert furthest(own, found, but="key" if comparison.method == "bitfit" else "no name") < weights


@pytest.mark.parametrize(("name", "method"), CASES)
def test_runs_learn_what_they_learn_alone(name: str, method: str) -> None:
    heads = [tiny.LABELS, tiny.LABELS, NUMBER, tiny.LABELS]
    # Queries, keys and values of GPT-2 are one layer; T5's keys are called k.
    weights = 2e-2 if method == "bitfit" and name in tiny.TEXT else 1e-4
    check_equal(Comparison(name, method, DIFFERENT, heads), weights=weights)


@pytest.mark.parametrize(("name", "method"), [("gpt2", "lora"), ("t5", "pfeiffer"), ("roberta", "lora"), ("bert", "bitfit")])
def test_dropout_draws_the_masks_of_a_run_alone(name: str, method: str) -> None:
    parameters = {"dropout": 0.1} if method == "lora" else {}
    check_equal(Comparison(name, method, DIFFERENT, parameters=parameters, dropout=0.2))


@pytest.mark.parametrize(("name", "method"), [("gpt2", "lora"), ("roberta", "bitfit")])
def test_weights_stored_in_half_precision_are_fused_in_bfloat16(name: str, method: str) -> None:
    comparison = Comparison(name, method, [SETTINGS] * 2, half=True)
    fused = comparison.fused()
    for number in (0, 1):
        history, _ = comparison.alone(number)
        assert history.precision == fused[number][0].precision == "bfloat16"
        assert [r.loss for r in fused[number][0].losses] == pytest.approx([r.loss for r in history.losses], rel=2e-2)


def test_heads_of_different_size_share_a_pass() -> None:
    three = Head("classification", labels=("no", "yes", "maybe"))
    check_equal(Comparison("roberta", "lora", [SETTINGS] * 3, [three, tiny.LABELS, NUMBER]))


def test_a_place_goes_to_the_next_run() -> None:
    comparison = Comparison("gpt2", "lora", [replace(SETTINGS, steps=4 + number) for number in range(5)])
    fused = comparison.fused(comparison.training(most=2))

    for number in range(5):
        assert furthest(comparison.alone(number)[1], fused[number][1]) < 1e-4


def test_a_run_that_diverges_changes_no_bit_of_the_others() -> None:
    comparison = Comparison("roberta", "lora", [SETTINGS] * 3, [tiny.LABELS, NUMBER, tiny.LABELS])
    found = []
    for value in (1.0, 1e30):
        run = comparison.run(1)
        encoded = [replace(item, number=value if place > 20 else 1.0) for place, item in enumerate(run.encoded)]
        comparison.runs[1] = replace(run, encoded=encoded)
        found.append(comparison.fused())

    finite, diverged = found
    assert diverged[1][0].step < finite[1][0].step
    for number in (0, 2):
        assert diverged[number][0].losses == finite[number][0].losses
        assert all(torch.equal(diverged[number][1][name], tensor) for name, tensor in finite[number][1].items())


def test_divergence_is_found_at_the_update_of_a_run_alone_with_the_weights_before_it() -> None:
    comparison = Comparison("roberta", "lora", [SETTINGS] * 2, [NUMBER, NUMBER])
    encoded = [replace(item, number=1e30 if place > 30 else 1.0) for place, item in enumerate(comparison.runs[0].encoded)]
    comparison.runs[0] = replace(comparison.runs[0], encoded=encoded)
    history, weights = comparison.alone(0)
    training = comparison.training()
    places = [training.join(run) for run in comparison.runs]
    ended = [place for _ in range(SETTINGS.steps or 0) for place in training.round()]

    assert ended[0] is places[0]
    assert isinstance(places[0].error, DivergedError)
    assert places[0].history.step == history.step < (SETTINGS.steps or 0)
    assert furthest(weights, training.weights_of(places[0])) < 1e-4


def test_losses_are_read_late_and_divergence_is_found_at_its_update() -> None:
    comparison = Comparison("roberta", "lora", [SETTINGS] * 2, [NUMBER, NUMBER])
    encoded = [replace(item, number=1e30 if place > 30 else 1.0) for place, item in enumerate(comparison.runs[0].encoded)]
    comparison.runs[0] = replace(comparison.runs[0], encoded=encoded)
    at_once = comparison.fused()
    with mock.patch("taskweb.training.fused_training.reads_at_once", return_value=False):
        late = comparison.fused()

    for number in (0, 1):
        assert late[number][0].losses == at_once[number][0].losses
        assert furthest(late[number][1], at_once[number][1]) == 0


def test_where_memory_runs_out_fewer_runs_share_a_pass_then_the_batch_is_halved() -> None:
    comparison = Comparison("gpt2", "lora", [SETTINGS] * 4)
    training = comparison.training()
    real, asked = FusedModel.losses, []

    def losses(model: FusedModel, parts: list, packed: object = None) -> torch.Tensor:
        rows = [len(part.member.items) for part in parts]
        asked.append(rows)
        if sum(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(model, parts, packed)

    with mock.patch.object(FusedModel, "losses", losses):
        fused = comparison.fused(training)

    assert [len(rows) for rows in asked[:3]] == [4, 2, 1]
    assert training.size.now == 1
    for number in range(4):
        history, weights = fused[number]
        assert [record.micro_batch_size for record in history.memory] == [2]
        assert furthest(comparison.alone(number)[1], weights) < 1e-4


def test_a_run_too_large_for_any_pass_fails_and_the_others_go_on() -> None:
    comparison = Comparison("gpt2", "lora", [SETTINGS] * 3)
    real = FusedModel.losses

    def losses(model: FusedModel, parts: list, packed: object = None) -> torch.Tensor:
        if any(part.member.items[0] in comparison.runs[1].encoded for part in parts):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(model, parts, packed)

    with mock.patch.object(FusedModel, "losses", losses):
        training = comparison.training()
        places = [training.join(run) for run in comparison.runs]
        for _ in range(SETTINGS.steps or 0):
            training.round()

    assert isinstance(places[1].error, TaskWebError)
    for number in (0, 2):
        assert furthest(comparison.alone(number)[1], training.weights_of(places[number])) < 1e-4


def test_padding_is_counted() -> None:
    comparison = Comparison("gpt2", "lora", [SETTINGS] * 2)
    training = comparison.training()
    fused = comparison.fused(training)

    # A decoder does not read the last token of an answer, which is counted where it is learnt.
    unread = sum(history.step * SETTINGS.batch_size for history, _ in fused.values())
    assert training.padding.tokens == sum(history.tokens for history, _ in fused.values()) - unread
    assert 0 < training.padding.share < 0.6


def test_what_is_filled_is_never_less_than_nothing() -> None:
    comparison = Comparison("gpt2", "lora", [SETTINGS])
    item = comparison.runs[0].encoded[0]
    comparison.runs[0] = replace(comparison.runs[0], encoded=[item] * 8)
    training = comparison.training()
    comparison.fused(training)

    assert training.padding.share == 0


def test_a_pass_through_a_large_model_costs_little_beside_its_tokens() -> None:
    cpu = torch.device("cpu")
    tiny_one, wide = (tiny.model("roberta", hidden_size=width, intermediate_size=4 * width).module for width in (32, 512))
    assert 200 < overhead_of(tiny_one, cpu) < 600
    assert 10 < overhead_of(wide, cpu) < 60
    # Embeddings are looked up, whatever the size of the vocabulary; GPT-2's output layer is one of them.
    plain, large = (tiny.model("gpt2", vocab_size=size).module for size in (400, 40_000))
    assert overhead_of(plain, cpu) == overhead_of(large, cpu)


def test_blocks_of_similar_width_are_grouped() -> None:
    shapes = [Shape(4, width) for width in (10, 100, 11, 98, 9, 102)]

    assert sorted(map(sorted, grouped(shapes, overhead=50, most=6))) == [[0, 2, 4], [1, 3, 5]]
    assert grouped(shapes, overhead=10**6, most=6) == [[0, 1, 2, 3, 4, 5]]
    assert sorted(map(len, grouped(shapes, overhead=10**6, most=4))) == [3, 3]
    assert grouped([], overhead=1, most=4) == []


def test_the_size_of_a_pass_grows_while_it_is_faster() -> None:
    size = PassSize(32, seeking=True)
    speeds = {4: 100.0, 8: 190.0, 16: 300.0, 32: 310.0}
    tried = []
    while size.seeking:
        tried.append(size.now)
        size.note(size.now, 1000, 1000 / speeds[size.now])

    assert sorted(set(tried)) == [4, 8, 16, 32]
    assert size.now == 16


def test_the_size_of_a_pass_is_bounded_by_memory() -> None:
    size = PassSize(32, seeking=True, has_room=lambda: False)
    for _ in range(8):
        size.note(size.now, 1000, 1.0)

    assert (size.now, size.seeking) == (4, False)
