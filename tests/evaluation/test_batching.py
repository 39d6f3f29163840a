"""The batch size grows while memory lasts, shrinks where it does not, and changes no result."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from taskweb.errors import ParameterError, TaskWebError
from taskweb.evaluation.batching import BatchSize
from tests.models import tiny


class Machine:
    """Doubles numbers, with memory for `memory` rows at once; a longer item needs more."""

    def __init__(self, memory: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        self.memory, self.error = memory, error
        self.sizes: list[int] = []

    def __call__(self, part: list[int], size: int) -> list[int]:
        self.sizes.append(size)
        if size > self.memory:
            raise self.error("out of memory. Tried")
        return [2 * i for i in part]


def sizes(fixed: int | None = None, most: int | None = None) -> BatchSize:
    found = BatchSize(tiny.model("t5").module, fixed)
    if most is not None:
        found._most = most
    return found


def test_it_doubles_up_to_what_fits_and_then_stays() -> None:
    machine, done = Machine(40), []
    found = sizes(most=512).run(list(range(2000)), machine, done.append)
    assert found == [2 * i for i in range(2000)]
    assert sum(done) == 2000
    assert machine.sizes[:3] == [16, 32, 64]
    assert set(machine.sizes[3:]) == {32}


def test_it_halves_down_to_one() -> None:
    machine = Machine(1)
    assert sizes().run([5] * 9, machine) == [2 * i for i in range(9)]
    assert machine.sizes[:5] == [16, 8, 4, 2, 1]


def test_the_longest_come_first() -> None:
    seen: list[int] = []
    sizes(1).run([3, 9, 5], lambda part, _: seen.extend(part) or part)
    assert seen == [1, 2, 0]


def test_on_the_cpu_and_where_it_is_fixed_it_never_grows() -> None:
    for batch, expected in ((sizes(), 16), (sizes(3), 3)):
        machine = Machine(1000)
        batch.run([1] * 300, machine)
        assert set(machine.sizes) == {expected}


def test_memory_for_less_than_one_example_is_an_error() -> None:
    with pytest.raises(TaskWebError, match="One example at a time is too much for the memory of cpu"):
        sizes().run([1], Machine(0))
    with pytest.raises(ParameterError, match="1 or more"):
        sizes(0)


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        sizes().run([1], Machine(0, RuntimeError))
