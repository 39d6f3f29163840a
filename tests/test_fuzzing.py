"""A few of the damaged files of `make fuzz`, for every reader; see `tests/fuzzing.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskweb.errors import InputError
from tests.fuzzing import Subject, campaign, inputs, subjects

INPUTS = 300  # over all readers
SUBJECTS = {subject.name: subject for subject in subjects(torch=False)}


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    outcome = campaign(SUBJECTS[name], -(-INPUTS // len(SUBJECTS)), 0, tmp_path)
    assert not outcome.faults
    assert outcome.read + outcome.refused == -(-INPUTS // len(SUBJECTS))


def test_inputs_depend_on_the_seed_alone() -> None:
    subject = next(iter(SUBJECTS.values()))
    first, again, other = (list(inputs(subject, 50, seed)) for seed in (0, 0, 1))
    assert first == again != other


def test_a_campaign_finds_faults(tmp_path: Path) -> None:
    def read(folder: Path) -> object:
        content = (folder / "x").read_bytes()
        if content == b"valid":
            return content
        raise ValueError("bug") if len(content) % 2 else InputError("wrong")

    outcome = campaign(Subject("x", {"x": b"valid"}, read), 200, 0, tmp_path)
    assert outcome.refused
    assert sum(count for fault, count in outcome.faults.items() if fault.startswith("ValueError at ")) > 10
