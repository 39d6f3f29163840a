"""The built wheel carries its data and works in a clean virtual environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from taskweb.selectors.encoder import pinned
from taskweb.selectors.encoder.weights import OFFLINE_PACKAGE
from tests.conftest import REPOSITORY


@pytest.fixture(autouse=True)
def _installed_code_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)


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


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `taskweb` of an environment that contains the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    done = subprocess.run([*pip, "install", "--quiet", "--no-compile", str(wheel)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(folder.glob("lib/*/site-packages/torch"))
    return folder / "bin" / "taskweb"


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run([installed, "rank", "rte", "--format", "json"], check=True, capture_output=True, cwd=tmp_path)
    assert json.loads(done.stdout)["sources"][0]["task"] == "anli_r3"
    unseen = [installed, "rank", "rte", "--unseen", "--format", "json"]  # the bank suffices: no encoder
    assert len(json.loads(subprocess.run(unseen, check=True, capture_output=True, cwd=tmp_path).stdout)["sources"]) == 21


@pytest.mark.slow
def test_without_the_encoder_one_line_says_what_to_type_and_then_all_works(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = find_spec(OFFLINE_PACKAGE)
    if package is None or package.origin is None:
        pytest.skip("the encoder's package is not installed, and the network is not used here")
    folder = tmp_path / "simple" / pinned.PACKAGE
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / pinned.WHEEL, "w") as archive:
        for file in pinned.FILES:
            archive.write(Path(package.origin).parent / "model" / file.name, f"{pinned.WHEEL_FOLDER}/{file.name}")
    for name, value in {"HF_HOME": tmp_path / "hf", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    monkeypatch.delenv("TASKWEB_ENCODER", raising=False)
    (tmp_path / "my_task.jsonl").write_text('{"input": "Is the tide out?", "choices": ["yes", "no"]}\n' * 8)

    def taskweb(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([installed, *arguments], check=False, capture_output=True, text=True, cwd=tmp_path)

    without = taskweb("rank", "my_task.jsonl")
    assert (without.returncode, without.stdout) == (2, "")
    assert without.stderr.splitlines()[-1].endswith(": taskweb encoder fetch")
    fetched = taskweb("encoder", "fetch")
    assert fetched.returncode == 0, fetched.stderr
    shutil.rmtree(tmp_path / "simple")
    assert taskweb("encoder", "fetch").stderr.startswith("Already there")
    ranked = taskweb("rank", "my_task.jsonl", "--format", "json")
    assert ranked.returncode == 0, ranked.stderr
    assert len(json.loads(ranked.stdout)["sources"]) == 22
