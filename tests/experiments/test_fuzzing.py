"""A few damaged plans and recipes; see `tests/fuzzing.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzzed_files import with_torch
from tests.fuzzing import campaign

SUBJECTS = {subject.name: subject for subject in with_torch()}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    outcome = campaign(SUBJECTS[name], 25, 0, tmp_path)
    assert not outcome.faults
    assert outcome.read + outcome.refused == 25
