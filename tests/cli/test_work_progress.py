"""Lines that say how far long work is, where there is no terminal."""

from __future__ import annotations

import pytest

from taskweb.cli.progress import work_progress


@pytest.mark.parametrize(
    ("total", "expected"), [(40, "Reading: 10 of 40, about 30 s left\n"), (0, "Reading: 10\n")], ids=["known", "not known"]
)
def test_a_line_says_how_much_is_done_and_left(
    total: int, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(work_progress.time, "monotonic", lambda: now)
    with work_progress.progress_for(quiet=False)("Reading", total) as advance:
        advance(4)
        now += 10
        advance(6)
        advance(1)
    assert capsys.readouterr().err == expected
