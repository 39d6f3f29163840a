"""What is said on stderr: sentences in lines that fit, commands in one line to copy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from taskweb.cli import console


def test_notes_are_broken_between_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "text_width", lambda: 30)
    path = "/a/very/long/path/that/nobody/breaks/web.db"
    console.say_notes(["日本語 the runs of some tasks are in", "a", f"see {path}", "a"], quiet=False)
    said = capsys.readouterr().err.splitlines()
    assert said == ["Note: 日本語 the runs of some", "      tasks are in.", "Note: a.", "Note: see", f"      {path}."]
    console.say_notes(["a"], quiet=True)
    assert capsys.readouterr().err == ""


def test_captions_and_notes_fit_80_cells_where_there_is_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "taskweb", "study", "ksweep"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    *notes, following = done.stderr.splitlines()
    assert len(notes) > 3
    assert max(map(len, notes)) <= 80
    assert following == "Next: taskweb plot ksweep published -o ksweep.svg"
