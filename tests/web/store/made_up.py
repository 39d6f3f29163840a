"""Made-up runs for the tests of stores, and how two runs are compared without loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from taskweb.web.records.run import Run, SetupRecord

SETUP = SetupRecord("t5s/finetune", "google/t5-small", "abc", "finetune", {"learning_rate": 1e-4, "batch_size": 32})
TASKS = tuple(f"task{i}" for i in range(50))


def made_up_run(number: int, **changes: Any) -> Run:
    """The run of that number: always the same, and different from those of other numbers."""
    target, source = TASKS[number // 50 % 50], TASKS[number % 50]
    run = Run(
        SETUP,
        target,
        None if source == target else source,
        number // 2500,
        {"accuracy": (number * 37 % 1009) / 1009},
        sizes={"train_examples": 1000},
        durations={"train": 12.5},
        versions={"torch": "2.1"},
    )
    return dataclasses.replace(run, **changes)


def made_up_runs(count: int, first: int = 0) -> Iterator[Run]:
    return map(made_up_run, range(first, first + count))


def content(value: Any) -> Any:
    """A value for comparison: NaN equals NaN, and neither None nor a missing entry; 1, 1.0 and True differ."""
    if dataclasses.is_dataclass(value):
        return {field.name: content(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return sorted((key, content(item)) for key, item in value.items())
    if isinstance(value, tuple):
        return [content(item) for item in value]
    return type(value).__name__, repr(value)


names = st.text(min_size=1, max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
integers = st.integers(-(2**63) + 1, 2**63 - 1)


def mappings(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.text(max_size=6), values, max_size=3)


setups = st.builds(
    SetupRecord, names, st.text(max_size=5), st.none() | st.text(max_size=5), st.text(max_size=5), mappings(scalars)
)


@st.composite
def any_runs(draw: st.DrawFn) -> Run:
    """Every kind of run that can be made."""
    status = draw(st.sampled_from(["finished", "failed", "diverged"]))
    reason = draw(names) if status == "failed" else draw(st.none() | st.text(max_size=8))
    return Run(
        draw(setups),
        draw(names),
        draw(st.none() | names),
        draw(st.none() | integers),
        draw(mappings(st.none() | st.floats())),
        status,
        reason,
        draw(st.integers(0, 3)),
        draw(mappings(scalars)),
        draw(mappings(st.integers())),
        draw(mappings(st.floats())),
        tuple(draw(st.lists(mappings(scalars), max_size=3))),
        draw(mappings(st.text(max_size=5))),
        draw(st.none() | st.text(max_size=5)),
        draw(mappings(scalars)),
    )
