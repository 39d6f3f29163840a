"""Batches: every example once per epoch, of similar length, the same in every process."""

from __future__ import annotations

import random
import statistics

import pytest

pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from taskweb.training.batch_order import epoch_batches


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=300),
    st.integers(1, 20),
    st.integers(0, 2**31),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_example_comes_once(lengths: list[int], batch_size: int, seed: int, epoch: int, bucketing: bool) -> None:
    state = random.getstate()
    batches = epoch_batches(lengths, batch_size, seed, epoch, bucketing=bucketing)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)
    assert batches == epoch_batches(lengths, batch_size, seed, epoch, bucketing=bucketing)
    assert random.getstate() == state


def test_the_order_is_fixed_for_all_time() -> None:
    assert epoch_batches([3, 1, 2, 5, 4], 2, 0, 0) == [[1, 2], [3], [0, 4]]


def test_epochs_and_seeds_differ() -> None:
    orders = [epoch_batches([1] * 50, 5, seed, epoch) for seed in range(2) for epoch in range(2)]
    assert len({str(order) for order in orders}) == 4


def test_buckets_spare_padding() -> None:
    draw = random.Random(0)
    lengths = [draw.randint(5, 200) for _ in range(2000)]

    def padded(bucketing: bool) -> int:
        return sum(
            len(batch) * max(lengths[i] for i in batch) for batch in epoch_batches(lengths, 16, 0, 0, bucketing=bucketing)
        )

    assert padded(True) < 1.1 * sum(lengths) < 1.5 * sum(lengths) < padded(False)
    means = [statistics.mean(lengths[i] for i in batch) for batch in epoch_batches(lengths, 16, 0, 0)]
    assert means != sorted(means)
