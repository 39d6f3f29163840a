"""What pages tell a reader to type works: blocks run in order, and print what the page shows.

README.md begins in an empty folder. A page of docs/ with `<!-- runs -->` begins in the folder that README.md leaves behind, as
it tells its readers. Blocks of `bash` and `python` are run; a block of `text` after one is what that prints. Blocks of `sh`
need what a test does not have, such as a network or a GPU: `tests/test_readme.py` checks that their commands and options exist.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"
MARK = "<!-- runs -->\n"
RUNNING = sorted(page for page in REPOSITORY.glob("docs/**/*.md") if MARK in page.read_text(encoding="utf-8"))
_BLOCK = re.compile(r"(?ms)^```(\w*)\n(.*?)^```")
# `taskweb` is what stands in this repository, wherever it was installed from.
SHELL = 'set -euo pipefail\ntaskweb() { "$PYTHON" -m taskweb "$@"; }\n'


def printed_by(block: str, language: str, folder: Path) -> str:
    """What a block prints on standard output."""
    command = [sys.executable, "-c", block] if language == "python" else ["bash", "-c", SHELL + block]
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(REPOSITORY / "src"), "COLUMNS": "100"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, f"{block}\n{done.stderr}"
    return done.stdout


def run_page(page: Path, folder: Path) -> int:
    """Run the blocks of a page in a folder; the number of outputs that were compared."""
    printed, compared = "", 0
    for language, content in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in ("bash", "python"):
            printed = printed_by(content, language, folder)
        elif language == "text":
            assert printed == content, page.name
            compared += 1
    return compared


@pytest.fixture(scope="module")
def after_the_readme(encoder: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all blocks of README.md were run."""
    folder = tmp_path_factory.mktemp("reader")
    assert run_page(README, folder) == 2
    return folder


def test_the_readme_is_short_and_has_only_blocks_that_run() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert {language for language, _ in _BLOCK.findall(text)} == {"bash", "python", "text"}


@pytest.mark.repeats
def test_every_block_of_the_readme_runs_and_prints_what_it_shows(after_the_readme: Path) -> None:
    assert (after_the_readme / "my_plan.db").is_file()


@pytest.mark.repeats
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.stem)
def test_every_block_of_a_guide_runs_and_prints_what_it_shows(page: Path, after_the_readme: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(after_the_readme, tmp_path / "reader")
    run_page(page, folder)
