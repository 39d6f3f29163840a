"""The outputs that docs/your_files.md shows are those of its commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("yaml")
pytest.importorskip("jinja2")

from taskweb.tasks.reading.deciding import MOST_ROWS
from taskweb.tasks.reading.labels import MOST_LABELS
from taskweb.tasks.reading.text_lines import MOST_BYTES_A_LINE
from taskweb.tasks.reading.unpacking import MOST_FREE_BYTES, MOST_RATIO
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.conftest import REPOSITORY
from tests.test_readme import blocks

PAGE = (REPOSITORY / "docs" / "your_files.md").read_text(encoding="utf-8")


def test_the_page_shows_what_its_commands_print(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.chdir(tmp_path)
    printed = []
    for block in blocks(PAGE, "bash"):
        for name, content in re.findall(r"cat > (\S+) <<'END'\n(.*?)END\n", block, flags=re.DOTALL):
            (tmp_path / name).write_text(content, encoding="utf-8")
        printed += [run(*shlex.split(line)[1:]).err for line in block.splitlines() if line.startswith("taskweb ")]
    shown = blocks(PAGE, "text")
    assert len(printed) == len(shown) == 4
    for block, text in zip(shown, printed, strict=True):
        assert block in text


def test_the_page_states_the_limits_that_hold() -> None:
    for limit in (f"{MOST_ROWS:,}", f"{MOST_BYTES_A_LINE >> 20} MiB", f"{MOST_FREE_BYTES >> 20} MiB", f"{MOST_RATIO} times"):
        assert limit in PAGE
    assert f"few ({MOST_LABELS})" in PAGE
