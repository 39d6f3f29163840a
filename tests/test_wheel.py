"""The built wheel carries its data and works in a clean virtual environment."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_carries_every_data_file(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = REPOSITORY / "src"
    files = {
        str(path.relative_to(package))
        for path in (package / "taskweb").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= inside
    assert {"taskweb/web/published/figures/bank.npy", "taskweb/tasks/data/catalogue.toml", "taskweb/py.typed"} <= inside


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env")
    pip = [sys.executable, "-m", "pip", "--python", tmp_path / "env" / "bin" / "python"]
    installed = subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", str(wheel)], check=False, capture_output=True, text=True
    )
    assert installed.returncode == 0, installed.stderr
    done = subprocess.run(
        [tmp_path / "env" / "bin" / "taskweb", "rank", "rte", "--format", "json"], check=True, capture_output=True, cwd=tmp_path
    )
    assert json.loads(done.stdout)["sources"][0]["task"] == "anli_r3"
    unseen = [
        tmp_path / "env" / "bin" / "taskweb",
        "rank",
        "rte",
        "--unseen",
        "--format",
        "json",
    ]  # the bank suffices: no encoder
    assert len(json.loads(subprocess.run(unseen, check=True, capture_output=True, cwd=tmp_path).stdout)["sources"]) == 21
