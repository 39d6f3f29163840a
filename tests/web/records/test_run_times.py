"""When a run was measured: no part of what it is, and unknown where the record does not say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskweb.web.records.run import Run, SetupRecord
from taskweb.web.records.run_json import run_of_json, run_to_json
from taskweb.web.records.run_times import MEASURED_AT, measured_at, measured_now


def run(**extra: str | None) -> Run:
    return Run(SetupRecord("m/lora"), "t", "s", 1, {"accuracy": 0.5}, extra=extra)


def test_a_run_measured_now_says_so_and_is_the_same_run() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    made = run(**measured_now())
    at = measured_at(made)
    assert at is not None
    assert before <= at <= datetime.now(UTC)
    assert at.utcoffset() == timedelta(0)
    assert made.key == run().key
    assert measured_at(run_of_json(run_to_json(made))) == at


@pytest.mark.parametrize("said", [None, "", "yesterday", "2026-11-29T14:02:11", "0001-01-01T00:00:00+14:00"])
def test_anything_else_is_not_known(said: str | None) -> None:
    assert measured_at(run()) is None
    assert measured_at(run(**{MEASURED_AT: said})) is None
