"""What pages tell a reader to type works: blocks run in order, and print what the page shows.

README.md begins in an empty folder. A page of docs/ with `<!-- runs -->` begins in the folder that README.md leaves behind, as
it tells its readers; `tests/page_surroundings.py` has what some pages expect besides. Blocks of `bash` and `python` are run; a
block of `text` after one is what that prints. `taskweb ui` is served while the rest of its page runs, and ended by Ctrl-C.
Blocks of `sh` and `py` need what a test does not have: `<!-- not run: needs ... -->` before each says what, and
`tests/test_readme.py` checks that their commands and options exist.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from tests.conftest import REPOSITORY
from tests.page_surroundings import SURROUNDINGS, free_port, nothing

README = REPOSITORY / "README.md"
MARK = "<!-- runs -->\n"
DOCS = sorted(REPOSITORY.glob("docs/**/*.md"))
RUNNING = [page for page in DOCS if MARK in page.read_text(encoding="utf-8")]
_BLOCK = re.compile(r"(?ms)^```(\w*)\n(.*?)^```")
_NOT_RUN = re.compile(r"(?m)^<!-- not run: needs .+ -->\n```(\w*)$")
# `taskweb` is what stands in this repository, wherever it was installed from.
SHELL = 'set -euo pipefail\ntaskweb() { "$PYTHON" -m taskweb "$@"; }\n'
SERVES = "taskweb ui"
RAY_PORT = "6379"


def started(command: list[str], folder: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(REPOSITORY / "src"), "COLUMNS": "100"} | variables
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, process_group=0, stdin=subprocess.DEVNULL
    )


def printed_by(block: str, language: str, folder: Path, variables: Mapping[str, str]) -> str:
    """What a block prints on standard output."""
    command = [sys.executable, "-c", block] if language == "python" else ["bash", "-c", SHELL + block]
    with started(command, folder, variables) as running:
        try:
            printed, said = running.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            raise
    assert running.returncode == 0, f"{block}\n{said}"
    return printed


@contextmanager
def served(line: str, folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """The local page while it is served; yields its address, without http:// and the last slash."""
    with started(["bash", "-c", SHELL + line], folder, variables) as running:
        assert running.stderr is not None
        try:
            said = running.stderr.readline()
            address = re.search(r"http://(\S+)/\. End it with Ctrl-C", said)
            assert address, said + running.stderr.read()
            with urllib.request.urlopen(f"http://{address[1]}/") as answer:
                assert answer.status == 200
            yield address[1]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGINT)
            left = running.stderr.read()
    assert "The page is closed." in left


def run_page(page: Path, folder: Path, variables: Mapping[str, str]) -> int:
    """Run the blocks of a page in a folder; the number of outputs that were compared."""
    printed, compared = "", 0
    ports = {"127.0.0.1:8765": "127.0.0.1:8765", RAY_PORT: str(free_port())}
    with ExitStack() as pages:
        for language, content in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if language == "bash" and content.startswith(SERVES):
                for line in content.splitlines():
                    ports["127.0.0.1:8765"] = pages.enter_context(served(line, folder, variables))
            elif language in ("bash", "python"):
                for stated, used in ports.items():
                    content = content.replace(stated, used)
                printed = printed_by(content, language, folder, variables)
            elif language == "text":
                assert printed == content, page.name
                compared += 1
    return compared


@pytest.fixture(scope="module")
def after_the_readme(encoder: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all blocks of README.md were run."""
    folder = tmp_path_factory.mktemp("reader")
    assert run_page(README, folder, {}) == 2
    return folder


def test_the_readme_is_short_and_has_only_blocks_that_run() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert {language for language, _ in _BLOCK.findall(text)} == {"bash", "python", "text"}


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.stem)
def test_a_block_that_is_not_run_says_what_it_needs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    languages = [language for language, _ in _BLOCK.findall(text) if language in ("sh", "py")]
    assert _NOT_RUN.findall(text) == languages


@pytest.mark.repeats
def test_every_block_of_the_readme_runs_and_prints_what_it_shows(after_the_readme: Path) -> None:
    assert (after_the_readme / "my_plan.db").is_file()


@pytest.mark.repeats
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.stem)
def test_every_block_of_a_guide_runs_and_prints_what_it_shows(page: Path, after_the_readme: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(after_the_readme, tmp_path / "reader")
    with SURROUNDINGS.get(page.stem, nothing)(folder) as variables:
        run_page(page, folder, variables)
