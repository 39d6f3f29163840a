from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskweb.errors import InputError
from taskweb.web.formats import import_runs
from taskweb.web.formats.jsonl import import_jsonl
from taskweb.web.records.run_json import run_to_json
from tests.web.made_up_runs import simple_run

LEAST = {"setup": {"name": "m/f"}, "target": "t", "source": None}


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "runs.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_the_least_that_a_run_needs(tmp_path: Path) -> None:
    (run,) = import_runs(write(tmp_path, LEAST, ""))
    assert (run.setup.model, run.setup.method, run.source, run.seed, run.metrics) == ("m", "f", None, None, {})


def test_units(tmp_path: Path) -> None:
    path = write(tmp_path, LEAST | {"metrics": {"accuracy": 62.5, "f1": None}})
    (run,) = import_runs(path, units={"accuracy": "percent"})
    assert run.metrics == {"accuracy": 0.625, "f1": None}
    with pytest.raises(InputError, match=r"line 1: accuracy is 62\.5.*--unit accuracy=percent"):
        list(import_runs(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "is not a JSON object"),
        ("{", "is not valid JSON"),
        ({"target": "t"}, "needs a 'setup'"),
        (LEAST | {"setup": {}}, "has a field 'name' that is not a text"),
        (LEAST | {"setup": {"name": "m", "modle": "x"}}, "There is no field of a setup named 'modle'. Did you mean 'model'?"),
        (LEAST | {"tagret": "x"}, "Did you mean 'target'?"),
        (LEAST | {"target": 3}, "has a field 'target' that is not a text"),
        (LEAST | {"target": ""}, "A run needs a target"),
        (LEAST | {"source": ""}, "A baseline has the source None"),
        (LEAST | {"seed": True}, "has a field 'seed' that is not a whole number"),
        (LEAST | {"seed": 1.5}, "has a field 'seed' that is not a whole number"),
        (LEAST | {"status": "odd"}, "must be one of finished"),
        (LEAST | {"metrics": {"f1": "0.5"}}, "has a field 'metrics' where 'f1' is not a number"),
        (LEAST | {"durations": {"train": None}}, "has a field 'durations' where 'train' is not a number"),
        (LEAST | {"sizes": {"n": 1.5}}, "has a field 'sizes' where 'n' is not a whole number"),
        (LEAST | {"versions": {"numpy": 2}}, "has a field 'versions' where 'numpy' is not a text"),
        (LEAST | {"extra": {"x": [1]}}, "has a field 'extra' where 'x' is not"),
        (LEAST | {"history": {}}, "has a field 'history' that is not a list"),
        ("9" * 5000, "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_errors_are_reported(tmp_path: Path, line: Any, message: str) -> None:
    with pytest.raises(InputError) as fault:
        list(import_jsonl(write(tmp_path, LEAST, line)))
    assert str(fault.value).startswith(f"{tmp_path / 'runs.jsonl'}, line 2 ")
    assert message in str(fault.value)


def test_progress(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    path = write(tmp_path, *[LEAST] * 1500)
    list(import_jsonl(path, on_progress=lambda *at: calls.append(at)))
    size = path.stat().st_size
    assert calls == [(size * 1000 // 1500, size), (size, size)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from(sorted(run_to_json(simple_run()))), value=JSON)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_of_a_field_is_a_run_or_an_input_error(tmp_path: Path, field: str, value: Any) -> None:
    path = write(tmp_path, run_to_json(simple_run()) | {field: value})
    try:
        assert len(list(import_jsonl(path))) == 1
    except InputError as fault:
        assert "\n" not in str(fault)
