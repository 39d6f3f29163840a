"""Runs with every field of a record, for round trips."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from taskweb.web.records.run import Run, SetupRecord

LARGEST = 2**63 - 1
NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8) | st.sampled_from(
    ["a,b", 'say "x"', "two\nlines", "\r", "\t", " padded ", "nan", "null", "Größe", "模型/微调", "=1+1", "\ufeffx", "1"]
)
TEXTS = st.just("") | NAMES | st.just('"quoted"')
WHOLE = st.integers(-LARGEST - 1, LARGEST)
SCALARS = st.none() | st.booleans() | WHOLE | st.floats() | TEXTS
OTHER_METRICS = NAMES.filter(lambda name: name not in ("accuracy", "f1", "macro_f1", "exact_match", "token_f1"))


def mappings(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(TEXTS | st.just("float"), values, max_size=3)


SOURCES = NAMES.filter(lambda name: name.strip().lower() != "none")
SETUPS = st.builds(
    SetupRecord,
    name=NAMES,
    model=TEXTS,
    revision=st.none() | TEXTS,
    method=TEXTS,
    hyperparameters=mappings(SCALARS),
)


@st.composite
def whole_records(draw: st.DrawFn) -> Run:
    status = draw(st.sampled_from(["finished", "failed", "diverged"]))
    shares = st.dictionaries(st.sampled_from(["accuracy", "f1"]), st.none() | st.just(float("nan")) | st.floats(0, 1))
    others = st.dictionaries(OTHER_METRICS, st.none() | st.floats(), max_size=2)
    return Run(
        setup=draw(SETUPS),
        target=draw(NAMES),
        source=draw(st.none() | SOURCES),
        seed=draw(st.none() | WHOLE),
        metrics=draw(shares) | draw(others),
        status=status,
        reason=draw(NAMES if status == "failed" else st.none() | TEXTS),
        replicate=draw(st.integers(0, LARGEST)),
        definition=draw(mappings(SCALARS)),
        sizes=draw(mappings(WHOLE)),
        durations=draw(mappings(st.floats())),
        history=tuple(draw(st.lists(mappings(SCALARS), max_size=2))),
        versions=draw(mappings(TEXTS)),
        commit=draw(st.none() | TEXTS),
        extra=draw(mappings(SCALARS)),
    )


def exactly(run: Run) -> str:
    """All of a record as text, in which NaN equals NaN, and 1, 1.0 and True differ; the order of mappings does not matter."""
    return repr(_ordered(dataclasses.asdict(run)))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return [(name, _ordered(value[name])) for name in sorted(value)]
    return [_ordered(item) for item in value] if isinstance(value, list | tuple) else value


def simple_run(**changes: Any) -> Run:
    fields = {"setup": SetupRecord("m/f"), "target": "t", "source": "s", "seed": 1, "metrics": {"accuracy": 0.5}} | changes
    return Run(**fields)
