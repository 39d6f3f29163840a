"""Training on several tasks together: heads, evaluations, early stops, and resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from taskweb.errors import InputError, ParameterError
from taskweb.mixture import MixedExample, Mixture, MixtureTask
from taskweb.models.methods.trainable import trainable
from taskweb.tasks import Example
from taskweb.training import CheckpointSettings, TrainingSettings
from taskweb.training.encoded_mixture import encode_mixture, shared_head
from taskweb.training.loop import Progress
from taskweb.training.mixture_training import EarlyStop, final_evaluation, fit_mixture
from tests.training.made_up_mixture import synthetic_mixture, tiny_for

FAMILIES = ("tiny:t5", "tiny:gpt2", "tiny:roberta")
SETTINGS = TrainingSettings(learning_rate=3e-3, batch_size=8, epochs=3, device="cpu")


def weights_of(model: object) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in trainable(model.module).items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "method"),
    [*((name, "finetune") for name in FAMILIES), ("tiny:t5", "pfeiffer"), ("tiny:t5", "lora"), ("tiny:gpt2", "bitfit")],
)
def test_every_family_learns_its_tasks_together(name: str, method: str) -> None:
    mixture = synthetic_mixture(train=64, held_out=24)
    model = tiny_for(mixture, name, method)
    settings = replace(SETTINGS, epochs=6, learning_rate=3e-3 if method == "finetune" else 1e-2)
    history = fit_mixture(model, mixture, settings, seed=2)
    assert len(history.evaluations) == 6
    names = {f"{task.name}/{what}" for task in mixture.tasks for what in ("accuracy", "loss")} | {"score", "loss"}
    for record in history.evaluations:
        assert set(record.metrics) == names
        both = [record.metrics[f"{task.name}/accuracy"] for task in mixture.tasks]
        assert record.metrics["score"] == pytest.approx(sum(both) / 2)
    assert history.losses[-1].loss < history.losses[0].loss
    assert model.head == shared_head(model.family, mixture)


def test_an_encoder_compares_choices_of_several_tasks_and_uses_the_head_of_a_single_one() -> None:
    assert shared_head("encoder", synthetic_mixture()).kind == "multiple_choice"
    one = synthetic_mixture(count=1)
    assert shared_head("encoder", one).kind == one.tasks[0].kind
    assert shared_head("seq2seq", one).kind == "generation"


def test_an_encoder_may_answer_in_the_label_words_of_its_tasks() -> None:
    mixture = synthetic_mixture(train=64, held_out=24)
    words = {choice for item in mixture.train for choice in item.example.choices or ()}
    head = shared_head("encoder", mixture, "labels")
    assert (head.kind, set(head.labels)) == ("classification", words)
    model = tiny_for(mixture, "tiny:roberta", answers="labels")
    assert {len(item.inputs) for item in encode_mixture(model, mixture).train} == {1}  # an input is read once
    history = fit_mixture(model, mixture, replace(SETTINGS, epochs=6), seed=1)
    assert history.losses[-1].loss < history.losses[0].loss
    assert set(history.evaluations[-1].metrics) >= {f"{task.name}/accuracy" for task in mixture.tasks}
    example = mixture.heldout[0].example
    (scores,) = model.score_choices([example])
    assert len(scores) == len(example.choices or ())
    assert sum(2.718281828**scores) == pytest.approx(1.0)  # only its own choices compete


def test_label_words_need_classifications() -> None:
    mixture = synthetic_mixture()
    other = replace(mixture.tasks[0], kind="multiple_choice")
    with pytest.raises(ParameterError, match=f"these tasks are not: {other.name}"):
        shared_head("encoder", replace(mixture, tasks=(other, *mixture.tasks[1:])), "labels")


def test_an_encoder_refuses_tasks_without_choices_by_name() -> None:
    mixture = synthetic_mixture()
    free = MixtureTask("titles", "generation", ("exact_match",), 0.5, 1, 1, 0)
    mixed = Mixture((*mixture.tasks, free), (*mixture.train, MixedExample("titles", Example("a", "b"))), mixture.heldout)
    with pytest.raises(ParameterError, match="titles"):
        shared_head("encoder", mixed)
    with pytest.raises(ParameterError, match="cannot generate text"):
        shared_head("encoder", Mixture((free,), mixed.train[-1:], ()))


def test_each_task_is_written_in_its_own_form() -> None:
    number = MixtureTask("scores", "regression", ("pearson",), 0.5, 1, 1, 0)
    span = MixtureTask("spans", "span_qa", ("exact_match",), 0.5, 1, 1, 0)
    train = (MixedExample("spans", Example("a question", None)), MixedExample("scores", Example("a pair 3.14", "3.14159")))
    mixture = Mixture((number, span), train, ())
    model = tiny_for(mixture, "tiny:t5")
    encoded = encode_mixture(model, mixture).train
    written = [model.tokenizer.decode(item.answer, skip_special_tokens=True) for item in encoded]
    assert written[0] == ""
    assert written[1].replace(" ", "") == "3.14"


def test_an_example_without_an_answer_names_its_task() -> None:
    task = MixtureTask("claims", "generation", ("exact_match",), 1.0, 1, 1, 0)
    mixture = Mixture((task,), (MixedExample("claims", Example("a claim", None)),), ())
    with pytest.raises(InputError, match="'claims' cannot be trained on"):
        fit_mixture(tiny_for(mixture, "tiny:t5"), mixture, SETTINGS, seed=0)


def test_an_early_stop_restores_the_best_weights(tmp_path: Path) -> None:
    mixture = synthetic_mixture()
    settings = replace(SETTINGS, epochs=30, learning_rate=2e-2)  # soon no better
    model = tiny_for(mixture, "tiny:t5")
    seen: dict[int, dict[str, torch.Tensor]] = {}

    def watch(progress: Progress) -> None:
        seen[progress.step] = weights_of(model)

    stop = EarlyStop(2, tmp_path / "best.safetensors")
    history = fit_mixture(model, mixture, settings, seed=1, early_stop=stop, on_progress=watch)
    best = final_evaluation(history, best=True)
    assert best is not None
    assert history.step < history.total_steps
    assert [record.step for record in history.evaluations if record.step > best.step][1:] == [history.step]
    final = weights_of(model)
    assert all(torch.equal(final[name], seen[best.step][name]) for name in final)
    assert any(not torch.equal(final[name], seen[history.step][name]) for name in final)


def test_an_early_stop_needs_held_out_examples(tmp_path: Path) -> None:
    mixture = synthetic_mixture(held_out=0)
    with pytest.raises(ParameterError, match="held-out"):
        fit_mixture(tiny_for(mixture, "tiny:t5"), mixture, SETTINGS, seed=0, early_stop=EarlyStop(1, tmp_path / "best"))
    with pytest.raises(ParameterError, match="patience"):
        EarlyStop(0, tmp_path / "best")


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("name", FAMILIES)
def test_stopped_anywhere_it_ends_at_the_same_weights(name: str, patience: int | None, tmp_path: Path) -> None:
    mixture = synthetic_mixture()
    settings = replace(SETTINGS, evaluate_every=4)

    def train(place: Path, stop_after: int | None) -> dict[str, torch.Tensor]:
        model = tiny_for(mixture, name)

        def watch(progress: Progress) -> None:
            if progress.step == stop_after:
                raise StoppedError

        fit_mixture(
            model,
            mixture,
            settings,
            seed=1,
            early_stop=None if patience is None else EarlyStop(patience, place / "best.safetensors"),
            on_progress=watch,
            checkpoint=CheckpointSettings(place / "checkpoint.safetensors", 3),
        )
        return weights_of(model)

    undisturbed = train(tmp_path / "undisturbed", None)
    for stop_after in (1, 4, 7):
        place = tmp_path / str(stop_after)
        with pytest.raises(StoppedError):
            train(place, stop_after)
        found = train(place, None)
        assert all(torch.equal(found[tensor], undisturbed[tensor]) for tensor in undisturbed)
