"""What the shell completes: commands, options, and names, in a real bash and without heavy imports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskweb.selectors import SELECTOR_NAMES
from taskweb.web.published import published_web
from tests.cli.test_commands import run  # noqa: F401 - a fixture

TASKS = sorted({*published_web().targets, *published_web().sources})
SETUPS = ["all", *published_web().setups]


@pytest.fixture
def completed(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # noqa: F811
    """What completes a line, in a folder with the file `reviews.jsonl`."""
    (tmp_path / "reviews.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> list[str]:
        monkeypatch.setenv("_TASKWEB_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        return run().out.split()

    return call


def test_commands_and_options(completed) -> None:
    assert completed("taskweb r") == ["rank", "refine", "run", "report"]
    assert completed("taskweb web sc") == ["scores"]
    assert {"--setup", "--selector"} <= set(completed("taskweb rank --se"))


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("taskweb rank --selector ", list(SELECTOR_NAMES)),
        ("taskweb rank --selector tasks", ["taskshop", "taskshop-llm"]),
        ("taskweb rank --setup ", SETUPS),
        ("taskweb rank --exclude s", [name for name in TASKS if name.startswith("s")]),
        ("taskweb rank ro", ["rotten_tomatoes"]),
        ("taskweb rank r", []),  # the file reviews.jsonl begins like this, too
        ("taskweb rank ", []),
        ("taskweb rank reviews.jsonl --web my.db --setup ", []),  # of other webs nothing is known
        ("taskweb web scores published --target qn", ["qnli"]),
        ("taskweb web scores my.db --target qn", []),
        ("taskweb web show p", ["published"]),
        ("taskweb templates qu", ["quartz"]),
    ],
)
def test_names(line: str, names: list[str], completed) -> None:
    assert completed(line) == names


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\nfrom taskweb.cli.main import main\nsys.argv = ['taskweb']\n"
        "try:\n    main()\nfinally:\n"
        "    print([name for name in ('numpy', 'onnxruntime', 'torch', 'taskweb.tasks', 'taskweb.web') if name in sys.modules])"
    )
    words = {"_TASKWEB_COMPLETE": "complete_bash", "COMP_WORDS": "taskweb rank --setup t5s", "COMP_CWORD": "3"}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **words}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*(name for name in SETUPS if name.startswith("t5s")), "[]"]


@pytest.mark.skipif(shutil.which("bash") is None or not Path("/proc").is_dir(), reason="needs bash, and /proc to find it")
def test_bash_completes_once_completion_is_installed(tmp_path: Path) -> None:
    (tmp_path / "taskweb").write_text(f'#!/bin/sh\nexec {sys.executable} -m taskweb "$@"\n')
    (tmp_path / "taskweb").chmod(0o755)
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    own = {"HOME": str(tmp_path), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths}

    def bash(line: str) -> str:
        done = subprocess.run(["bash", "-c", line], env={**os.environ, **own}, capture_output=True, text=True, cwd=tmp_path)
        return done.stdout

    shown = bash("taskweb --show-completion; true")
    assert "_taskweb_completion" in shown
    assert "installed" in bash("taskweb --install-completion; true")
    words = 'COMP_WORDS=(taskweb rank --selector pop); COMP_CWORD=3; _taskweb_completion taskweb; echo "${COMPREPLY[@]}"'
    assert bash(f"source ~/.bashrc; {words}") == "popularity\n"
