"""What a model is given of a mixture: long inputs are cut, left out or refused, and counted by task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from taskweb.errors import InputError
from taskweb.mixture import MixedExample, Mixture, MixtureTask, read_mixture, write_mixture
from taskweb.models import TaskModel
from taskweb.tasks import Columns, Example
from taskweb.training.encoded_mixture import as_read, cut_of, encode_mixture, longest_input
from taskweb.training.mixture_training import fit_mixture
from taskweb.training.settings import TrainingSettings
from taskweb.workflows.mixing import mix
from taskweb.workflows.rank_settings import TargetSettings
from tests.training.made_up_mixture import tiny_for
from tests.workflows.sources import write_rows

FAMILIES = ("tiny:t5", "tiny:gpt2", "tiny:roberta")
LIMIT = 16


def sentence(words: int) -> str:
    return " ".join(("the cat ran on the mat " * 20).split()[:words])


def mixture_of(*lengths: int, held_out: tuple[int, ...] = (3, 30)) -> Mixture:
    """Two tasks: one of short inputs, one of inputs with that many words, one of them held out in each length."""
    tasks = (
        MixtureTask("long", "classification", ("accuracy",), 0.5, 9, len(lengths), len(held_out)),
        MixtureTask("short", "classification", ("accuracy",), 0.5, 9, 2, 0),
    )

    def example(words: int, row: int) -> Example:
        return Example(sentence(words), "cat" if row % 2 else "mat", ("cat", "mat"), row=row)

    train = [MixedExample("short", example(4, 1)), *(MixedExample("long", example(n, i)) for i, n in enumerate(lengths, 2))]
    train.append(MixedExample("short", example(5, 9)))
    heldout = tuple(MixedExample("long", example(n, i)) for i, n in enumerate(held_out, 1))
    return Mixture(tasks, tuple(train), heldout)


def model_for(mixture: Mixture, name: str, overflow: str = "trim") -> TaskModel:
    model = tiny_for(mixture, name)
    model.max_input = LIMIT
    model.text = replace(model.text, overflow=overflow)
    return model


@pytest.mark.parametrize("name", FAMILIES)
def test_long_inputs_are_cut_and_counted_by_task(name: str) -> None:
    mixture = mixture_of(5, 40, 60)
    found = encode_mixture(model_for(mixture, name), mixture)
    cut = found.cut["long"]
    assert (cut.train.inputs, cut.train.cut, cut.train.dropped, cut.train.limit) == (3, 2, 0, LIMIT)
    assert cut.train.tokens > cut.train.most > 40
    assert (cut.heldout.inputs, cut.heldout.cut) == (2, 1)
    assert not found.cut["short"].total
    assert len(found.train) == 5
    assert max(len(ids) for item in found.train for ids in item.inputs) <= LIMIT
    assert sum(item.lost > 0 for item in found.train) == 2


@pytest.mark.parametrize("name", FAMILIES)
def test_long_inputs_can_be_left_out(name: str) -> None:
    mixture = mixture_of(5, 40, 60)
    model = model_for(mixture, name, "drop")
    found = encode_mixture(model, mixture)
    assert (found.cut["long"].train.dropped, found.cut["long"].heldout.dropped) == (2, 1)
    assert (len(found.train), [len(own.examples) for own in found.heldout]) == (3, [1])
    history = fit_mixture(model, mixture, TrainingSettings(epochs=1, batch_size=2, device="cpu"), seed=0, encoded=found)
    assert history.total_steps == 2
    with pytest.raises(InputError, match="Every input of 'long' is longer than 16 tokens"):
        encode_mixture(model, mixture_of(40, 60))
    assert encode_mixture(model, mixture_of(5, held_out=(40,))).heldout == ()


@pytest.mark.parametrize("name", FAMILIES)
def test_long_inputs_can_be_an_error(name: str) -> None:
    mixture = mixture_of(5, 40, 60)
    with pytest.raises(InputError, match=r"'long' cannot be trained on: Row 3 \('the cat .*\) does not fit into the 16 tokens"):
        encode_mixture(model_for(mixture, name, "error"), mixture)
    fitting = mixture_of(5, 6, held_out=())
    assert len(encode_mixture(model_for(fitting, name, "error"), fitting).train) == 4


@pytest.mark.parametrize("name", FAMILIES)
def test_an_input_or_choice_without_tokens_names_its_row(name: str) -> None:
    mixture = mixture_of(5)
    empty = replace(mixture, train=(*mixture.train, MixedExample("long", Example(" ", "cat", ("cat", "mat"), row=7))))
    with pytest.raises(InputError, match="'long' cannot be trained on: Row 7 has an empty input"):
        encode_mixture(model_for(mixture, name), empty)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_is_counted_without_encoding(name: str) -> None:
    mixture = mixture_of(5, 40, 60)
    model = model_for(mixture, name)
    found = encode_mixture(model, mixture)
    assert cut_of(model, mixture) == found.cut


@pytest.mark.parametrize("name", FAMILIES)
def test_inputs_as_they_are_read_fit_and_the_others_stay(name: str) -> None:
    mixture = mixture_of(5, 40, 60)
    model = model_for(mixture, name)
    read = as_read(model, mixture)
    assert [item.task for item in read.train] == [item.task for item in mixture.train]
    whole = [(item.example.input, one.example.input) for item, one in zip(read.train, mixture.train, strict=True)]
    assert [short == text for short, text in whole] == [True, True, False, False, True]
    assert all(len(short) > 20 and text.endswith(short) for short, text in whole if short != text)
    assert not any(cut.total for cut in cut_of(model, read).values())
    assert [list(item.inputs[0]) for item in encode_mixture(model, read).train] == [
        list(item.inputs[0]) for item in encode_mixture(model, mixture).train
    ]
    left = as_read(model_for(mixture, name, "drop"), mixture)
    assert (left.train, left.heldout) == ((*mixture.train[:2], mixture.train[4]), mixture.heldout[:1])
    with pytest.raises(InputError, match="does not fit into the 16 tokens"):
        as_read(model_for(mixture, name, "error"), mixture)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_longest_input_fits_exactly(name: str) -> None:
    mixture = mixture_of(5, 20, held_out=(30,))
    model = model_for(mixture, name)
    model.max_input = 60
    model.max_input = longest_input(model, mixture)
    assert not any(cut.total for cut in encode_mixture(model, mixture).cut.values())
    model.max_input -= 1
    assert encode_mixture(model, mixture).cut["long"].total.cut == 1


@pytest.mark.parametrize("name", FAMILIES)
def test_of_a_mixture_read_from_its_folder_the_longest_column_is_cut(name: str, tmp_path: Path) -> None:
    rows = [{"passage": f"dog {sentence(40)}", "question": f"question {i}", "answer": ("cat", "mat")[i % 2]} for i in range(9)]
    source = write_rows(tmp_path / "own" / "long.jsonl", rows)
    reading = TargetSettings(Columns(("passage", "question"), "answer"))
    mixture = mix(tasks=["long"], sources=source, kinds={"long": "classification"}, target_settings=reading)
    found = read_mixture(write_mixture(mixture, tmp_path / "mix"))
    model = model_for(found, name)
    for item in encode_mixture(model, found).train:
        read = model.tokenizer.decode(item.inputs[0])
        assert item.lost > 0
        assert "dog" in read  # a plain text would lose its beginning
        assert "question" in read
    assert all(item.example.row for item in found.train)
