"""The outputs that docs/reading.md shows are those of its commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from benchmarks.evaluation.made_up_checkpoints import write_checkpoint
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.conftest import REPOSITORY
from tests.test_readme import blocks, shell_lines

PAGE = REPOSITORY / "docs" / "reading.md"


def plain(text: str) -> str:
    """With one space wherever there is white space, since lines are broken at the width of a terminal."""
    return " ".join(text.split())


@pytest.mark.slow
def test_the_page_shows_what_its_commands_print(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.chdir(tmp_path)
    for name in ("gpt2", "llama", "qwen3"):
        write_checkpoint(name, tmp_path / name)
    lines = shell_lines(PAGE)
    row = next(line for line in lines if line.startswith("{"))
    (tmp_path / "rte.jsonl").write_text(f"{row}\n", encoding="utf-8")
    calls = [shlex.split(line)[1:] for line in lines if line.startswith("taskweb ")]
    printed = [plain(f"{done.err} {done.out}") for done in (run(*call) for call in calls)]
    shown = blocks(PAGE.read_text(encoding="utf-8"), "text")
    assert len(calls) == len(shown) == 5
    for block, text in zip(shown, printed, strict=True):
        parts = [plain(part) for part in block.split("...\n")]
        assert [part for part in parts if part not in text] == []
