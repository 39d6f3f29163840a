"""Shapes for graphs: every batch fits into one, they are few, and little is padded."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from taskweb.models.packing import Shape
from taskweb.training.batch_order import epoch_batches
from taskweb.training.shapes import MOST_SHAPES, chosen_shapes, fitting

SHAPES = st.builds(
    Shape,
    rows=st.integers(1, 40),
    width=st.integers(1, 600),
    answer=st.integers(0, 60),
    terms=st.integers(1, 300),
    choices=st.integers(0, 9),
)


def widths_of(lengths: list[int], batch_size: int, epochs: int) -> list[Shape]:
    """Shapes of the batches of a training on inputs of these lengths."""
    batches = [batch for epoch in range(epochs) for batch in epoch_batches(lengths, batch_size, 0, epoch)]
    return [Shape(len(batch), max(lengths[index] for index in batch), terms=len(batch)) for batch in batches]


def places(shapes: list[Shape], needed: list[Shape]) -> int:
    return sum(fitting(shapes, shape).tokens for shape in needed)


@given(st.lists(SHAPES, min_size=1, max_size=150), st.integers(1, 8))
def test_every_batch_fits_into_one_of_few_shapes(needed: list[Shape], most: int) -> None:
    shapes = chosen_shapes(needed, most)
    assert 1 <= len(shapes) <= most
    assert shapes == sorted(shapes, key=lambda shape: -shape.tokens)
    assert all(fitting(shapes, shape).fits(shape) for shape in needed)
    assert max(shape.width for shape in shapes) == max(shape.width for shape in needed)  # never beyond a model's positions
    assert all(any(fitting(shapes, shape) == chosen for shape in needed) for chosen in shapes)


@given(st.lists(SHAPES, min_size=1, max_size=150))
def test_more_shapes_never_mean_more_places(needed: list[Shape]) -> None:
    assert places(chosen_shapes(needed), needed) <= places(chosen_shapes(needed, 1), needed)


def test_padding_is_bounded_for_a_real_mix_of_lengths() -> None:
    draw = random.Random(0)
    lengths = [max(4, min(512, round(draw.lognormvariate(4.32, 0.61)))) for _ in range(3200)]  # mean 90, deviation 60
    needed = widths_of(lengths, 32, 3)
    shapes = chosen_shapes(needed)
    assert 3 <= len(shapes) <= MOST_SHAPES
    assert 1 - 3 * sum(lengths) / places(shapes, needed) < 0.25
    assert 1 - 3 * sum(lengths) / places(shapes[:1], needed) > 0.75


def test_a_short_training_records_fewer_shapes() -> None:
    lengths = [10 + index % 500 for index in range(3200)]
    long, short = chosen_shapes(widths_of(lengths, 32, 10)), chosen_shapes(widths_of(lengths[:640], 32, 1))
    assert len(short) < len(long)


def test_equal_batches_need_one_shape_without_padding() -> None:
    assert chosen_shapes([Shape(8, 21, terms=8)] * 50) == [Shape(8, 21, terms=8)]
