"""Hidden states as vectors of examples."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from taskweb.errors import ParameterError
from taskweb.models import Head
from taskweb.models.encoder_head import body_of
from taskweb.models.evidence.hidden_states import hidden_vectors, token_rows, unit_vectors
from taskweb.tasks import Example
from tests.models import tiny


@pytest.mark.parametrize("name", tiny.NAMES)
def test_padding_changes_nothing(name: str) -> None:
    model = tiny.model(name, Head("regression"))
    rows = token_rows(model, tiny.statements(8))
    assert len({len(row) for row in rows}) > 2
    together, apart = hidden_vectors(model, rows, batch_size=8), hidden_vectors(model, rows, batch_size=1)
    assert together.shape == (8, tiny.HIDDEN)
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 0.01


def test_later_states_of_a_decoder_count_more() -> None:
    model = tiny.model("gpt2")
    row = token_rows(model, tiny.statements(1))[0]
    with torch.no_grad():
        states = model.module.transformer(torch.tensor(row[None].astype(np.int64))).last_hidden_state[0].numpy()
    weights = np.arange(1, len(row) + 1) / np.arange(1, len(row) + 1).sum()
    np.testing.assert_allclose(hidden_vectors(model, [row])[0], weights @ states, atol=1e-5)


def test_all_states_of_an_encoder_count_alike() -> None:
    model = tiny.model("bert", Head("regression"))
    row = token_rows(model, tiny.statements(1))[0]
    with torch.no_grad():
        states = body_of(model.module)(torch.tensor(row[None].astype(np.int64))).last_hidden_state[0].numpy()
    np.testing.assert_allclose(hidden_vectors(model, [row])[0], states.mean(axis=0), atol=1e-5)


def test_a_decoder_reads_answers_after_inputs() -> None:
    model = tiny.model("gpt2")
    alone, answered = (token_rows(model, tiny.statements(2), answers=answers) for answers in (False, True))
    for short, long in zip(alone, answered, strict=True):
        assert len(long) > len(short)
        np.testing.assert_array_equal(long[: len(short)], short)


def test_inputs_are_read_without_answers() -> None:
    for name in tiny.NAMES:
        model = tiny.model(name, Head("regression"))
        assert len(token_rows(model, [Example("the cat sat on the mat")])) == 1


def test_an_encoder_that_compares_choices_is_refused() -> None:
    with pytest.raises(ParameterError, match="head of a regression"):
        token_rows(tiny.model("bert", Head("multiple_choice")), tiny.choice_questions())


def test_unit_vectors() -> None:
    found = unit_vectors(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 0.0]], atol=1e-6)
